"""Run a large study part by part: each run plans some of the subjects, and the last the tables.

    headstyle run --parts 20 -- --cores all --configfile my.yaml

What stands behind `--` are options of `snakemake`. The results are those of one run. The same
command goes on after a fault.
"""

import argparse
import subprocess
import sys

from headstyle.base.errors import InputError
from headstyle.workflow.planning.parts import REST

_CONFIG = ("--config", "-C")
_GOES_ON = ("--keep-going", "-k")
_DRY = ("--dry-run", "--dryrun", "-n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the number of parts and the words for Snakemake."""
    parser.add_argument(
        "--parts", type=int, default=20, help="how many; 50 subjects a part plan well (20)"
    )
    parser.add_argument(
        "snakemake", nargs="*", metavar="OPTION", help="an option of snakemake, behind --"
    )


def run(options: argparse.Namespace) -> int:
    """Run Snakemake once for each part and once for the rest.

    Returns:
        Exit status of the last run; of the first that failed, where one did.
    """
    count = options.parts
    if count < 1:
        raise InputError(f"--parts is {count}; name 1 part or more")
    failed = 0
    for part in [*(f"{number}/{count}" for number in range(1, count + 1)), REST]:
        if part == REST and set(_DRY) & set(options.snakemake):
            print("headstyle run: the rest is planned once all parts are made", file=sys.stderr)
            break
        if part == REST and failed:
            break
        print(f"headstyle run: part {part}", file=sys.stderr, flush=True)
        words = words_of_part(options.snakemake, part)
        status = subprocess.call([sys.executable, "-m", "snakemake", *words])
        if status:
            failed = failed or status
            if not set(_GOES_ON) & set(options.snakemake):
                break
    if failed:
        print("headstyle run: a part failed; the same command goes on", file=sys.stderr)
    return failed


def words_of_part(words: list[str], part: str) -> list[str]:
    """Snakemake's words for a part: it takes the last `--config` alone, so the part joins that."""
    places = [place for place, word in enumerate(words) if word in _CONFIG]
    setting = f"part={part}"
    if not places:
        return [*words, "--config", setting]
    after = places[-1] + 1
    return [*words[:after], setting, *words[after:]]
