"""CLIP's scores along a film of a scene and the film of its baseline on the same path.

Source: Haque et al., "Instruct-NeRF2NeRF", ICCV 2023, section 4, which takes both on frames of
a path that no training camera saw.
"""

from collections.abc import Sequence

import numpy as np
import torch

from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.consistency.flicker import DISTANCES
from headstyle.consistency.parts.clip import Clip, head_square


def clip_along_path(
    clip: Clip,
    edited: Sequence[RgbaImage],
    unedited: Sequence[RgbaImage],
    captions: tuple[str, str] | None = None,
    *,
    whole: bool = False,
) -> dict[str, float]:
    """Means over the frames of a closed path.

    Args:
        clip: The model.
        edited: Frames of the avatar, straight alpha. Shape `(H, W, 4)` each.
        unedited: The baseline's frames, from the same cameras.
        captions: What the head is before and after the edit.
        whole: Whether CLIP sees whole frames, and not the head in its square.

    Returns:
        clip_direction, cos(E(e) − E(o), T(after) − T(before)), NaN without captions; and for each
        range, short and long, `{range}_clip_consistency`, cos(E(e_i) − E(o_i), E(e_j) − E(o_j)) of
        frames i and j that are so far apart.
    """
    embedded: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for pair in zip(edited, unedited, strict=True):
        images = [torch.from_numpy(np.asarray(image, np.float32)) for image in pair]
        masks = [image[..., 3] > FOREGROUND_ALPHA for image in images]
        shown = torch.ones_like(masks[0]) if whole else masks[0] | masks[1]
        for image, mask, found in zip(images, masks, embedded, strict=True):
            found.append(clip.embed_images([head_square(image[..., :3], mask, shown)])[0])
    moved = torch.stack(embedded[0]) - torch.stack(embedded[1])
    directions = torch.nn.functional.normalize(moved, dim=1)
    scores = {"clip_direction": float("nan")}
    if captions is not None:
        scores["clip_direction"] = float((directions @ clip.caption_direction(captions)).mean())
    for name, distance in DISTANCES.items():
        cosines = (directions * directions.roll(-distance, dims=0)).sum(dim=1)
        scores[f"{name}_clip_consistency"] = float(cosines.mean())
    return scores
