"""Make the foreground mask of every photograph of a subject.

Input:  photographs   the photographs, or the rig.tsv beside them
Output: masks         masks.json {"steps": [...], "views": {view: {"photograph", "width", "height",
                      "coverage", "flags"}}}; beside it {view}.png, 8-bit alpha, upright, full size
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstyle.base.files import whole_folder, write_json
from headstyle.base.progress import progress
from headstyle.posing.masks import Masker
from headstyle.posing.photographs import find_photographs, select_photographs
from headstyle.workflow.stage import stage
from PIL import Image

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_mask(folder: Path, masker: Masker, view: str) -> dict[str, Any]:
    """Write {view}.png and return its entry of masks.json."""
    mask, entry = masker.mask(view)
    Image.fromarray(mask).save(folder / f"{view}.png")
    return entry


if __name__ == "__main__":
    with stage(snakemake, index="masks") as log:
        params = snakemake.params
        listing = find_photographs(params.photographs)
        available = listing.files
        if listing.left_out:
            log.warning(
                "files of %s that are left out: %s",
                params.photographs,
                ", ".join(listing.left_out),
            )
        photographs = select_photographs(available, params.orientation)
        masker = Masker(photographs, params.given_masks, params.masks, snakemake.threads)
        log.info(
            "%d of %d photographs are masked, steps: %s",
            len(photographs),
            len(available),
            ", ".join(masker.steps) or "none",
        )
        output = Path(snakemake.output.masks)
        with whole_folder(output.parent) as folder, ThreadPoolExecutor(snakemake.threads) as pool:
            made = pool.map(lambda view: write_mask(folder, masker, view), photographs)
            views = dict(zip(photographs, progress(made, "masks"), strict=True))
            write_json(folder / output.name, {"steps": masker.steps, "views": views})
        for view, entry in views.items():
            if entry["flags"]:
                log.warning("%s: %s", view, ", ".join(entry["flags"]))
