"""`python -m headstyle.calibration`: the calibration without Snakemake."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from headstyle.base.errors import InputError
from headstyle.base.tables.frames import write_table
from headstyle.calibration.cases import Capture, settings_from_config
from headstyle.calibration.runs import keep_only
from headstyle.calibration.summary import calibrate
from headstyle.workflow.provenance import library_digest


def main() -> None:
    """Read the arguments, calibrate, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m headstyle.calibration", description=__doc__)
    parser.add_argument("config", nargs="+", type=Path, help="configurations, the last one wins")
    parser.add_argument("--out", required=True, type=Path, help="folder of scores and tables")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--capture",
        action="append",
        default=[],
        metavar="FOLDER",
        type=Path,
        help="a subject's folder of results, with views/ and baseline/; may be given repeatedly",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    config: dict[str, Any] = {}
    for path in arguments.config:
        config = _merged(config, yaml.safe_load(path.read_text(encoding="utf-8")))
    section = config["calibration"]
    settings = settings_from_config(section, config["metrics"])
    captures = [Capture(p.name, p / "views", p / "baseline") for p in arguments.capture]
    digest = library_digest(Path(__file__).parents[2] / "calibrate_metrics.py")
    keep_only(arguments.out / "cases", f"{digest} {settings}")
    made = calibrate(
        settings, captures, section["fit"], arguments.out / "cases", arguments.processes
    )
    write_table(arguments.out / "calibration.csv", made.metrics)
    write_table(arguments.out / "calibration_traps.csv", made.traps)
    write_table(arguments.out / "calibration_scores.csv", made.scores)
    print(made.metrics.round(3).to_string(index=False))


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The nested settings of `base`, overridden by those of `change`."""
    both = {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in change.items()
    }
    return {**base, **both}


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"Error: {error}")
