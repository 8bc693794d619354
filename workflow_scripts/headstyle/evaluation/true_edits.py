"""How far views are from the true edit, where it is known: the head itself edited in 3D."""

from collections.abc import Sequence

import pandas as pd
import torch

from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.evaluation.scores import Networks, lpips_distance
from headstyle.losses.photometric import foreground_scores

TRUTH_SCORES = ("truth_psnr", "truth_ssim", "truth_lpips_mini")
"""Columns of the scores against the true edit."""
_GRAY = 0.5


def score_against_truth(
    views: Sequence[str],
    images: Sequence[RgbaImage],
    truths: Sequence[RgbaImage],
    networks: Networks,
    device: str = "cpu",
) -> pd.DataFrame:
    """PSNR, SSIM and LPIPS mini of each view against the true edit.

    Both lie on gray. PSNR and SSIM are means over the pixels that are foreground in either, so what
    is missing counts as what is too much. LPIPS mini is taken over the smallest box that holds
    these pixels.

    Args:
        views: Names of the views.
        images: The views, straight alpha. Shape `(H, W, 4)` each.
        truths: The true edits of the same views. Shape `(H, W, 4)` each.
        networks: Of these, LPIPS mini.
        device: Where to compute.

    Returns:
        view, truth_psnr [dB], truth_ssim, truth_lpips_mini; NaN where there is no foreground. Equal
        images have 100 dB.
    """
    rows = []
    for view, *pair in zip(views, images, truths, strict=True):
        shown, wanted = (torch.from_numpy(image).to(device) for image in pair)
        mask = (shown[..., 3] > FOREGROUND_ALPHA) | (wanted[..., 3] > FOREGROUND_ALPHA)
        own, other = (
            image[..., :3] * image[..., 3:] + _GRAY * (1 - image[..., 3:])
            for image in (shown, wanted)
        )
        scores = [float("nan")] * 3
        if mask.any():
            psnr, ssim = foreground_scores(own, other, mask)
            taken = mask.nonzero()
            (top, left), (bottom, right) = taken.amin(0).tolist(), taken.amax(0).tolist()
            box = (slice(top, bottom + 1), slice(left, right + 1))
            distance = lpips_distance(networks.mini, own[box], other[box])
            scores = [psnr, ssim, distance]
        rows.append(dict(zip(("view", *TRUTH_SCORES), (view, *scores), strict=True)))
    return pd.DataFrame(rows, columns=["view", *TRUTH_SCORES])
