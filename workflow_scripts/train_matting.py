"""Train the mini matting on procedural heads.

Output: model     model.onnx, for rembg's u2net_custom session
        history   iteration, loss, seconds
        scores    settings and scores on heads that were not trained on
        sheet     contact sheet of the evaluation
        card      the model card

A run that was interrupted goes on from its checkpoint.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from headstyle.base.devices import has_gpu
from headstyle.workflow.stage import stage
from headstyle_training.matting.settings import MattingSettings

if TYPE_CHECKING:
    from snakemake.script import snakemake

# Workers are spawned and import this file anew: they have no `snakemake` and need no torch.
if __name__ == "__main__":
    from headstyle_training.matting.train import train_matting

    with stage(snakemake) as log:
        params, folder = snakemake.params, Path(snakemake.output.model).parent
        checkpoint = Path(params.checkpoint)
        settings = MattingSettings(
            **params.training,
            workers=max(1, snakemake.threads - 1),
            seed=params.seed,
            device="cuda" if has_gpu() else "cpu",
        )
        train_matting(settings, folder, checkpoint=checkpoint)
        shutil.rmtree(checkpoint)
        log.info("copy the files to resources/models/matting/ to ship them")
