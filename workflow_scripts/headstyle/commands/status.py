"""Say how far a run is: what is done, running, failed and waiting, and the time left.

Exit status: 0 if all is done, 3 if a job failed, 4 if jobs are left, 1 after bad input.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from headstyle.review.status import UNFINISHED, Status, status_of, status_text

_CLEAR = "\x1b[H\x1b[2J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the results, the form and the watch."""
    parser.add_argument(
        "results", type=Path, metavar="RESULTS", help="the results_dir, such as results/demo"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=5.0,
        metavar="SECONDS",
        help="print again every few seconds (5) until the run ends",
    )


def run(options: argparse.Namespace) -> int:
    """Print how far the run is, once or until it ends."""
    status = status_of(options.results)
    try:
        while options.watch is not None and status.state in ("running", "unknown"):
            _show(status, options.json, _CLEAR if sys.stdout.isatty() else "")
            time.sleep(max(0.2, options.watch))
            status = status_of(options.results)
    except KeyboardInterrupt:
        return UNFINISHED
    is_watched = options.watch is not None and sys.stdout.isatty()
    _show(status, options.json, _CLEAR if is_watched else "")
    return status.exit_status


def _show(status: Status, as_json: bool, before: str) -> None:
    text = json.dumps(status.as_json()) if as_json else status_text(status)
    print(f"{before if not as_json else ''}{text}", flush=True)
