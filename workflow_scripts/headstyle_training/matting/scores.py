"""How good the mini matting is: on unseen procedural heads, and on photographs with given masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from headstyle.base.files import whole_file
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.pairs import PairStream
from headstyle_training.matting.agreement import VIEWS, contradicted, draw_photographs
from headstyle_training.matting.model import Matting, MattingNet, normalized
from headstyle_training.matting.pictures import Cutouts, draw_cutouts
from headstyle_training.matting.scenes import compose, draw_halls
from headstyle_training.pictures.backgrounds import random_backgrounds

ALPHA = 0.5
"""A pixel is foreground from here on."""
KINDS = ("heads", "scenes")
"""Kinds of pictures to score: heads as the study photographs them before arbitrary backgrounds;
heads and sculptures as in training, with all its difficulties."""
PICTURES_AT_ONCE = 16


def iou(found: Tensor, expected: Tensor) -> Tensor:
    """Intersection over union of the foregrounds; 1 where both are empty. `(B, 1, H, W)` to `(B,)`.

    Args:
        found: Alpha in [0, 1].
        expected: Alpha in [0, 1].
    """
    a, b = found >= ALPHA, expected >= ALPHA
    both, either = ((c).sum(dim=(1, 2, 3)).double() for c in (a & b, a | b))
    return torch.where(either > 0, both / either.clamp_min(1), torch.ones_like(both))


def draw_pictures(
    kind: str, bank: HeadBank, count: int, side_px: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Photographs `(B, 3, H, W)` and their alphas `(B, 1, H, W)` of one of the `KINDS`."""
    device = bank.device
    generator = torch.Generator(device).manual_seed(seed)
    rng = np.random.default_rng(seed)
    parts: list[tuple[Tensor, Tensor]] = []
    stream = PairStream(bank, side_px, side_px, seed)
    while (left := count - sum(len(images) for images, _ in parts)) > 0:
        n = min(left, PICTURES_AT_ONCE)
        behind = random_backgrounds(n, side_px, side_px, generator, device)
        if kind == "heads":
            batch = stream.draw(n)
            take_edit = torch.arange(n, device=device).view(-1, 1, 1, 1) % 2 > 0
            rgba = torch.where(take_edit, batch.edited, batch.photographs)
            alpha = rgba[:, 3:]
            parts.append((rgba[:, :3] * alpha + behind * (1 - alpha), alpha))
        else:
            halls = draw_halls(n, side_px, generator)
            behind = torch.where(
                torch.arange(n, device=device).view(-1, 1, 1, 1) % 3 == 0, halls, behind
            )
            cutouts: Cutouts = draw_cutouts(bank, n, side_px, rng)
            parts.append(compose(cutouts, behind, generator))
    images, alphas = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return images, alphas


@torch.inference_mode()
def evaluate(
    network: MattingNet, bank: HeadBank, count: int, side_px: int, seed: int, sheet: Path
) -> dict[str, Any]:
    """Scores on `count` pictures of each kind, and a contact sheet of some of them."""
    device = bank.device
    matting = Matting(network).to(device).eval()
    scores, rows = {}, []
    for kind in KINDS:
        images, alphas = draw_pictures(kind, bank, count, side_px, seed)
        # As 8-bit files would hold them.
        images = images.mul(255).round() / 255
        found = torch.cat([matting(normalized(part)) for part in images.split(PICTURES_AT_ONCE)])
        scores[kind] = summary(iou(found, alphas)) | {
            "mean_absolute_error": float((found - alphas).abs().mean())
        }
        shown = min(12, count)
        trio = [images, *(t.expand(-1, 3, -1, -1) for t in (found, alphas))]
        rows.append(torch.cat([t[:shown] for t in trio], dim=3))
    scores["captures"] = _score_captures(matting, bank, max(1, count // VIEWS), side_px, seed)
    _write_sheet(sheet, torch.cat(rows).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return scores


def _score_captures(
    matting: Matting, bank: HeadBank, captures: int, side_px: int, seed: int
) -> dict[str, float]:
    """How well masks of one head from all sides agree, over some captures.

    `contradicted` is the part of a mask that the other views contradict, in the mean and in the
    worst capture; `contradicted_true` is that of the true masks, which is what the measure's grid
    leaves.
    """
    parts: dict[str, list[float]] = {"contradicted": [], "contradicted_true": []}
    overlaps, errors = [], []
    for capture in range(captures):
        images, alphas, cameras = draw_photographs(bank, side_px, seed + capture)
        images = images.mul(255).round() / 255
        found = torch.cat([matting(normalized(part)) for part in images.split(PICTURES_AT_ONCE)])
        cameras = cameras.to(images.device)
        parts["contradicted"].append(float(contradicted(found, cameras).mean()))
        parts["contradicted_true"].append(float(contradicted(alphas, cameras).mean()))
        overlaps.append(iou(found, alphas))
        errors.append(float((found - alphas).abs().mean()))
    means = {key: float(np.mean(values)) for key, values in parts.items()}
    worst = {"contradicted_most": max(parts["contradicted"]), "captures": captures}
    return (
        summary(torch.cat(overlaps))
        | {"mean_absolute_error": float(np.mean(errors))}
        | means
        | worst
    )


def summary(values: Tensor) -> dict[str, float]:
    """Mean, 5 % quantile and smallest of the IoUs."""
    values = values.double().cpu()
    return {
        "pictures": len(values),
        "iou": float(values.mean()),
        "iou_5_percent": float(values.quantile(0.05)),
        "iou_least": float(values.min()),
    }


def score_photographs(
    photographs: Mapping[str, Path], masks: str, model: str, weights: str | None, sheet: Path | None
) -> dict[str, Any]:
    """IoU of rembg's masks with given ones, at the photographs' full size.

    Args:
        photographs: Paths by view name.
        masks: Folder of given masks.
        model: As the config's `masks.matting_model`.
        weights: As the config's `masks.matting_weights`.
        sheet: Where to show photographs, found and given masks.

    Raises:
        InputError: the model, a photograph or a mask is missing.
    """
    from headstyle.posing.given_masks import (
        find_given_masks,
        masks_follow_stored_pixels,
        read_given_mask,
    )
    from headstyle.posing.masks import load_matting
    from headstyle.posing.photographs import read_info, read_photograph

    given = find_given_masks(masks, list(photographs))
    infos = {view: read_info(path) for view, path in photographs.items()}
    stored = masks_follow_stored_pixels(given, infos)
    matting = load_matting(model, weights, threads=1)
    values, tiles = {}, []
    for view, path in photographs.items():
        photograph = read_photograph(path)
        expected = read_given_mask(given[view], infos[view], stored)
        found = matting(photograph)
        pair = (torch.tensor(mask)[None, None] / 255 for mask in (found, expected))
        values[view] = float(iou(*pair))
        gray = [np.repeat(mask[..., None], 3, axis=2) for mask in (found, expected)]
        tiles.append(np.concatenate([_thumbnail(t) for t in (photograph, *gray)], axis=1))
    if sheet is not None:
        _write_sheet(sheet, np.stack(tiles))
    scores = summary(torch.tensor(list(values.values())))
    return scores | {"views": {view: round(value, 4) for view, value in values.items()}}


def _thumbnail(image: NDArray[np.uint8], side_px: int = 160) -> NDArray[np.uint8]:
    return np.asarray(PillowImage.fromarray(image).resize((side_px, side_px)))


def _write_sheet(path: Path, tiles: NDArray[np.uint8], columns: int = 4) -> None:
    """Tiles `(N, h, w, 3)` in rows."""
    missing = -len(tiles) % columns
    tiles = np.concatenate([tiles, np.full_like(tiles[:1].repeat(missing, axis=0), 255)])
    rows = [np.concatenate(tiles[k : k + columns], axis=1) for k in range(0, len(tiles), columns)]
    with whole_file(path) as partial:
        PillowImage.fromarray(np.concatenate(rows)).save(partial, quality=85)
