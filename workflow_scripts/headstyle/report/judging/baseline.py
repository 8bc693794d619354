"""What makes a view and its render differ: the mask, the exposure or the pose, each measured.

A part of a view's squared error speaks for the mask if it lies where the alphas of view and render
differ, for the exposure if one gain per color takes it away, and for the pose if a shift of the
render takes it away.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage

REASONS = ("mask", "exposure", "pose")
# Alphas that differ by more are of different masks, not of different edges.
_ALPHA_STEP = 0.25
# Soft edges of two masks of the same head differ by this [px].
_EDGE_PX = 1
# A shift is looked for up to this part of the longer side.
_LARGEST_SHIFT = 0.04
# A reason is named if it explains so large a part of a view's error, and, for all views, that one
# which explains most.
_LEAST_PART = 0.35
# A training that gains more from its second quarter to its last is not finished [dB]. Quarters next
# to each other tell less: a row of the history is the PSNR of the one view trained on just then.
_UNFINISHED_DB = 2.0
# A training that has shown each view fewer times tells nothing of other causes: renders are still
# transparent inside the masks. The shipped configurations show each view 45 times or more.
_LEAST_VISITS = 25
# Views that are named, at most.
_NAMED = 5
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "center", "right")
_REASON_TEXT = {
    "mask": (
        "Most of the error lies where masks and renders disagree, so the masks contradict each "
        "other. Look at the sheet of masks; give masks of your own, or set masks.agreement.apply."
    ),
    "exposure": (
        "A gain per photograph takes most of the error away, so the exposures differ. Set "
        "images.equalize_exposure: points, or photograph with a fixed exposure."
    ),
    "pose": (
        "A shift of the renders takes much of the error away, so cameras are wrong. Look at the "
        "table of camera poses; remove photographs whose views are named here."
    ),
    "training": (
        "The PSNR was still rising by {rise:.1f} dB from the second quarter of the training to the "
        "last: raise baseline.iterations."
    ),
    "beginning": (
        "The training is short, with {visits:.1f} iterations a view, so other causes cannot be "
        "told yet: raise baseline.iterations."
    ),
    "": "No single cause explains the error: look at the sheet of the baseline.",
}


def measure_view(view: RgbaImage, render: RgbaImage) -> dict[str, Any]:
    """How a view and its render differ on the view's foreground.

    Args:
        view: Shape `(H, W, 4)`, straight alpha.
        render: Shape `(H, W, 4)`, straight alpha.

    Returns:
        `error`: the sum of squared differences; `mask`, `exposure`, `pose`: parts of it [0-1] that
        each of them explains; `gain`: the largest gain of a color that fits best; `shift_px`: the
        shift that fits best; `region`: the ninth of the foreground's box with the largest part of
        the error, and that part; or nothing if there is no foreground.
    """
    mask = view[..., 3] > FOREGROUND_ALPHA
    if not mask.any():
        return {}
    target, shown = (image[..., :3] * image[..., 3:] for image in (view, render))
    squared = ((target - shown) ** 2).sum(axis=2) * mask
    total = float(squared.sum(dtype=np.float64))
    if total == 0:
        return {}
    differs = np.abs(view[..., 3] - render[..., 3]) > _ALPHA_STEP
    kernel = np.ones((2 * _EDGE_PX + 1, 2 * _EDGE_PX + 1), np.uint8)
    differs = cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    agreed = mask & ~differs
    by_mask = float(squared[differs].sum(dtype=np.float64)) / total
    left = float(squared[agreed].sum(dtype=np.float64))
    gains = _gains(target[agreed], shown[agreed])
    after_gain = float(((target - shown * gains) ** 2)[agreed].sum(dtype=np.float64))
    shift, after_shift = _best_shift(target, shown, agreed)
    region, part = _worst_region(squared, mask)
    return {
        "error": round(total, 4),
        "mask": round(by_mask, 4),
        "exposure": round(max(0.0, left - after_gain) / total, 4),
        "pose": round(max(0.0, left - after_shift) / total, 4),
        "gain": round(float(gains[np.abs(np.log(gains)).argmax()]), 4),
        "shift_px": round(float(np.hypot(*shift)), 2),
        "region": region,
        "region_part": round(part, 4),
    }


def rise_db(psnr: Sequence[float]) -> float:
    """How much the PSNR [dB] of a history rose from its second quarter to its last; 0 if short."""
    quarter = len(psnr) // 4
    if not quarter:
        return 0.0
    return float(np.mean(psnr[-quarter:]) - np.mean(psnr[-3 * quarter : -2 * quarter]))


def baseline_note(
    scores: Mapping[str, Any], judgement: Mapping[str, Any], poses: Mapping[str, Any], least: float
) -> str:
    """What is wrong with a baseline, in sentences for the first page; nothing if it is good.

    Args:
        scores: Content of the baseline's metrics.json.
        judgement: `views`: `measure_view` of each view, by name; `rise_db` of the training.
        poses: Content of poses.json.
        least: PSNR [dB] that the mean of the training views must reach.
    """
    psnr, views, measured = scores.get("psnr"), scores["views"], judgement["views"]
    if psnr is None or psnr >= least:
        return ""
    training = [n for n, view in views.items() if not view["heldout"] and view["psnr"] is not None]
    worst = sorted(
        (n for n in training if views[n]["psnr"] < least), key=lambda n: views[n]["psnr"]
    )
    named = "; ".join(_view_text(n, views[n]["psnr"], measured.get(n, {})) for n in worst[:_NAMED])
    more = f", and {len(worst) - _NAMED} more" if len(worst) > _NAMED else ""
    reason = _main_reason([measured[n] for n in training if measured.get(n)])
    # A training at its beginning gets everything wrong, also the masks.
    reason = "training" if judgement["rise_db"] >= _UNFINISHED_DB else reason
    visits = scores["iterations"] / max(1, len(training))
    # Known splats that are taken as they are have no training.
    reason = "beginning" if 0 < visits < _LEAST_VISITS else reason
    said = (
        f"The baseline shows its own training views with only {psnr:.1f} dB (expected: {least:g} dB"
        f" or more), so everything after it is worth less. Worst views: {named}{more}. "
        f"{_REASON_TEXT[reason].format(rise=judgement['rise_db'], visits=visits)}"
    )
    error_px = poses.get("mean_reprojection_error_px")
    if reason == "pose" and error_px is not None:
        said += f" The mean reprojection error of all points is {error_px:.2f} px."
    return said


def _main_reason(measured: Sequence[Mapping[str, Any]]) -> str:
    """The reason that explains most of the error of all views together; empty if none does."""
    total = sum(view["error"] for view in measured)
    parts = {r: sum(view[r] * view["error"] for view in measured) for r in REASONS}
    reason = max(REASONS, key=lambda r: parts[r])
    return reason if total and parts[reason] >= _LEAST_PART * total else ""


def _view_text(name: str, psnr: float, view: Mapping[str, Any]) -> str:
    if not view:
        return f"{name} ({psnr:.1f} dB)"
    reason = max(REASONS, key=lambda r: view[r])
    said = f"{view['region_part']:.0%} of the error at the {view['region']}"
    if view[reason] >= _LEAST_PART:
        measure = {
            "mask": f"{view['mask']:.0%} where masks disagree",
            "exposure": f"a gain of {view['gain']:.2f} explains {view['exposure']:.0%}",
            "pose": f"a shift of {view['shift_px']:.1f} px explains {view['pose']:.0%}",
        }[reason]
        said += f"; {reason}: {measure}"
    return f"{name} ({psnr:.1f} dB; {said})"


def _gains(target: NDArray[np.float32], shown: NDArray[np.float32]) -> NDArray[np.float32]:
    """The gain of each color that fits best, by least squares. Shape `(3,)`."""
    norms = (shown * shown).sum(axis=0)
    products = (target * shown).sum(axis=0)
    gains = np.where(norms > 0, products / np.maximum(norms, np.float32(1e-12)), np.float32(1))
    return np.clip(gains, np.float32(0.05), np.float32(20)).astype(np.float32)


def _best_shift(
    target: NDArray[np.float32], shown: NDArray[np.float32], where: NDArray[np.bool_]
) -> tuple[tuple[int, int], float]:
    """The shift of the render (x, y) [px] that leaves the least error, and that error."""
    reach = max(1, round(_LARGEST_SHIFT * max(where.shape)))
    best, least = (0, 0), float(((target - shown) ** 2)[where].sum(dtype=np.float64))
    step = max(1, reach // 2)
    # From coarse to fine, always from the best so far.
    while step >= 1:
        x0, y0 = best
        for x in (x0 - step, x0, x0 + step):
            for y in (y0 - step, y0, y0 + step):
                moves = np.array([[1, 0, x], [0, 1, y]], np.float32)
                moved = cv2.warpAffine(shown, moves, where.shape[::-1])
                error = float(((target - moved) ** 2)[where].sum(dtype=np.float64))
                if error < least:
                    best, least = (x, y), error
        step //= 2
    return best, least


def _worst_region(squared: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[str, float]:
    """The ninth of the foreground's box that holds the largest part of the error, and that part."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = squared[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    sums = np.array(
        [[part.sum() for part in np.array_split(row, 3, 1)] for row in np.array_split(box, 3, 0)]
    )
    row, column = np.unravel_index(sums.argmax(), sums.shape)
    vertical, horizontal = _ROWS[row], _COLUMNS[column]
    name = vertical if horizontal == "center" else f"{vertical} {horizontal}"
    return name, float(sums.max() / max(sums.sum(), 1e-12))
