"""Files that appear whole or not at all: written beside their place, then renamed into it."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headstyle.base.errors import RESULT, InputError, Origin, first_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_BYTES = 1 << 32


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path`, with the same suffix, and rename it when the block succeeds.

    The contents are on the disk before the file is renamed, so a power cut leaves either the old
    file or the new one. If the block raises, `path` is left as it was and the partial file is
    removed. What an earlier process left that was killed at the same place is removed, too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")
    # A partial folder is new.
    in_partial = any(".partial-" in part for part in path.parent.parts)
    leftovers = f".{escape(path.stem)}.partial-*{escape(path.suffix)}"
    for leftover in () if in_partial else path.parent.glob(leftovers):
        leftover.unlink(missing_ok=True)
    try:
        yield partial
        # The files of a partial folder are brought to the disk together: that is much faster.
        if not in_partial:
            bring_to_disk([partial])
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path` that replaces it when the block succeeds.

    Leftovers of an earlier process that was killed at the same place are removed first.

    Raises:
        InputError: `path` is a link, behind which may lie what is not ours.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        raise InputError(
            f"{path} is a link, but is to be replaced as a whole; remove the link, or link a folder"
            " further up"
        )
    for leftover in path.parent.glob(f".{path.name}.partial-*"):
        shutil.rmtree(leftover)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        bring_to_disk(file for file in partial.rglob("*") if file.is_file())
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def bring_to_disk(paths: Iterable[Path]) -> None:
    """Wait until the contents of files are on the disk."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_sync, paths))


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented UTF-8 JSON with a final newline, whole or not at all."""
    with whole_file(path) as partial:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path, origin: Origin = RESULT) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        origin: Whose file it is.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; {origin.if_missing}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not valid JSON ({first_line(error)}); {origin.if_wrong}"
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); {origin.if_wrong}"
        ) from None


def read_arrays(
    path: str | Path, keys: Iterable[str], what: str, next_move: str
) -> list["NDArray[Any]"]:
    """Arrays of an .npz file. How much memory an array takes is looked at before it is read.

    Args:
        path: The file.
        keys: Names of the arrays.
        what: What the file holds, in words.
        next_move: What to do about a file that cannot be read.

    Raises:
        InputError: the file is missing or damaged, lacks an array, holds Python objects, or says
            that an array has more than 4 GiB.
    """
    from zipfile import ZipFile

    import numpy as np

    try:
        with ZipFile(path) as archive:
            for key in keys:
                with archive.open(f"{key}.npy") as member:
                    _check_array(member)
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[key] for key in keys]
    # Damaged archives raise errors of zipfile, zlib, struct and NumPy.
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"{path} cannot be read as {what} ({reason}); {next_move}") from None


def _check_array(member: IO[bytes]) -> None:
    from math import prod

    from numpy.lib import format as layout

    version = layout.read_magic(member)
    read = layout.read_array_header_1_0 if version == (1, 0) else layout.read_array_header_2_0
    shape, _, kind = read(member)
    if kind.kind not in "fiub":
        raise ValueError(f"it holds {kind}, not numbers")
    size = prod(shape) * kind.itemsize
    if size > _MOST_BYTES:
        raise ValueError(f"it says that it holds {size / 1e9:.0f} GB")


def write_points(path: Path, positions: "NDArray[Any]", colors: "NDArray[Any]") -> None:
    """Write points.npz: `positions` (N, 3) in the world and RGB `colors` (N, 3)."""
    import numpy as np

    with whole_file(path) as partial:
        np.savez(partial, positions=positions.astype(np.float64), colors=colors.astype(np.uint8))
