"""Scores of edits that no avatar was trained on: how strong they are, how well views agree."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.images import RgbaImage
from headstyle.consistency.edit_strength import COLUMNS, edit_strength
from headstyle.consistency.scoring import score

METRIC = "ciede2000_corrected"
"""Tells how far the views disagree; the warp is by the baseline's depth."""


def sweep_scores(
    edits: Sequence[RgbaImage],
    photographs: Sequence[RgbaImage],
    depths: Sequence[NDArray[Any]],
    cameras: Cameras,
    settings: Mapping[str, Any],
    device: str,
) -> dict[str, float]:
    """Mean scores of some edited views.

    Args:
        edits: The edited views.
        photographs: The same views before. The edits of photographs are the photographs.
        depths: Depth of the baseline in these views.
        cameras: Their cameras.
        settings: The config's section `metrics`.
        device: Where to compute.

    Returns:
        `edit_strength`, `edit_strength_ssim` and `sharpness` as beside every score of an avatar,
        and `ciede2000_corrected`, the mean over all ordered pairs of views; NaN where no pair
        shares enough.
    """
    strength = edit_strength(edits, photographs, cameras, settings["foreground_alpha"])
    names = cameras.names
    pairs = [(target, source) for target in names for source in names if target != source]
    own = {**settings, "names": (METRIC,)}
    table = score(edits, depths, cameras, pairs, settings=own, device=device) if pairs else None
    disagreement = float("nan") if table is None else float(table[METRIC].mean())
    return {**{name: float(strength[name].mean()) for name in COLUMNS}, METRIC: disagreement}


def with_floor(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table of a sweep. The first row is of the photographs, whose disagreement is the floor.

    Returns:
        The rows, with the column `ciede2000_corrected_excess`: the disagreement above the floor.
    """
    table = pd.DataFrame(rows)
    table[f"{METRIC}_excess"] = table[METRIC] - table[METRIC].iloc[0]
    return table
