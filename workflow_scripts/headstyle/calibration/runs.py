"""Score all cases in parallel, and continue an earlier run."""

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from headstyle.base.files import read_json, write_json
from headstyle.base.progress import progress
from headstyle.calibration.cases import Case
from headstyle.calibration.scoring import case_folder, score_case

logger = logging.getLogger("headstyle.calibration")


def score_cases(cases: Sequence[Case], folder: Path, processes: int) -> None:
    """Score all cases into a folder; see `headstyle.calibration.scoring.score_case`.

    Args:
        cases: What to score.
        folder: Folder of the scores. Cases whose scores it holds are skipped.
        processes: Number of cases that are scored at the same time, each by one thread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = [case for case in cases if not _is_done(case, folder)]
    logger.info("%d of %d cases are scored already", len(cases) - len(left), len(cases))
    if processes == 1:
        for case in progress(left, "cases"):
            score_case(case, folder)
        return
    # A forked process would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs = [pool.submit(score_case, case, folder) for case in left]
        for job in progress(_Finishing(jobs), "cases"):
            job.result()


def keep_only(folder: Path, key: str) -> None:
    """Remove scores of other settings or another version of the library, which `key` identifies."""
    note = folder / "key.json"
    if note.exists() and read_json(note) == key:
        return
    for path in [*folder.glob("*/*.csv"), *folder.glob("*/*.json")]:
        path.unlink()
    write_json(note, key)


def _is_done(case: Case, folder: Path) -> bool:
    own = case_folder(case, folder)
    names = ["consistent", "traps", "seconds"]
    names += [f"{ladder}_{seed}" for ladder in case.ladders() for seed in case.settings.seeds]
    return all((own / f"{name}.csv").exists() for name in names)


class _Finishing:
    """The jobs in the order in which they finish, with their number as length."""

    def __init__(self, jobs: list[Future[Any]]) -> None:
        self.jobs = jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def __iter__(self) -> Iterator[Future[Any]]:
        return as_completed(self.jobs)
