"""Show a run in 3D, in the browser: splats, cameras with their pictures, and where views disagree.

The browser draws, so this machine needs no GPU. It needs the extra `headstyle[view]`.
"""

import argparse
import time
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the results and the address."""
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="the results_dir, such as results/demo"
    )
    parser.add_argument(
        "--follow", action="store_true", help="show what a run that is at work replaces"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; by default only this machine is let in",
    )
    parser.add_argument("--port", type=int, default=8080, help="first port to try (8080)")


def run(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    # Other commands start in a fraction of the time without PyTorch.
    from headstyle.review.viewer import Viewer

    viewer = Viewer(options.results, options.host, options.port)
    print(f"open {viewer.address} in a browser; Ctrl-C ends", flush=True)
    try:
        if options.follow:
            viewer.follow()
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        viewer.stop()
