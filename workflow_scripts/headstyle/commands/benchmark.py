"""Make the frozen benchmark of heads and true edits, or check a copy of it."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder."""
    parser.add_argument("path", type=Path, metavar="FOLDER", help="where the benchmark is")
    parser.add_argument("--make", action="store_true", help="make its pictures first, in minutes")


def run(options: argparse.Namespace) -> int:
    """Check all pictures against the manifest; 1 where some are others."""
    from headstyle.leaderboard import benchmark

    manifest = benchmark.read_manifest()
    if options.make:
        benchmark.make(manifest["definition"], options.path)
    found = benchmark.check(manifest, options.path)
    print(f"{manifest['name']}, version {manifest['version']}: {manifest['definition_sha256']}")
    print(f"{len(found.same)} sets of pictures are equal in every bit")
    if found.near:
        print(f"{len(found.near)} agree but for rounding: {', '.join(found.near)}")
    if found.different:
        print(f"{len(found.different)} are others: {', '.join(found.different)}")
    return 1 if found.different else 0
