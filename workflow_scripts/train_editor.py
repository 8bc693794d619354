"""Train the mini editor on procedural heads.

Output: model     folder: the pipeline in the format of diffusers, its model card, and evaluation/
                  with scores, losses, contact sheet and judge

A run that was interrupted goes on from its checkpoint.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.devices import has_gpu
from headstyle.workflow.stage import stage
from headstyle_training.editor.settings import EditorSettings

if TYPE_CHECKING:
    from snakemake.script import snakemake

# Workers are spawned and import this file anew: they have no `snakemake` and need no torch.
if __name__ == "__main__":
    from headstyle_training.editor.train import train_editor

    with stage(snakemake) as log:
        params, folder = snakemake.params, Path(snakemake.output.model)
        checkpoint = Path(params.checkpoint)
        settings = EditorSettings(
            **params.training,
            workers=max(1, snakemake.threads - 1),
            seed=params.seed,
            device="cuda" if has_gpu() else "cpu",
        )
        train_editor(settings, folder, checkpoint=checkpoint)
        shutil.rmtree(checkpoint)
        log.info("copy the folder to resources/models/editor/ to ship it")
