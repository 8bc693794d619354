"""Make the foreground mask of every photograph of a subject.

Input:  photographs   the photographs, or the index of those that a rule made
        made          folder of the photographs that a rule made; none for the user's
Output: masks         masks.json {"steps": [...], "views": {view: {"photograph", "width", "height",
                      "coverage", "flags"}}, "left_out": {view: reason}}; beside it {view}.png,
                      8-bit alpha, upright, full size
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.errors import InputError
from headstyle.base.files import whole_folder, write_json
from headstyle.base.progress import progress
from headstyle.importers.companions import masks_of_data_set
from headstyle.posing.masks import Masker
from headstyle.posing.photographs import (
    check_enough_left,
    find_photographs,
    select_photographs,
    unreadable,
)
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

NO_FRAME = "not among the given poses, whose data set brings the masks"

if __name__ == "__main__":
    with stage(snakemake, index="masks") as log:
        params = snakemake.params
        folder = snakemake.input.made or params.photographs
        listing = find_photographs(folder)
        available = listing.files
        if listing.left_out:
            log.warning(
                "files of %s that are left out: %s",
                folder,
                ", ".join(listing.left_out),
            )
        photographs = select_photographs(available, params.orientation)
        failed = unreadable(photographs)
        total = len(photographs)
        check_enough_left(failed, total, params.go_on, params.min_views)
        photographs = {v: path for v, path in photographs.items() if v not in failed}
        given = params.given_masks or masks_of_data_set(params.given_poses, photographs)
        frameless = {}
        if isinstance(given, dict) and given:
            log.info("the masks are those that %s names", params.given_poses)
            frameless = {v: NO_FRAME for v in photographs if v not in given}
            photographs = {v: path for v, path in photographs.items() if v in given}
            total -= len(frameless)
        masker = Masker(photographs, given, params.masks, snakemake.threads)
        # Told before the others are masked, which takes minutes.
        failed |= masker.unmasked
        check_enough_left(failed, total, params.go_on, params.min_views)
        photographs = {v: path for v, path in photographs.items() if v not in failed}
        log.info(
            "%d of %d photographs are masked, steps: %s",
            len(photographs),
            len(available),
            ", ".join(masker.steps) or "none",
        )
        output = Path(snakemake.output.masks)
        with whole_folder(output.parent) as folder, ThreadPoolExecutor(snakemake.threads) as pool:
            made = pool.map(partial(masker.write, folder), photographs)
            found = dict(zip(photographs, progress(made, "masks"), strict=True))
            failed |= {v: entry for v, entry in found.items() if isinstance(entry, InputError)}
            check_enough_left(failed, total, params.go_on, params.min_views)
            views = {v: entry for v, entry in found.items() if isinstance(entry, dict)}
            masker.check_polarity(views)
            reasons = failed | frameless
            left_out = {view: str(reason) for view, reason in sorted(reasons.items())}
            content = {"steps": masker.steps, "views": views, "left_out": left_out}
            write_json(folder / output.name, content)
        for view, reason in left_out.items():
            log.warning("%s is left out: %s", view, reason)
        for view, entry in views.items():
            if entry["flags"]:
                log.warning("%s: %s", view, ", ".join(entry["flags"]))
