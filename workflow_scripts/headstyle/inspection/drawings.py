"""The pictures of an inspection: its cameras, and a contact sheet."""

from pathlib import Path

from PIL import Image as PillowImage

from headstyle.base.errors import InputError
from headstyle.base.files import whole_file
from headstyle.base.progress import progress
from headstyle.base.tables.rows import write_cells
from headstyle.inspection.cameras import overlap
from headstyle.inspection.findings import Findings
from headstyle.inspection.splats import pictures_around
from headstyle.report.adjacency_plot import plot_adjacency
from headstyle.report.contact_sheets import Tile, grid_sheet
from headstyle.report.pictures import evenly_spaced, photograph

MOST_TILES = 60
_TILE_PX = 220


def write_findings(found: Findings, out: Path) -> list[Path]:
    """Write what can be drawn, and the subjects table's row.

    Args:
        found: The findings.
        out: Folder for `findings.txt`, `cameras.png`, `contact_sheet.png`, `splats.png` and
            `subjects.tsv`.

    Returns:
        The files that were written.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "findings.txt"]
    paths[0].write_text(found.text() + "\n", encoding="utf-8")
    if found.cameras is not None and len(found.cameras) > 1:
        try:
            adjacency, _ = overlap(found.cameras)
            plot_adjacency(out / "cameras.png", found.cameras, adjacency, found.title)
            paths.append(out / "cameras.png")
        except InputError:
            pass  # Parallel axes, which the findings tell.
    if tiles := _tiles(found):
        subtitle = f"{len(tiles)} of {len(found.pictures)}" if len(found.pictures) else ""
        _write_png(out / "contact_sheet.png", grid_sheet(found.title, subtitle, tiles))
        paths.append(out / "contact_sheet.png")
    if found.splats is not None:
        around = [
            Tile(PillowImage.fromarray(pixels), name)
            for name, pixels in pictures_around(found.splats).items()
        ]
        _write_png(out / "splats.png", grid_sheet(found.title, "", around))
        paths.append(out / "splats.png")
    if row := found.row():
        write_cells(out / "subjects.tsv", row)
        paths.append(out / "subjects.tsv")
    return paths


def _tiles(found: Findings) -> list[Tile]:
    tiles = []
    chosen = evenly_spaced(sorted(found.pictures.items()), MOST_TILES)
    for view, path in progress(chosen, "photographs"):
        try:
            tiles.append(Tile(photograph(path, _TILE_PX), view))
        except InputError:
            continue  # The findings name what cannot be read.
    return tiles


def _write_png(path: Path, picture: PillowImage.Image) -> None:
    with whole_file(path) as partial:
        picture.save(partial)
