"""Check an archive of a study against its checksums."""

import argparse
from pathlib import Path

from headstyle.workflow.archive.verifying import verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the archive."""
    parser.add_argument(
        "path",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="what `snakemake archive` wrote, or the folder that it was unpacked to",
    )


def run(options: argparse.Namespace) -> None:
    """Check all files, and say how many there are."""
    found = verify(options.path)
    print(f"{options.path}: {found.files} files, {found.bytes / 1e6:.1f} MB, all intact")
