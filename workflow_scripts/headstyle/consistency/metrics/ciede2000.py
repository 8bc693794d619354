"""Perceived color difference CIEDE2000, as in the study.

Source: Sharma, Wu, Dalal, "The CIEDE2000 Color-Difference Formula: Implementation Notes,
Supplementary Test Data, and Mathematical Observations", Color Research and Application 30(1), 2005.
"""

from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, mean_over_overlap
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb


class Ciede2000(Metric):
    """Mean CIEDE2000 difference over the overlap's pixels; 1 is just noticeable."""

    name = "ciede2000"
    units = "ΔE00, 0 and up"

    def __call__(self, batch: PairBatch) -> Tensor:
        # In single precision, hues next to a branch of the formula cost more than 1e-4.
        target, warped = (
            lab_from_srgb(image[batch.overlap].double()) for image in (batch.target, batch.warped)
        )
        differences = target.new_zeros(batch.overlap.shape)
        differences[batch.overlap] = delta_e(target, warped)
        return mean_over_overlap(differences, batch.overlap)
