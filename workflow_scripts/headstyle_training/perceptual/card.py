"""The model card of the mini perceptual metric, written from its scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.files import whole_file

from headstyle_training.perceptual.distortions import HELD_OUT, TRAINED

TASK_NAMES = {
    "same_type_trained": "one type of distortion, trained types",
    "same_type_held_out": "one type of distortion, held-out types",
    "across_trained": "two types, trained",
    "across_held_out": "two types, held out",
    "edits": "the same edit, slightly spoiled by held-out types, or another one",
}


def write_card(folder: Path, settings: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Write `MODEL_CARD.md` beside the model."""
    with whole_file(folder / "MODEL_CARD.md") as path:
        path.write_text(card(folder, settings, scores), encoding="utf-8")


def card(folder: Path, settings: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """The card's text."""
    size_mb = (folder / "model.safetensors").stat().st_size / 1e6
    seed, shift = settings["seed"], scores["shift"]
    trained, held_out = (", ".join(k).replace("_", " ") for k in (TRAINED, HELD_OUT))
    return f"""# Mini perceptual metric (`lpips_mini`)

A network in the form of LPIPS (Zhang et al. 2018): torchvision's squeezenet1_1 backbone and the
lpips package's linear heads, trained from scratch, in half precision, {size_mb:.1f} MB. The lpips
package's own class takes the weights. It is not LPIPS: it has seen neither photographs nor people's
judgements, and its numbers are not comparable with those of LPIPS.

## Data

{settings["trained_heads"]:,} procedural heads (seeds from 1000 on) and true edits of them
(`headstyle_training`). Judgements were made up: of two distorted versions of a picture, the one
with the lower level is closer; of two edits, the true one. Levels of different types were set equal
by eye.

- Distortions trained on: {trained}.
- Held out: {held_out}.

## Training

{settings["minutes"]:g} minutes on {settings["machine"]}, {settings["date"]}, seed {seed}:
{settings["trained_iterations"]:,} iterations of {settings["batch"]} judgements at
{settings["crop_px"]} px. Losses are in `history.tsv`, all settings and scores in `scores.json`.

## Scores

Share of right answers to which of two alternatives is closer to a reference, at
{settings["side_px"]} px, on heads never trained on (seeds 100 to
{99 + settings["evaluation_heads"]}). Most alternatives are also moved by up to a pixel along x and
y, and all about 2 % brighter or darker, which should not count.

{accuracy_table(scores["accuracy"])}

By type, within one type (share of right answers; in brackets the mean rank correlation of the
distance of one picture with the level):

{type_table(scores)}

Moved by one pixel, a picture is {shift["lpips_mini"]:.2f} times as far away as under noise of the
same RMSE (1 - SSIM: {shift["ssim"]:.2f}).

## Limits

Which distortion of two types is worse was decided by this project, not measured on people. It knows
procedural heads; on photographs it is a plausible distance of features and nothing more. As in the
published metric, an empty frame around the compared region dilutes the value.
"""


def accuracy_table(accuracy: Mapping[str, Mapping[str, float]]) -> str:
    """Two-alternative accuracies as a Markdown table."""
    rows = ["| task | judgements | lpips_mini | RMSE | SSIM |", "|---|---|---|---|---|"]
    for task, found in accuracy.items():
        cells = " | ".join(f"{found[name]:.1%}" for name in ("lpips_mini", "rmse", "ssim"))
        rows.append(f"| {TASK_NAMES[task]} | {found['judgements']} | {cells} |")
    return "\n".join(rows)


def type_table(scores: Mapping[str, Any]) -> str:
    """Accuracy and monotony by type as a Markdown table."""
    rows = ["| distortion | lpips_mini | RMSE | SSIM |", "|---|---|---|---|"]
    for name, found in scores["accuracy_by_type"].items():
        orders = scores["monotone"][name]
        cells = " | ".join(
            f"{found[measure]:.0%} ({orders[measure]:.2f})"
            for measure in ("lpips_mini", "rmse", "ssim")
        )
        held_out = ", held out" if name in HELD_OUT else ""
        rows.append(f"| {name.replace('_', ' ')}{held_out} | {cells} |")
    return "\n".join(rows)
