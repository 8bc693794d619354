"""Correct the masks of a subject by the other views.

Input:  masks   masks.json, with {view}.png beside it and the photographs' paths inside
        poses   poses.json, with the COLMAP model sparse/0 beside it
Output: masks   masks.json as before, with `carved` and `given_back` per view (parts of its
                foreground), and `agreement`: `compared`, `left_alone` {view: reason}, `note`;
                beside it {view}.png
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.base.progress import progress
from headstyle.importers.colmap_models import read_model
from headstyle.posing.agreement.corrections import compare_masks
from headstyle.posing.agreement.files import read_at_working_size, write_corrected
from headstyle.posing.photographs import read_info
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        params, source = snakemake.params, Path(snakemake.input.masks).parent
        masks = read_json(snakemake.input.masks)
        model = read_model(Path(snakemake.input.poses).parent / "sparse")
        with ThreadPoolExecutor(snakemake.threads) as pool:
            pairs = pool.map(
                lambda v: read_at_working_size(source, v, masks["views"][v]), model.views
            )
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
