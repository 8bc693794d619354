"""Root mean square color difference, as in the study."""

from torch import Tensor

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, mean_over_overlap


class Rmse(Metric):
    """Root of the mean squared difference over the overlap's pixels and channels."""

    name = "rmse"
    units = "sRGB, 0 to 1"
    mean_over_neighbors = "quadratic"

    def __call__(self, batch: PairBatch) -> Tensor:
        squared = (batch.target - batch.warped).square().mean(dim=3)
        return mean_over_overlap(squared, batch.overlap).sqrt()
