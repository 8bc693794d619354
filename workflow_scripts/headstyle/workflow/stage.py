"""What every stage script shares: its log, its threads and GPUs, and how it ends on bad input."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstyle.base.devices import use_threads
from headstyle.base.errors import InputError
from headstyle.workflow.gpus import own_gpus


@contextmanager
def stage(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the body of a stage script: log to the rule's log and to stderr, use the rule's threads.

    The body sees only the GPUs that the job holds (`headstyle.workflow.gpus`).

    An `InputError` ends the job with its one sentence; any other error also leaves its traceback
    in the log.
    """
    logger = _open_log(Path(snakemake.log[0]), snakemake.rule)
    use_threads(snakemake.threads)
    started = time.monotonic()
    try:
        with own_gpus(int(snakemake.resources.get("gpu", 0))):
            yield logger
    except InputError as error:
        logger.error("%s", error)
        sys.exit(1)
    except Exception:
        logger.exception("stopped by an unexpected error")
        sys.exit(1)
    logger.info("done in %.1f s", time.monotonic() - started)


def _open_log(path: Path, name: str) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    root.handlers.clear()
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logger = logging.getLogger("headstyle")
    logger.setLevel(logging.INFO)
    return logger.getChild(name)
