"""Write the page on which people compare methods without knowing them, and its key.

Input:  entries   the renders of all methods
        cameras   cameras.json of each subject's views
Output: page   ratings.html: pairs of turning heads; it gives the answers as CSV
        key    ratings_key.csv: item, subject, prompt, left, right
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.cameras import read_cameras
from headstyle.leaderboard.ratings.answers import write_key
from headstyle.leaderboard.ratings.page import choose_items, ratings_page, turning
from headstyle.report.pages import write_page
from headstyle.report.pictures import walk_along_rig
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        scenes: dict[tuple[str, str], list[str]] = {}
        folders, texts = {}, {}
        for method, entries in params.scenes.items():
            for entry in entries:
                scene = (entry["subject"], entry["prompt"])
                scenes.setdefault(scene, []).append(method)
                folders[method, *scene] = entry["renders"]
                texts[scene] = entry["instruction"]
        items = choose_items(scenes, params.pairs, params.seed)
        cameras = {Path(path).parents[1].name: read_cameras(path) for path in paths.cameras}
        walks = {subject: walk_along_rig(rig) for subject, rig in cameras.items()}
        sides = {(m, i.subject, i.prompt) for i in items for m in (i.left, i.right)}
        clips = {
            side: turning(folders[side], walks[side[1]], params.pictures) for side in sorted(sides)
        }
        write_page(snakemake.output.page, ratings_page(items, clips, texts))
        write_key(snakemake.output.key, items)
        log.info("%d pairs of %d turning heads", len(items), len(clips))
