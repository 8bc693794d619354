"""Which views a data set holds out itself: it says so beside its cameras."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstyle.base.errors import InputError
from headstyle.importers.cameras.base import read_json_of_user
from headstyle.importers.listing import match_files

SPLITS = ("train", "val", "test")


def held_out_views(path: str | Path, views: Sequence[str]) -> list[str]:
    """The views that are in the data set's validation or test split, not in its training split.

    Splits are files `transforms_{train,val,test}.json` (NeRF, GaussianAvatars), or the lists
    `{train,val,test}_filenames` in transforms.json (nerfstudio).

    Args:
        path: The cameras of the subject, as the column `poses` names them.
        views: All views.

    Raises:
        InputError: the data set has no splits, or all views are in one.
    """
    if not path:
        raise InputError(
            "baseline.holdout is splits, but the subject has no poses of its own; name cameras with"
            " splits in the column poses, or set baseline.holdout to a number or to names"
        )
    names = split_names(path)
    if not names["train"] or not (names["val"] or names["test"]):
        raise InputError(
            f"{path} tells no views to train on and others to hold out (transforms_train.json and"
            " transforms_test.json, or train_filenames and test_filenames in transforms.json); set"
            " baseline.holdout to a number or to names"
        )
    offered = {name: split for split in SPLITS for name in names[split]}
    matched = match_files({view: view for view in views}, offered, str(path))
    held = [view for view in views if view in matched and offered[matched[view]] != "train"]
    if not held or len(held) == len(views):
        raise InputError(
            f"{path}: its splits hold out {len(held)} of the {len(views)} views; set"
            " baseline.holdout to a number or to names"
        )
    return held


def split_names(path: str | Path) -> dict[str, list[str]]:
    """Names of the images of each split, as the files give them; empty lists without splits."""
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    found: dict[str, list[str]] = {split: [] for split in SPLITS}
    whole = folder / "transforms.json" if path.is_dir() else path
    if whole.is_file() and whole.suffix.lower() == ".json":
        content = read_json_of_user(whole)
        for split in SPLITS:
            names = content.get(f"{split}_filenames") if isinstance(content, dict) else None
            found[split] = [_plain(name) for name in names or [] if isinstance(name, str)]
    if any(found.values()):
        return found
    for split in SPLITS:
        file = folder / f"transforms_{split}.json"
        if file.is_file():
            found[split] = [_plain(name) for name in _file_paths(read_json_of_user(file))]
    # A view in several files is one to train on.
    for split in ("val", "test"):
        found[split] = [name for name in found[split] if name not in found["train"]]
    return found


def _file_paths(content: Any) -> list[str]:
    frames = content.get("frames") if isinstance(content, dict) else None
    entries = frames if isinstance(frames, list) else []
    paths = [entry.get("file_path") for entry in entries if isinstance(entry, dict)]
    return [path for path in paths if isinstance(path, str)]


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")
