"""Difference that an observer sees when flipping between two images, ꟻLIP.

Source: Andersson et al., "ꟻLIP: A Difference Evaluator for Alternating Images", Proceedings of the
ACM on Computer Graphics and Interactive Techniques 3(2), 2020; by its authors' package.
"""

import numpy as np
import torch
from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch
from headstyle.consistency.parts.filling import overlap_crops

# The package's default: a 4K display of 0.7 m seen from 0.7 m.
PIXELS_PER_DEGREE = 67.0


class Flip(Metric):
    """Mean ꟻLIP over the overlap's pixels, on the overlap's crop, continued beyond it."""

    name = "flip"
    units = "ꟻLIP, 0 to 1"
    warp = "corrected"

    def __call__(self, batch: PairBatch) -> Tensor:
        values = np.full(len(batch.target), np.nan)
        for crops in overlap_crops(batch):
            pairs = (
                image.permute(0, 2, 3, 1).cpu().numpy() for image in (crops.target, crops.warped)
            )
            for row, target, warped, inside in zip(
                crops.rows, *pairs, crops.overlap[:, 0].cpu().numpy(), strict=True
            ):
                values[row] = flip_map(target, warped)[inside].mean(dtype=np.float64)
        return torch.from_numpy(values).to(batch.target.device)


def flip_map(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """ꟻLIP of every pixel. Takes sRGB images in [0, 1] `(H, W, 3)`, returns `(H, W)`."""
    from flip_evaluator import evaluate

    images = (np.ascontiguousarray(image, dtype=np.float32) for image in (reference, test))
    settings = {"ppd": PIXELS_PER_DEGREE}
    found, *_ = evaluate(
        *images, "LDR", applyMagma=False, computeMeanError=False, parameters=settings
    )
    return found[..., 0]
