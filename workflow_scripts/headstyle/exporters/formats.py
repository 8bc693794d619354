"""The formats of `headstyle export`, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.exporters import colmap, depth, nerfstudio, tables, turntable
from headstyle.exporters.scene import SceneFolder, find_scene
from headstyle.rendering.splat_files import read_splats, write_splats


@dataclass(frozen=True)
class ExportFormat:
    """One format."""

    words: str
    """What it is, for the list of formats."""
    name: str
    """Name of its file or folder below `exports/` of a scene."""
    write: Callable[[SceneFolder, Path], None]
    """Writes a scene."""


def _splats(scene: SceneFolder, out: Path) -> None:
    write_splats(out, read_splats(scene.splats))


def _colmap_text(scene: SceneFolder, out: Path) -> None:
    colmap.export_colmap(scene, out, text=True)


def _csv(scene: SceneFolder, out: Path) -> None:
    tables.export_tables(scene.folder, out, ".csv")


def _parquet(scene: SceneFolder, out: Path) -> None:
    tables.export_tables(scene.folder, out, ".parquet")


FORMATS = {
    "ply": ExportFormat("splats, every number as it is", "splats.ply", _splats),
    "splat": ExportFormat("splats for web viewers, 32 bytes each", "splats.splat", _splats),
    "spz": ExportFormat("splats, compressed (version 3)", "splats.spz", _splats),
    "sog": ExportFormat("splats for SuperSplat and PlayCanvas, compressed", "splats.sog", _splats),
    "nerfstudio": ExportFormat(
        "transforms.json, images, masks and points", "nerfstudio", nerfstudio.export_nerfstudio
    ),
    "colmap": ExportFormat("images and a binary COLMAP model", "colmap", colmap.export_colmap),
    "colmap-text": ExportFormat("images and a COLMAP model as text", "colmap-text", _colmap_text),
    "depth-exr": ExportFormat("depth as EXR, float32", "depth-exr", depth.export_depth_exr),
    "depth-png": ExportFormat(
        "depth as 16-bit PNG, and its scale", "depth-png", depth.export_depth_png
    ),
    "csv": ExportFormat("the tables as CSV", "csv", _csv),
    "parquet": ExportFormat("the tables as Parquet", "parquet", _parquet),
    "turntable": ExportFormat(
        "a video once around the head, MP4", "turntable.mp4", turntable.export_turntable
    ),
}
"""All formats by the name that the command and the rule take."""


def export(path: str | Path, name: str, out: str | Path | None = None) -> Path:
    """Write a scene in a format.

    Args:
        path: The scene's folder; for tables any folder that has some; for splats also a file.
        name: One of `FORMATS`.
        out: Where to; None is `exports/` in the scene's folder.

    Returns:
        What was written.

    Raises:
        InputError: the format is unknown, or the scene lacks what it needs.
    """
    path = Path(path)
    if name not in FORMATS:
        raise InputError(f"{name!r} is no format of headstyle export; use {', '.join(FORMATS)}")
    kind = FORMATS[name]
    if path.is_file() and kind.write is _splats:
        target = Path(out) if out else path.with_suffix(f".{name}")
        _check_target(target, path, kind)
        write_splats(target, read_splats(path))
        return target
    of_tables = name in ("csv", "parquet") and path.is_dir()
    scene = SceneFolder(path, path) if of_tables else find_scene(path)
    target = Path(out) if out else scene.folder / "exports" / kind.name
    _check_target(target, scene.folder, kind, is_ours=out is None or of_tables)
    kind.write(scene, target)
    return target


def formats_in_words() -> str:
    """One line per format: its name and what it is."""
    widest = max(map(len, FORMATS))
    return "\n".join(f"  {name:<{widest}}  {kind.words}" for name, kind in FORMATS.items())


def _check_target(target: Path, source: Path, kind: ExportFormat, is_ours: bool = False) -> None:
    """Raise an InputError where an export would replace what it reads, or a folder of the user's.

    Args:
        target: Where the export goes.
        source: The file or folder that is exported.
        kind: The format.
        is_ours: Whether a folder at the target may be replaced.
    """
    if source.resolve().is_relative_to(target.resolve()):
        raise InputError(f"{target} holds what is exported; name another place to write to")
    if "." in kind.name:
        suffix = Path(kind.name).suffix
        if target.is_dir() or target.suffix.lower() != suffix:
            raise InputError(f"{target} must be a file that ends in {suffix}; rename it")
    elif target.is_file():
        raise InputError(f"{target} is a file, but {kind.words} need a folder; name another place")
    elif not is_ours and target.is_dir() and any(target.iterdir()):
        raise InputError(f"{target} is not empty; name a new folder to write to")
