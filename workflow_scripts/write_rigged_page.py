"""Write the page of a head that moves: a slider over time, a choice of cameras, temporal scores.

Input:  sequence   sequence.json of the head; beside it its images, and `driven/`
        renders    the baseline's folder of {split}/{frame}.png, and driven/{frame}.png
        avatars    the same of each avatar
        tables     temporal.csv of each scene
        pairs      temporal_pairs.csv of each scene
Output: page       HTML that needs no other file
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.errors import result_of
from headstyle.base.tables.rows import read_rows
from headstyle.report.moving.page import Layer, Motion, Moving, moving_page
from headstyle.report.pages import MAX_PAGE_BYTES, write_page
from headstyle.rigged.sequence import DRIVEN, RiggedSequence, read_sequence
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake


def shown_motion(
    name: str, sequence: RiggedSequence, baseline: Path, avatars: dict[str, Path], folder: str = ""
) -> Motion:
    """What the page shows of a sequence.

    Args:
        name: Of the motion.
        sequence: Its frames.
        baseline: Folder of the baseline's renders.
        avatars: Those of the avatars, by their names.
        folder: Where the renders of all frames lie in these; by default each in that of its split.
    """

    def layer(title: str, renders: Path | None) -> Layer:
        files = {}
        for frame in sequence.frames:
            inner = folder or frame.split
            path = frame.image if renders is None else renders / inner / f"{frame.name}.png"
            if path.is_file():
                files[frame.camera_index, frame.timestep] = path
        return Layer(title, files)

    return Motion(
        name=name,
        timesteps=len(sequence.meshes),
        cameras=tuple(sorted({frame.camera_index for frame in sequence.frames})),
        splits={(frame.camera_index, frame.timestep): frame.split for frame in sequence.frames},
        shared=(layer("photograph", None), layer("baseline", baseline)),
        avatars={title: layer(title, renders) for title, renders in avatars.items()},
    )


if __name__ == "__main__":
    with stage(snakemake) as log:
        paths, params = snakemake.input, snakemake.params
        folder, baseline = Path(paths.sequence).parent, Path(paths.renders)
        avatars = {
            name.replace("/", " "): Path(path)
            for name, path in zip(params.avatars, paths.avatars, strict=True)
        }
        motions = [shown_motion("its own", read_sequence(folder), baseline, avatars)]
        if (folder / DRIVEN).is_dir() and (baseline / DRIVEN).is_dir():
            driven = read_sequence(folder / DRIVEN)
            motions.append(shown_motion("another head's", driven, baseline, avatars, DRIVEN))
        origin = result_of("measure_over_time")
        head = Moving(
            name=snakemake.wildcards.subject,
            motions=motions,
            rows=[row for path in paths.tables for row in read_rows(path, origin)],
            pairs=[row for path in paths.pairs for row in read_rows(path, origin)],
            metrics=params.metrics,
        )
        page = moving_page(head, MAX_PAGE_BYTES)
        write_page(snakemake.output.page, page)
        log.info("page of %d timesteps, %.1f MB", motions[0].timesteps, len(page) / 1e6)
