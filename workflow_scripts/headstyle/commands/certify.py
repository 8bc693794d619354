"""Judge a metric of your own by the values that it gave to a kit."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the kit, the values, and what the metric is called."""
    parser.add_argument(
        "kit",
        type=Path,
        metavar="KIT",
        help="what `snakemake metric_kit` wrote, such as results/metric_kit",
    )
    parser.add_argument("csv", type=Path, metavar="CSV", help="columns item and value")
    parser.add_argument("--name", default="my metric", help="what the metric is called")
    parser.add_argument(
        "--direction",
        choices=("lower", "higher"),
        default="lower",
        help="which values mean more consistent views",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        metavar="HTML",
        help="page to write, with a table (.tsv) beside it; by default beside the CSV",
    )


def run(options: argparse.Namespace) -> None:
    """Write the card, and say what it says."""
    # Imported here, as it takes seconds that no other command should wait for.
    from headstyle.calibration.kit.card import certify
    from headstyle.calibration.kit.page import sentences, write_card

    card = certify(options.kit, options.csv, options.name, options.direction)
    html = options.out or options.csv.with_suffix(".certificate.html")
    write_card(card, html, html.with_suffix(".tsv"))
    for sentence in sentences(card):
        print(sentence)
    print(html)
