"""Write a scene for another program."""

import argparse
from pathlib import Path

from headstyle.exporters.formats import FORMATS, export, formats_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the scene, the format and the place to write to."""
    parser.epilog = f"formats:\n{formats_in_words()}"
    parser.add_argument(
        "scene",
        type=Path,
        metavar="SCENE",
        help="folder of a scene, such as results/A/baseline; for splats also a file of them",
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help="one of those below")
    parser.add_argument(
        "out",
        type=Path,
        nargs="?",
        metavar="OUT",
        help="file or new folder to write; by default a place in SCENE/exports",
    )


def run(options: argparse.Namespace) -> None:
    """Export, and say where to."""
    print(export(options.scene, options.format, options.out))
