"""The contact sheets of one subject: the results of each stage, and its avatars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.files import read_json
from headstyle.report import pictures
from headstyle.report.contact_sheets import TableSheet, Tile, color_scale, grid_sheet, table_sheet

MAX_TILES = 60
"""Largest number of views on the sheet of a stage. The views are evenly spaced."""
_TILE_PX = 400
_CELL_PX = 480


@dataclass(frozen=True)
class Subject:
    """The files of one subject that the stages wrote."""

    name: str
    """Name of the subject."""
    masks: Path
    """`masks.json` in the folder of the masks."""
    views: Path
    """Folder of the downscaled views and `cameras.json`."""
    baseline: Path
    """Folder of the baseline scene."""

    @property
    def cameras(self) -> Cameras:
        """Cameras of the views."""
        return read_cameras(self.views / "cameras.json")

    @property
    def mask_index(self) -> dict[str, Any]:
        """Contents of `masks.json`."""
        index: dict[str, Any] = read_json(self.masks)
        return index

    @property
    def photographs(self) -> dict[str, Path]:
        """The photograph of each view."""
        index = self.mask_index["views"]
        return {name: Path(index[name]["photograph"]) for name in sorted(index)}


@dataclass(frozen=True)
class Avatar:
    """One stylized scene of a subject, with its instruction."""

    name: str
    """Prompt and strength, as in the name of its folder."""
    folder: Path
    """Folder of the avatar."""
    prompt: str
    """Identifier of the prompt."""
    prompt_name: str
    """Name of the prompt in a few words, or empty."""
    prompt_text: str
    """Instruction to the editor."""
    strength: str
    """Name of the strength."""

    @property
    def cycles(self) -> list[Path]:
        """Folders of the edits, in the order of the cycles."""
        folders = (self.folder / "edits").glob("cycle*")
        return sorted(folders, key=lambda folder: int(folder.name.removeprefix("cycle")))

    @property
    def true_edit(self) -> Path | None:
        """Folder of photographs of the true edit. Only procedural heads have one."""
        folder = self.folder.parents[1] / "true_edits" / self.prompt
        return folder if folder.is_dir() else None


def photographs_sheet(subject: Subject) -> Image.Image:
    """Every photograph, upright."""
    photographs = subject.photographs
    tiles = [
        Tile(pictures.photograph(photographs[name], _TILE_PX), name)
        for name in pictures.evenly_spaced(list(photographs), MAX_TILES)
    ]
    return grid_sheet(f"{subject.name}: photographs", _count(len(photographs)), tiles)


def masks_sheet(subject: Subject) -> Image.Image:
    """Every photograph with its mask outlined and the background faded."""
    index, photographs = subject.mask_index, subject.photographs
    tiles = []
    for name in pictures.evenly_spaced(list(photographs), MAX_TILES):
        picture = pictures.photograph(photographs[name], _TILE_PX)
        view = index["views"][name]
        # Of a long line only the ends are shown.
        said = _corrections(view) or [f"{view['coverage']:.0%} of the frame"]
        notes = [*said, *view.get("flags", [])]
        shown = pictures.outlined(picture, subject.masks.parent / f"{name}.png")
        tiles.append(Tile(shown, name, ", ".join(notes)))
    steps = " and ".join(str(step).replace("_", " ") for step in index["steps"]) or "none (given)"
    subtitle = f"{_count(len(photographs))}, masking: {steps}"
    if note := index.get("agreement", {}).get("note"):
        subtitle += f"; masks stay as they were: {note}"
    return grid_sheet(f"{subject.name}: masks", subtitle, tiles)


def views_sheet(subject: Subject) -> Image.Image:
    """Every undistorted, downscaled view without its background."""
    cameras = subject.cameras
    tiles = []
    for name in pictures.evenly_spaced(cameras.names, MAX_TILES):
        width, height = cameras.sizes[cameras.index(name)]
        picture = pictures.cutout(subject.views / f"{name}.png", _TILE_PX)
        tiles.append(Tile(picture, name, f"{width} × {height} px"))
    subtitle = f"{_count(len(cameras))} registered, undistorted and masked"
    return grid_sheet(f"{subject.name}: views", subtitle, tiles)


def baseline_sheet(subject: Subject) -> Image.Image:
    """Every view beside its render, with the PSNR on its foreground."""
    scores = read_json(subject.baseline / "metrics.json")
    names = list(subject.cameras.names)
    tiles = []
    for name in pictures.evenly_spaced(names, MAX_TILES // 2):
        view = pictures.cutout(subject.views / f"{name}.png", _TILE_PX)
        render = pictures.cutout(subject.baseline / "renders" / f"{name}.png", _TILE_PX)
        score = scores["views"].get(name, {})
        note = f"{score['psnr']:.1f} dB" if score.get("psnr") is not None else ""
        note += ", held out" if score.get("heldout") else ""
        tiles.append(Tile(pictures.beside(view, render), name, note))
    kind = "splats" if "splats" in scores else "parameters"
    subtitle = (
        f"view | render, {scores[kind]:,} {kind} after {scores['iterations']:,} iterations, "
        f"mean PSNR {_decibels(scores.get('psnr'))} on training views"
    )
    if scores.get("heldout_psnr") is not None:
        subtitle += f", {_decibels(scores['heldout_psnr'])} on held-out views"
    return grid_sheet(f"{subject.name}: baseline", subtitle, tiles)


def depth_sheet(subject: Subject) -> Image.Image:
    """The baseline's median depth of every view, all in one color scale."""
    names = pictures.evenly_spaced(subject.cameras.names, MAX_TILES)
    folder = subject.baseline / "depth"
    depths = {name: pictures.read_depth(folder / f"{name}.npz", _TILE_PX) for name in names}
    low, high = pictures.depth_range(list(depths.values()))
    tiles = [Tile(pictures.depth_picture(depth, low, high), n) for n, depth in depths.items()]
    scale = color_scale(pictures.depth_scale(), f"near {low:.3g}", f"far {high:.3g}")
    subtitle = "median depth of the baseline, in the units of the reconstruction"
    return grid_sheet(f"{subject.name}: depth", subtitle, tiles, scale)


def avatar_sheet(subject: Subject, avatar: Avatar, views: int = 4) -> Image.Image:
    """One avatar: photograph, baseline render, edits and avatar render of some views.

    The true edit is shown too, if it is known.
    """
    names = pictures.varied_views(subject.cameras, views)
    cycles = pictures.evenly_spaced(avatar.cycles, 3)
    folders = [
        subject.views,
        subject.baseline / "renders",
        *cycles,
        avatar.folder / "renders",
        *([avatar.true_edit] if avatar.true_edit else []),
    ]
    edits = [f"edit, {folder.name.replace('cycle', 'cycle ')}" for folder in cycles]
    columns = ["photograph", "baseline", *edits, "avatar", "true edit"][: len(folders)]
    cells = [[_cutout(folder / f"{name}.png") for folder in folders] for name in names]
    title = f"{subject.name}: “{avatar.prompt_text}”, {avatar.strength}"
    subtitle = f"{len(names)} of {len(subject.cameras)} views"
    return table_sheet(TableSheet(title, subtitle, columns, names, cells), 380)


def avatars_sheet(subject: Subject, avatars: Sequence[Avatar], views: int = 6) -> Image.Image:
    """All avatars of a subject, one per row, below its photographs and its baseline."""
    names = pictures.varied_views(subject.cameras, views)
    rows = [("photographs", "", subject.views), ("baseline", "", subject.baseline / "renders")]
    rows += [(a.name.replace("_", " "), a.prompt_text, a.folder / "renders") for a in avatars]
    cells = [[_cutout(folder / f"{name}.png") for name in names] for _, _, folder in rows]
    title = f"{subject.name}: avatars" if avatars else f"{subject.name}: no avatars in this run"
    subtitle = f"{len(names)} of {len(subject.cameras)} views"
    heads, notes = [row[0] for row in rows], [row[1] for row in rows]
    return table_sheet(TableSheet(title, subtitle, names, heads, cells, notes), 260)


def _representation(scene: Path) -> str:
    """What a scene is made of, in a word."""
    return "splats" if (scene / "splats.ply").exists() else "radiance field"


def strip_sheet(subject: Subject, avatars: Sequence[Avatar], most: int = 4) -> Image.Image:
    """The stages on one view in one row, from the photograph to some avatars with their edits.

    Shows the view that represents the rig, and at most `most` avatars of the last strength.
    """
    view = pictures.shown_view(subject.cameras)
    photograph = pictures.photograph(subject.photographs[view], _CELL_PX)
    baseline = subject.baseline / "renders" / f"{view}.png"
    columns = [
        ("photograph", "", photograph),
        ("mask", "", pictures.outlined(photograph, subject.masks.parent / f"{view}.png")),
        (
            "baseline",
            _representation(subject.baseline),
            _cutout(baseline),
        ),
    ]
    strongest = [avatar for avatar in avatars if avatar.strength == avatars[-1].strength]
    for avatar in pictures.evenly_spaced(strongest, most):
        note = avatar.prompt_name or avatar.prompt
        if avatar.cycles:
            columns.append(("edit", note, _cutout(avatar.cycles[-1] / f"{view}.png")))
        columns.append(("avatar", note, _cutout(avatar.folder / "renders" / f"{view}.png")))
        if avatar.true_edit:
            columns.append(("true edit", note, _cutout(avatar.true_edit / f"{view}.png")))
    heads, notes, cells = zip(*columns, strict=True)
    sheet = TableSheet("", "", heads, [subject.name], [cells], column_notes=notes)
    return table_sheet(sheet, 380)


def stacked_strips(strips: Sequence[str | Path]) -> Image.Image:
    """The strips of several subjects in one picture. Strips of one form share the first's heads."""
    images: list[Image.Image] = []
    for path in strips:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    head = TableSheet("", "", ["photograph"], [""], [[None]], column_notes=["note"]).top_px
    cut = [
        image if i == 0 or image.size != images[0].size else image.crop((0, head, *image.size))
        for i, image in enumerate(images)
    ]
    stack = Image.new("RGB", (max(i.width for i in cut), sum(i.height for i in cut)), "white")
    y = 0
    for strip in cut:
        stack.paste(strip, (0, y))
        y += strip.height
    return stack


def _corrections(view: Mapping[str, Any]) -> list[str]:
    """What the other views changed of a mask, in words. A view that was not compared has none."""
    changes = (("carved", "carved"), ("given_back", "given back"))
    return [f"{view[key]:.0%} {word}" for key, word in changes if view.get(key, 0) >= 0.005]


def _cutout(path: Path) -> Image.Image | None:
    """The picture, or None if the cycle did not edit the view."""
    return pictures.cutout(path, _CELL_PX) if path.exists() else None


def _count(views: int) -> str:
    return f"{MAX_TILES} of {views} views" if views > MAX_TILES else f"{views} views"


def _decibels(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} dB"
