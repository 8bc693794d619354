"""How much an edit changed the views, and whether it blurred them.

Views are also consistent if the edit did nothing, or if it blurred everything. So these numbers
stand beside every score.
"""

from collections.abc import Sequence

import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.consistency.metrics.ssim import masked_ssim
from headstyle.consistency.pair_batches import as_image, check_sizes
from headstyle.consistency.pairs import mean_over_overlap
from headstyle.consistency.parts.color_difference import delta_e, lab_from_srgb

COLUMNS = ("edit_strength", "edit_strength_ssim", "sharpness")
# Weights of Rec. 709, applied to sRGB values without linearization.
LUMA = (0.2126, 0.7152, 0.0722)


def edit_strength(
    images: Sequence[ArrayLike | Tensor],
    unedited: Sequence[ArrayLike | Tensor],
    cameras: Cameras,
    foreground_alpha: float,
) -> pd.DataFrame:
    """Compare each view with itself before the edit.

    Args:
        images: The edited views with straight alpha, sRGB in [0, 1]. Shape `(H, W, 4)` each.
        unedited: The same views before.
        cameras: The views' cameras.
        foreground_alpha: Alpha above which a pixel is foreground.

    Returns:
        One row per view, with the columns: view; edit_strength, the mean ΔE00 where both images are
        foreground; edit_strength_ssim, 1 − SSIM there; sharpness, the mean squared gradient of the
        luma in the edited foreground, divided by that in the unedited one. A sharpness below 1
        means that the edit blurred the view. Values are NaN where there is no foreground.
    """
    after, before = [as_image(image) for image in images], [as_image(image) for image in unedited]
    check_sizes(after, cameras, "the image of {}")
    check_sizes(before, cameras, "the unedited image of {}")
    rows = []
    for name, *pair in zip(cameras.names, after, before, strict=True):
        own, other = (_foreground(image, foreground_alpha) for image in pair)
        colors, plain = (image[..., :3] for image in pair)
        shared = own & other
        lab = [lab_from_srgb(image[shared].double()) for image in (colors, plain)]
        similarity = mean_over_overlap(*masked_ssim(colors[None], plain[None], shared[None]))
        energies = [float(gradient_energy(c, m)) for c, m in ((colors, own), (plain, other))]
        row = (float(delta_e(*lab).mean()), 1 - float(similarity), _ratio(*energies))
        rows.append(dict(zip(("view", *COLUMNS), (name, *row), strict=True)))
    return pd.DataFrame(rows, columns=["view", *COLUMNS])


def gradient_energy(colors: Tensor, mask: Tensor) -> Tensor:
    """Mean squared forward difference of luma between pixels of the mask; NaN where there is none.

    Takes an image `(H, W, 3)` and a mask `(H, W)`; returns a scalar.
    """
    luma = colors.double() @ colors.new_tensor(LUMA, dtype=torch.float64)
    squares = []
    for axis in (0, 1):
        length = mask.shape[axis] - 1
        both = mask.narrow(axis, 0, length) & mask.narrow(axis, 1, length)
        squares.append(luma.diff(dim=axis)[both].square())
    return torch.cat(squares).mean()


def _foreground(image: Tensor, foreground_alpha: float) -> Tensor:
    if image.shape[2] == 3:
        return torch.ones(image.shape[:2], dtype=torch.bool)
    return image[..., 3] > foreground_alpha


def _ratio(after: float, before: float) -> float:
    return after / before if before > 0 else float("nan")
