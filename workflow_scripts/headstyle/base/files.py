"""Files that appear whole or not at all: written beside their place, then renamed into it."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstyle.base.errors import RESULT, InputError, Origin

if TYPE_CHECKING:
    from numpy.typing import NDArray


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path`, with the same suffix, and rename it when the block succeeds.

    If the block raises, `path` is left as it was and the partial file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path` that replaces it when the block succeeds.

    Leftovers of an earlier process that was killed at the same place are removed first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.partial-*"):
        shutil.rmtree(leftover)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); {origin.if_wrong}") from None


def write_points(path: Path, positions: "NDArray[Any]", colors: "NDArray[Any]") -> None:
    """Write points.npz: `positions` (N, 3) in the world and RGB `colors` (N, 3)."""
    import numpy as np

    with whole_file(path) as partial:
        np.savez(partial, positions=positions.astype(np.float64), colors=colors.astype(np.uint8))
