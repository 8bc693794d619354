"""Score how well the views of one scene agree with each other.

Input:  images     folder of {view}.png: a scene's renders; or any file in such a folder
        depth      folder of {view}.npz of the scene that gives the geometry
        cameras    cameras.json of the views
        adjacency  adjacency.csv: which views are compared
        unedited   folder of {view}.png: the baseline's renders; or any file in such a folder
        splats     splats.ply of the baseline
        floor      pairs.csv of the baseline; none for the baseline itself
Output: pairs      pairs.csv: subject, prompt, strength, target, source, overlap, coverage, metrics,
                   their excess over the floor, their ceiling
        views      views.csv: subject, prompt, strength, view, neighbours, pairs used and left out,
                   strength and sharpness of the edit, and the same of the metrics

The baseline's rows carry prompt `none`, those of the floor (the photographs, warped with the
baseline's depth) prompt `photographs`; both have strength `none`. The ceiling is what the scene
scores when every view shows the image of another one. Scenes of other methods may come without
unedited, splats and floor.
"""

from pathlib import Path

from headstyle.base.adjacency import read_adjacency
from headstyle.base.cameras import read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_table
from headstyle.base.images import read_views
from headstyle.base.seeds import derived_seed
from headstyle.consistency.edit_strength import edit_strength
from headstyle.consistency.metrics import metric_class
from headstyle.consistency.scoring import (
    adjacent_pairs,
    read_depths,
    score,
    view_means,
    with_references,
)
from headstyle.consistency.shuffling import shuffled_views
from headstyle.consistency.statistics import read_table
from headstyle.rendering.splats import read_ply
from headstyle.workflow.stage import stage


def read_images(path, cameras):
    """The views of a folder, or of that which a file is in; None without a path."""
    if not path:
        return None
    return read_views(path if Path(path).is_dir() else Path(path).parent, cameras)


if __name__ == "__main__":
    with stage(snakemake) as log:
        keep_freed_memory()
        paths, params = snakemake.input, snakemake.params
        settings, names = params.metrics, params.metrics["names"]
        least = settings["min_overlap"]
        subject = snakemake.wildcards.subject
        cameras = read_cameras(paths.cameras)
        images = read_images(paths.images, cameras)
        unedited = read_images(paths.get("unedited"), cameras)
        depths = read_depths(paths.depth, cameras)
        compared = adjacent_pairs(*read_adjacency(paths.adjacency))
        known = {
            "settings": settings,
            "unedited": unedited,
            "splats": read_ply(paths.splats) if paths.get("splats") else None,
            "instruction": params.instruction,
        }
        pairs = score(images, depths, cameras, compared, **known)
        foreground = [image[..., 3] > settings["foreground_alpha"] for image in images]
        shuffled = shuffled_views(images, foreground, derived_seed(params.seed, subject))
        possible = [name for name in names if metric_class(name).has_ceiling]
        known["settings"] = settings | {"names": possible}
        ceiling = score(shuffled, depths, cameras, compared, **known)
        # The baseline is its own floor; without any the excess stays empty.
        own = pairs if params.labels[0] == "none" else pairs.iloc[:0]
        floor = read_table(paths.floor) if paths.get("floor") else own
        pairs = with_references(pairs, names, floor, ceiling)
        views = view_means(pairs, names, cameras.names, least)
        if unedited:
            edits = edit_strength(images, unedited, cameras, settings["foreground_alpha"])
            first = views.columns.get_loc(names[0])
            for place, column in enumerate(edits.columns[1:], start=first):
                views.insert(place, column, edits[column])
        log.info("%d pairs of %d views compared", len(pairs), len(views))
        if empty := int((pairs["overlap"] == 0).sum()):
            log.warning("%d pairs share no pixel and are left out of the means", empty)
        if "coverage" in pairs and (small := int(views["pairs_left_out"].sum())):
            log.warning("%d pairs share less than %g of a head: not compared by all", small, least)
        if alone := list(views.loc[views["neighbours"] == 0, "view"]):
            log.warning("%d views have nothing to be compared with: %s", len(alone), alone)
        labels = dict(
            zip(("subject", "prompt", "strength"), (subject, *params.labels), strict=True)
        )
        for table, path in ((pairs, snakemake.output.pairs), (views, snakemake.output.views)):
            write_table(path, table.assign(**labels)[[*labels, *table.columns]])
