"""Correct the masks of a subject by the other views.

Input:  masks   masks.json, with {view}.png beside it and the photographs' paths inside
        poses   poses.json, with the COLMAP model sparse/0 beside it
Output: masks   masks.json as before, with `carved` and `given_back` per view (parts of its
                foreground), and `agreement`: `compared`, `left_alone` {view: reason}, `note`;
                beside it {view}.png
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.base.progress import progress
from headstyle.importers.colmap_models import read_model
from headstyle.importers.masks import Mask
from headstyle.posing.agreement.corrections import Agreement, compare_masks, correct_mask
from headstyle.posing.agreement.votes import working_mask
from headstyle.posing.masks import coverage, largest_region, mask_flags, read_mask
from headstyle.posing.photographs import read_info, read_photograph
from headstyle.workflow.stage import stage
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from snakemake.script import snakemake


def read_small(source: Path, view: str, entry: dict[str, Any]) -> tuple[Mask, NDArray[np.uint8]]:
    """The mask and the photograph of a view at working size."""
    mask = working_mask(read_mask(source / f"{view}.png"))
    photograph = read_photograph(entry["photograph"])
    size = mask.shape[1], mask.shape[0]
    picture = np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA))
    return mask, picture.astype(np.uint8)


def write_corrected(
    view: str,
    entry: dict[str, Any],
    agreement: Agreement | None,
    source: Path,
    folder: Path,
    steps: list[str],
) -> dict[str, Any]:
    """Write {view}.png, as it was or corrected, and return its entry of masks.json."""
    if agreement is None or agreement.is_complete:
        shutil.copyfile(source / f"{view}.png", folder / f"{view}.png")
        return entry | {"carved": 0.0, "given_back": 0.0}
    finish = largest_region if "largest_region" in steps else None
    mask, change = correct_mask(
        read_mask(source / f"{view}.png"), agreement, read_photograph(entry["photograph"]), finish
    )
    Image.fromarray(mask).save(folder / f"{view}.png")
    return entry | {"coverage": round(coverage(mask), 6), "flags": mask_flags(mask)} | change


if __name__ == "__main__":
    with stage(snakemake) as log:
        params, source = snakemake.params, Path(snakemake.input.masks).parent
        masks = read_json(snakemake.input.masks)
        model = read_model(Path(snakemake.input.poses).parent / "sparse")
        with ThreadPoolExecutor(snakemake.threads) as pool:
            pairs = pool.map(lambda v: read_small(source, v, masks["views"][v]), model.views)
            small, pictures = zip(*pairs, strict=True)
        settings = params.agreement
        found = compare_masks(
            model,
            dict(zip(model.views, small, strict=True)),
            dict(zip(model.views, pictures, strict=True)),
            settings["keep_part"],
            settings["give_back_part"],
        )
        # The alpha of a photograph was given with it.
        fixed = {
            view
            for view, entry in masks["views"].items()
            if settings["apply"] == "made" and read_info(entry["photograph"]).with_alpha
        }
        agreements = {view: a for view, a in found.views.items() if view not in fixed}
        output = Path(snakemake.output.masks)
        with whole_folder(output.parent) as folder, ThreadPoolExecutor(snakemake.threads) as pool:
            write = partial(write_corrected, source=source, folder=folder, steps=masks["steps"])
            views = list(masks["views"])
            made = pool.map(lambda v: write(v, masks["views"][v], agreements.get(v)), views)
            entries = dict(zip(views, progress(made, "masks"), strict=True))
            write_json(
                folder / output.name,
                {
                    "steps": [*masks["steps"], "agreement"],
                    "agreement": {
                        "compared": len(agreements),
                        "left_alone": dict(found.left_alone),
                        "note": found.note,
                    },
                    "views": entries,
                },
            )
        if found.note:
            log.warning("the masks stay as they are: %s", found.note)
        for view, reason in found.left_alone.items():
            log.warning("the mask of %s stays as it is: %s", view, reason)
        for view, entry in entries.items():
            if entry["carved"] or entry["given_back"]:
                log.info(
                    "%s: %.1f %% of the foreground carved, %.1f %% given back",
                    view,
                    100 * entry["carved"],
                    100 * entry["given_back"],
                )
