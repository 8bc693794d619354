"""What every stage script shares: log, threads, GPUs, checksums, and how it ends on errors."""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstyle.base.devices import use_threads
from headstyle.base.errors import InputError
from headstyle.workflow.failures import sentence_of
from headstyle.workflow.gpus import own_gpus
from headstyle.workflow.manifests import checked, forget, write_manifests
from headstyle.workflow.running.lines import QUIET_STAGES


@contextmanager
def stage(snakemake: Any, *, index: str = "") -> Iterator[logging.Logger]:
    """Run the body of a stage script: log to the rule's log and to stderr, use the rule's threads.

    On stderr each line says whose it is. Where the run shows its progress itself, nothing is
    written there (`headstyle.workflow.running.lines.QUIET_STAGES`).

    The body sees only the GPUs that the job holds (`headstyle.workflow.gpus`).

    Inputs that other stages made are checked against their checksums first. At the end the
    checksums of the outputs are written.

    An `InputError`, and what the machine ran out of, end the job with one sentence. Any other error
    also leaves its traceback in the log.

    Args:
        snakemake: What Snakemake hands to the script.
        index: Name of the output that stands for all files of its folder, such as `masks.json`
            for the masks beside it. Empty where every output stands for itself.
    """
    whose = " ".join(dict(getattr(snakemake, "wildcards", {}).items()).values())
    logger = _open_log(Path(snakemake.log[0]), snakemake.rule, whose)
    use_threads(snakemake.threads)
    started = time.monotonic()
    try:
        forget(snakemake.output)
        inputs = checked(snakemake.input)
        with (
            own_gpus(int(snakemake.resources.get("gpu", 0))),
            _told_when_late(logger, snakemake.resources.get("runtime")),
        ):
            yield logger
        write_manifests(
            snakemake.rule,
            snakemake.output,
            inputs,
            getattr(snakemake.output, index) if index else None,
        )
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception as error:
        if sentence := sentence_of(error):
            logger.error("%s", sentence)
        else:
            logger.exception("stopped by an unexpected error")
        sys.exit(1)
    logger.info("done in %.1f s", time.monotonic() - started)


@contextmanager
def _told_when_late(logger: logging.Logger, expected_min: float | None) -> Iterator[None]:
    """Tell in the log when a job takes longer than it expects, and again each time that doubles.

    On a cluster the scheduler ends such a job. Here nobody would notice that a worker of it hangs,
    or that a network share does not answer.

    Args:
        logger: Of the job.
        expected_min: What the job asks a scheduler for [min]; None for jobs that ask for no time.
    """
    is_over = threading.Event()

    def watch(expected: float) -> None:
        started = time.monotonic()
        while not is_over.wait(started + 60 * expected - time.monotonic()):
            logger.warning(
                "still at work after %g min, longer than expected; if it uses neither processor nor"
                " GPU (see top and nvidia-smi), it hangs: stop the run and run the same command"
                " again, as finished work is kept",
                round(expected, 2),
            )
            expected *= 2

    if expected_min:
        threading.Thread(target=watch, args=(float(expected_min),), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


class _LogFile(logging.FileHandler):
    """A log on a disk that may be full: losing lines of it is no reason for a traceback.

    Where nothing else shows them, they go to stderr: one of them may tell that the disk is full.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
        elif os.environ.get(QUIET_STAGES):
            print(self.format(record), file=sys.stderr)


def _open_log(path: Path, name: str, whose: str) -> logging.Logger:
    root = logging.getLogger()
    root.handlers.clear()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _add_handler(_LogFile(path, mode="w", encoding="utf-8"), "")
    except OSError as error:
        sys.exit(sentence_of(error))
    if not os.environ.get(QUIET_STAGES):
        _add_handler(logging.StreamHandler(), f"{f'{name} {whose}'.strip()}: ".replace("%", "%%"))
    root.setLevel(logging.WARNING)
    logger = logging.getLogger("headstyle")
    logger.setLevel(logging.INFO)
    return logger.getChild(name)


def _add_handler(handler: logging.Handler, prefix: str) -> None:
    style = f"%(asctime)s %(levelname)s {prefix}%(message)s"
    handler.setFormatter(logging.Formatter(style, "%H:%M:%S"))
    logging.getLogger().addHandler(handler)
