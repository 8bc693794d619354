"""Say what a path holds: photographs, cameras, splats or results."""

import argparse
from pathlib import Path

from headstyle.inspection.drawings import write_findings
from headstyle.inspection.look import inspect_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the path and the folder of the drawings."""
    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="folder of photographs, file or folder of cameras, file of splats, folder of results",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the drawings and the row of the subjects table go; by default"
        " inspection/NAME below the current folder",
    )


def run(options: argparse.Namespace) -> None:
    """Print the findings, and which files show them."""
    found = inspect_path(options.path)
    print(found.text())
    out = options.out or Path("inspection", options.path.absolute().name)
    print("\n".join(f"wrote {path}" for path in write_findings(found, out)))
