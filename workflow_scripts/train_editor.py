"""Train the mini editor on procedural heads.

Output: model     folder: the pipeline in the format of diffusers, its model card, and evaluation/
                  with scores, losses, contact sheet and judge

A run that was interrupted goes on from its checkpoint.
"""

import shutil
from pathlib import Path

from headstyle.base.devices import has_gpu
from headstyle.workflow.stage import stage
from headstyle_training.editor.train import EditorSettings, train_editor

# Workers are spawned and import this file anew; only the stage itself has `snakemake`.
if __name__ == "__main__":
    with stage(snakemake) as log:
        params, folder = snakemake.params, Path(snakemake.output.model)
        checkpoint = Path(params.checkpoint)
        training = dict(params.training)
        minutes = training.pop("minutes")
        share = training.pop("autoencoder_share")
        settings = EditorSettings(
            minutes_autoencoder=share * minutes,
            minutes_denoiser=(1 - share) * minutes,
            workers=max(1, snakemake.threads - 1),
            seed=params.seed,
            **training,
        )
        train_editor(settings, folder, "cuda" if has_gpu() else "cpu", checkpoint=checkpoint)
        shutil.rmtree(checkpoint)
        log.info("copy the folder to resources/models/editor/ to ship it")
