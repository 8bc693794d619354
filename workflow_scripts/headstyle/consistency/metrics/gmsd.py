"""Gradient magnitude similarity deviation GMSD of what two views share.

Source: Xue, Zhang, Mou, Bovik, "Gradient Magnitude Similarity Deviation: A Highly Efficient
Perceptual Image Quality Index", IEEE Transactions on Image Processing 23(2), 2014.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, cut_to_overlap, mean_over_overlap

# Equation 5's constant, 170 for values to 255.
C = 170 / 255**2
# Weights of Rec. 601, as in the authors' code.
LUMA = (0.2989, 0.5870, 0.1140)
PREWITT = ((1 / 3, 0, -1 / 3),) * 3


class Gmsd(Metric):
    """Standard deviation of the similarity of gradient magnitudes at half size, over the overlap.

    Blurred, doubled and displaced edges raise it. A shift of all colors does not.
    """

    name = "gmsd"
    units = "GMSD, 0 and up"
    warp = "corrected"

    def __call__(self, batch: PairBatch) -> Tensor:
        batch = cut_to_overlap(batch, multiple=2, border=6)
        similarity, counts = gradient_similarity(batch.target, batch.warped, batch.overlap)
        mean = mean_over_overlap(similarity, counts)
        squares = (similarity - mean[:, None, None]).square()
        return mean_over_overlap(squares, counts).sqrt()


def gradient_similarity(first: Tensor, second: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 4 at half size, and where it is defined.

    Args:
        first, second: Images in [0, 1]. Shape `(N, H, W, 3)`.
        mask: Shape `(N, H, W)`, bool.

    Returns:
        Similarity in (0, 1], and the cells at which it is defined, bool: each of the 3 x 3 cells
        around them has at least half of its four pixels in the mask. Shape
        `(N, H // 2 - 2, W // 2 - 2)` each.
    """
    inside = mask[:, None].to(first.dtype)
    weight = avg_pool2d(inside, 2)
    kernel = first.new_tensor(PREWITT)
    kernels = torch.stack([kernel, kernel.T])[:, None]

    def gradients(image: Tensor) -> Tensor:
        gray = (image @ image.new_tensor(LUMA))[:, None]
        small = avg_pool2d(gray * inside, 2) / weight.clamp(min=0.25)
        return conv2d(small, kernels).square().sum(dim=1).sqrt()

    one, other = gradients(first), gradients(second)
    similarity = (2 * one * other + C) / (one.square() + other.square() + C)
    kept = (weight >= 0.5).to(first.dtype)
    return similarity, avg_pool2d(kept, 3, stride=1)[:, 0] > 1 - 1e-3
