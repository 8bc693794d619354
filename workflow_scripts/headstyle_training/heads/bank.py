"""Many heads with true edits of each, sculpted by worker processes, held on the device.

A head arrives as 16 bytes per disc (`headstyle_training.heads.surfels`): 12 of geometry, 4 of
paint. Edits that only paint share the geometry of their original. All heads lie one after the other
in two tensors, so that a batch is gathered in two steps.
"""

import logging
import os
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from headstyle.base.errors import InputError
from headstyle.capture.operators import OPERATORS, STUDY_OPERATORS, Edit
from headstyle.training.cuda_graphs import RECORDING
from numpy.typing import NDArray
from torch import Tensor

from headstyle_training.heads.files import made_head, read_head
from headstyle_training.heads.photographer import SurfelBatch, unpacked
from headstyle_training.heads.surfels import (
    GEOMETRY,
    PAINT,
    PackedHead,
)

logger = logging.getLogger("headstyle.models")

STUDY_SHARE = 0.75
"""Share of the study's operators among the edits, the rest are everyday recolorings."""
MEMORY_LIMIT_BYTES = 32 * 2**30
NICENESS = 10
"""Niceness of the processes that sculpt: the training, which runs meanwhile, goes first."""


@dataclass(frozen=True)
class Version:
    """Where the discs of a head, or of an edit of it, lie in the bank."""

    geometry_start: int
    paint_start: int
    count: int


@dataclass(frozen=True)
class BankedEdit:
    """A true edit, and the head that it edits."""

    seed: int
    edit: Edit
    original: Version
    edited: Version
    free_groups: tuple[bool, ...]


class HeadBank:
    """Heads and their edits; more arrive until all seeds are done or the memory is used up.

    The bank grows in the background, so a draw depends on how far it has come, unless `wait_for`
    waited for all seeds first.
    """

    def __init__(
        self,
        seeds: Iterable[int],
        coarseness: float = 2.0,
        workers: int = 0,
        device: torch.device | str = "cpu",
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        cache: Path | None = None,
    ) -> None:
        """Start making heads.

        Args:
            seeds: One head each, in this order.
            coarseness: As in `sculpt_head`; 2 makes discs about 1.6 mm apart.
            workers: Processes that sculpt; 0 sculpts in this one.
            device: Where the discs are held.
            memory_limit_bytes: The bank stops growing when it reaches this size.
            cache: Folder where sculpted heads are kept, and taken from; None keeps none.

        Raises:
            InputError: there is no seed.
        """
        self.seeds = tuple(seeds)
        if not self.seeds:
            raise InputError("the bank of heads has no seeds; give it at least one")
        self.device = torch.device(device)
        self._limit_bytes = memory_limit_bytes
        self._geometry = torch.empty(0, GEOMETRY.itemsize // 4, dtype=torch.int32)
        self._paint = torch.empty(0, dtype=torch.int32)
        self._used = {"geometry": 0, "paint": 0}
        self._by_operator: dict[str, list[BankedEdit]] = defaultdict(list)
        self._full_by_operator: dict[str, list[BankedEdit]] = defaultdict(list)
        self._by_seed: dict[int, list[BankedEdit]] = defaultdict(list)
        self._heads = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._change = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._grow, args=(coarseness, workers, cache), name="head bank", daemon=True
        )
        self._thread.start()

    def __len__(self) -> int:
        """How many heads there are now."""
        return self._heads

    def wait_for(self, count: int) -> None:
        """Wait until there are `count` heads, or all there will ever be.

        Raises:
            RuntimeError: making the heads failed.
        """
        with self._change:
            self._change.wait_for(lambda: self._heads >= count or self._ended)
        self._check()

    @property
    def ended(self) -> bool:
        """Whether the bank has stopped growing."""
        return self._ended

    @property
    def used_bytes(self) -> int:
        """Device memory that the heads take."""
        return self._used["geometry"] * GEOMETRY.itemsize + self._used["paint"] * PAINT.itemsize

    def close(self) -> None:
        """Stop growing; the heads stay. Waits for the heads that are being made."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> "HeadBank":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def draw(
        self,
        count: int,
        rng: np.random.Generator,
        operators: Sequence[str] | None = None,
        full_strength: bool = False,
    ) -> list[BankedEdit]:
        """Draw edits: first the operator, then one of its edits.

        Args:
            count: How many.
            rng: Draws them.
            operators: Draw evenly from these; None draws from all, the study's `STUDY_SHARE` of
                the time.
            full_strength: Leave out edits of another strength than 1.

        Raises:
            InputError: an operator does not exist.
            RuntimeError: the bank has no edit by these operators yet, or making heads failed.
        """
        self._check()
        unknown = set(operators or ()) - set(OPERATORS)
        if unknown:
            raise InputError(
                f"there is no operator {sorted(unknown)[0]!r}; choose from {', '.join(OPERATORS)}"
            )
        with self._change:
            wanted = tuple(operators or OPERATORS)
            by_operator = self._full_by_operator if full_strength else self._by_operator
            names = [name for name in wanted if by_operator.get(name)]
            if not names:
                raise RuntimeError(
                    f"none of the {self._heads} heads in the bank has an edit by {wanted}; "
                    "wait_for more of them"
                )
            shares = _shares(names) if operators is None else np.full(len(names), 1 / len(names))
            chosen = rng.choice(len(names), size=count, p=shares)
            lists = [by_operator[names[i]] for i in chosen]
            return [edits[int(rng.integers(len(edits)))] for edits in lists]

    def siblings(self, edit: BankedEdit) -> list[BankedEdit]:
        """All edits of the same head, this one included."""
        with self._change:
            return list(self._by_seed[edit.seed])

    def fetch(self, versions: Sequence[Version]) -> SurfelBatch:
        """The discs of some versions, padded to the longest."""
        longest = max(version.count for version in versions)

        def column(values: Iterable[int]) -> Tensor:
            return torch.tensor(list(values), device=self.device)[:, None]

        counts = column(version.count for version in versions)
        steps = torch.arange(longest, device=self.device)[None]
        within = torch.minimum(steps, counts - 1)
        with self._change:
            geometry = self._geometry[column(v.geometry_start for v in versions) + within]
            paint = self._paint[column(v.paint_start for v in versions) + within]
        return unpacked(geometry, paint, steps < counts)

    def _check(self) -> None:
        if self._failure is not None:
            raise RuntimeError("making heads for the bank failed") from self._failure

    def _grow(self, coarseness: float, workers: int, cache: Path | None) -> None:
        try:
            for head in _heads_in_order(self.seeds, coarseness, workers, cache, self._stop):
                with RECORDING:
                    added = self._add(head)
                if not added or self._stop.is_set():
                    break
        except BaseException as failure:
            # Hours of training are worth more than further heads.
            if self._heads:
                logger.warning("no more heads after %d: %r", self._heads, failure)
            else:
                self._failure = failure
        with self._change:
            self._ended = True
            self._change.notify_all()

    def _add(self, head: PackedHead) -> bool:
        """Copy a head to the device; False if it would exceed the memory limit."""
        geometries = [head.original.geometry]
        geometries += [edit.geometry for edit in head.edits if edit.geometry is not None]
        paints = [head.original.paint, *(edit.paint for edit in head.edits)]
        geometry = _as_int32(np.concatenate(geometries)).to(self.device)
        paint = _as_int32(np.concatenate(paints))[:, 0].to(self.device)
        size = geometry.numel() * 4 + paint.numel() * 4
        if self._heads and self.used_bytes + size > self._limit_bytes:
            return False
        with self._change:
            geometry_start, paint_start = self._used["geometry"], self._used["paint"]
            self._geometry = self._extended(self._geometry, geometry_start, geometry)
            self._paint = self._extended(self._paint, paint_start, paint)
            self._used["geometry"] += len(geometry)
            self._used["paint"] += len(paint)
            for banked in _placed(head, geometry_start, paint_start):
                self._by_operator[banked.edit.operator].append(banked)
                if banked.edit.strength == 1:
                    self._full_by_operator[banked.edit.operator].append(banked)
                self._by_seed[banked.seed].append(banked)
            self._heads += 1
            self._change.notify_all()
        return True

    def _extended(self, pool: Tensor, used: int, added: Tensor) -> Tensor:
        """The pool with more rows behind those used; a full pool moves to one half as large again.

        The first head tells how large the pool has to be for all seeds.
        """
        needed = used + len(added)
        if needed > len(pool):
            row_bytes = added[0].numel() * 4
            wanted = int(1.15 * len(added) * len(self.seeds)) if not used else int(1.5 * len(pool))
            share = GEOMETRY.itemsize if added.ndim == 2 else PAINT.itemsize
            most = self._limit_bytes * share // (GEOMETRY.itemsize + PAINT.itemsize) // row_bytes
            larger = torch.empty(
                (max(needed, min(wanted, most)), *added.shape[1:]),
                dtype=torch.int32,
                device=self.device,
            )
            larger[:used] = pool[:used]
            pool = larger
        pool[used:needed] = added
        return pool


def _shares(names: Sequence[str]) -> NDArray[np.float64]:
    study = np.isin(names, list(STUDY_OPERATORS.values()))
    if study.all() or not study.any():
        return np.full(len(names), 1 / len(names))
    return np.where(study, STUDY_SHARE / study.sum(), (1 - STUDY_SHARE) / (~study).sum())


def _placed(head: PackedHead, geometry_start: int, paint_start: int) -> Iterator[BankedEdit]:
    """The head's edits, where `HeadBank._add` puts them."""
    original = Version(geometry_start, paint_start, len(head.original.paint))
    geometry_end = geometry_start + original.count
    paint_end = paint_start + original.count
    for edited in head.edits:
        count = len(edited.paint)
        if edited.geometry is None:
            version = Version(geometry_start, paint_end, count)
        else:
            version = Version(geometry_end, paint_end, count)
            geometry_end += count
        paint_end += count
        yield BankedEdit(head.seed, edited.edit, original, version, edited.free_groups)


def _as_int32(rows: NDArray[np.void]) -> Tensor:
    return torch.from_numpy(rows.view(np.int32).reshape(len(rows), -1))


def _heads_in_order(
    seeds: Sequence[int],
    coarseness: float,
    workers: int,
    cache: Path | None,
    stop: threading.Event,
) -> Iterator[PackedHead]:
    """Heads in the order of their seeds; a few are made ahead of the one asked for."""
    some = False
    for seed, made in _made_in_order(seeds, coarseness, workers, cache, stop):
        try:
            head = made()
        except BrokenExecutor:
            raise
        except Exception as error:
            # If the first heads all fail, so will the rest.
            if not some:
                raise
            logger.warning("head %d cannot be sculpted (%r); it is left out", seed, error)
            continue
        whole = head if isinstance(head, PackedHead) else read_head(head, seed)
        if whole is not None:
            some = True
            yield whole


def _made_in_order(
    seeds: Sequence[int],
    coarseness: float,
    workers: int,
    cache: Path | None,
    stop: threading.Event,
) -> Iterator[tuple[int, Callable[[], PackedHead | Path]]]:
    """Each seed with a function that returns its head or raises why there is none."""
    if workers == 0:
        for seed in seeds:
            yield seed, partial(made_head, seed, coarseness, cache)
        return
    # Spawned, not forked: a forked child of a process that uses CUDA cannot use CUDA.
    spawned = get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, spawned, os.nice, (NICENESS,)) as pool:
        ahead: deque[tuple[int, Future[PackedHead | Path]]] = deque()
        for seed in seeds:
            ahead.append((seed, pool.submit(made_head, seed, coarseness, cache)))
            if len(ahead) > 2 * workers:
                first, future = ahead.popleft()
                yield first, future.result
            if stop.is_set():
                break
        while ahead and not stop.is_set():
            first, future = ahead.popleft()
            yield first, future.result
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let new processes compute with one thread; libraries read this when they are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
