"""`headstyle COMMAND ...`, also as `python -m headstyle COMMAND ...`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from headstyle import __version__
from headstyle.base.errors import InputError
from headstyle.commands import benchmark, certify, diff, export, inspect, run, status, verify, view

COMMANDS = (inspect, run, status, diff, view, export, verify, certify, benchmark)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after `headstyle`; None takes those of the process.

    Returns:
        Exit status: 0, or 1 after bad input, which is told in one sentence on stderr. Some commands
        have further ones, which their help names.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("headstyle").setLevel(logging.INFO)
    try:
        return options.run(options) or 0
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # What read the output, such as `head`, has enough. Python would say so at its end, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headstyle",
        description="Commands beside the workflow, which `snakemake` runs.",
    )
    parser.add_argument("--version", action="version", version=f"headstyle {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        words = (command.__doc__ or "").strip()
        each = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=words.splitlines()[0],
            description=words,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(each)
        each.set_defaults(run=command.run)
    return parser
