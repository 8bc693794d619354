"""Make the photographs of a subject whose source is a video or RAW files.

Input:  sources    the video, or the RAW files
Output: developed  developed.json: the source of each view; beside it {view}.jpg, upright
"""

from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.files import whole_folder, write_json
from headstyle.posing.developing.sources import develop
from headstyle.workflow.stage import stage

if TYPE_CHECKING:
    from snakemake.script import snakemake

if __name__ == "__main__":
    with stage(snakemake, index="developed") as log:
        output = Path(snakemake.output.developed)
        with whole_folder(output.parent) as folder:
            content = develop(snakemake.params.sources, snakemake.params.frames, folder)
            write_json(folder / output.name, content)
        log.info("%d photographs", len(content["views"]))
