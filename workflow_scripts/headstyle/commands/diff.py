"""Show how two runs differ: settings, versions, models, scores and pictures, as one page."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare both runs and the page."""
    for name, which in (("RUN_A", "first"), ("RUN_B", "second")):
        parser.add_argument(
            which, type=Path, metavar=name, help=f"the results_dir of the {which} run"
        )
    parser.add_argument(
        *("-o", "--out"),
        type=Path,
        default=Path("diff.html"),
        metavar="FILE",
        help="the page to write; by default diff.html in the current folder",
    )


def run(options: argparse.Namespace) -> None:
    """Write the page, and print the summary."""
    # Other commands start in a fraction of the time without these.
    from headstyle.review.diff_page import difference_of, difference_text, write_difference

    found = difference_of(options.first, options.second)
    print(difference_text(found))
    write_difference(options.out, found)
    print(f"wrote {options.out}")
