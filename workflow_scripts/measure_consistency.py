"""Score how well the views of one scene agree with each other.

Input:  images     folder of {view}.png: a scene's renders; or any file in such a folder
        depth      folder of {view}.npz of the scene that gives the geometry
        cameras    cameras.json of the views
        adjacency  adjacency.csv: which views are compared
Output: pairs      pairs.csv: subject, prompt, strength, target, source, overlap, metrics
        views      views.csv: subject, prompt, strength, view, neighbours, metrics

The baseline's rows carry prompt `none`, those of the floor (the photographs, warped with the
baseline's depth) prompt `photographs`; both have strength `none`.
"""

from pathlib import Path

from headstyle.adjacency import read_adjacency
from headstyle.cameras import read_cameras
from headstyle.consistency import adjacent_pairs, read_depths, score, view_means
from headstyle.files import write_table
from headstyle.stage import stage
from headstyle.views import read_views

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        cameras = read_cameras(paths.cameras)
        images = Path(paths.images)
        pairs = score(
            read_views(images if images.is_dir() else images.parent, cameras),
            read_depths(paths.depth, cameras),
            cameras,
            adjacent_pairs(*read_adjacency(paths.adjacency)),
            settings=params.metrics,
        )
        views = view_means(
            pairs, params.metrics["names"], cameras.names, params.metrics["min_overlap"]
        )
        log.info("%d pairs of %d views compared", len(pairs), len(views))
        if empty := int((pairs["overlap"] == 0).sum()):
            log.warning("%d pairs share no pixel and are left out of the means", empty)
        if alone := list(views.loc[views["neighbours"] == 0, "view"]):
            log.warning("%d views have nothing to be compared with: %s", len(alone), alone)
        labels = dict(
            zip(
                ("subject", "prompt", "strength"),
                (snakemake.wildcards.subject, *params.labels),
                strict=True,
            )
        )
        for table, path in ((pairs, snakemake.output.pairs), (views, snakemake.output.views)):
            write_table(path, table.assign(**labels)[[*labels, *table.columns]])
