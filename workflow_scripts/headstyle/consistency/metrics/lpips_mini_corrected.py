"""`lpips_mini` of what two views share, and of nothing else."""

import torch
from torch import Tensor

from headstyle.consistency.metrics.lpips_corrected import masked_lpips
from headstyle.consistency.metrics.lpips_mini import LpipsMini
from headstyle.consistency.pairs import PairBatch


class LpipsMiniCorrected(LpipsMini):
    """As `lpips_corrected`, with headstyle's own small weights."""

    name = "lpips_mini_corrected"
    warp = "corrected"

    @torch.inference_mode()
    def __call__(self, batch: PairBatch) -> Tensor:
        return masked_lpips(self.network, batch)
