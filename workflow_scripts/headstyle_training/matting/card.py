"""The model card of the mini matting, written from its scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.files import whole_file

KIND_NAMES = {
    "heads": "heads as in the study, arbitrary backgrounds",
    "scenes": "heads and sculptures as in training",
    "captures": "one head from all sides, one camera each",
}


def write_card(folder: Path, settings: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Write `MODEL_CARD.md` beside the model."""
    with whole_file(folder / "MODEL_CARD.md") as path:
        path.write_text(card(folder, settings, scores), encoding="utf-8")


def card(folder: Path, settings: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """The card's text."""
    size_mb = (folder / "model.onnx").stat().st_size / 1e6
    seed = settings["seed"]
    return f"""# Mini matting

A small U-Net that finds heads and busts in photographs, {size_mb:.1f} MB, for rembg's
`u2net_custom` session: input 320 x 320 px, weights in half precision, computed with in single
precision. It is what `masks.matting_model: mini` names, for use without downloads.

## Data

Procedural heads (`headstyle_training`) alone, {settings["trained_heads"]:,} of them (seeds from
1000 on), edited or not: photographed from all sides and from above, near and far, in frames of all
formats, in flesh and as sculptures of stone, bronze and clay, many of these broken off at neck or
chest. Behind them, drawn anew for every picture: screens, clutter, noise, rooms; pedestals,
shadows, other heads far off. Then exposure, white balance, blur, noise and compression. No
photograph was trained on.

## Training

{settings["minutes"]:g} minutes on {settings["machine"]}, {settings["date"]}, seed {seed}:
{settings["trained_iterations"]:,} iterations of {settings["batch"]} pictures. Losses are in
`history.tsv`, all settings and scores in `scores.json`.

## Scores

Intersection over union of foregrounds (alpha of 0.5 and above) at {settings["side_px"]} px, on
heads that were never trained on (seeds 100 to {99 + settings["evaluation_heads"]}):

{table(scores)}
{agreement(scores)}
## Limits

It was trained on heads only, and takes whatever resembles one, or is the largest thing in focus,
for foreground. It works at 320 px: strands of hair are lost. rembg stretches the answer to the
whole range from 0 to 1, so a picture without any head gets an arbitrary mask.
"""


def agreement(scores: Mapping[str, Any]) -> str:
    """How well the masks of one head agree, in a paragraph; nothing if it was not measured."""
    found = scores.get("captures")
    if found is None:
        return ""
    return f"""
In {found["captures"]} captures of one head each, other views of known cameras contradict
{found["contradicted"]:.1%} of a mask's foreground in the mean ({found["contradicted_most"]:.1%} in
the worst capture). Of the true masks it is {found["contradicted_true"]:.1%}.
"""


def table(scores: Mapping[str, Any]) -> str:
    """The scores as a Markdown table."""
    head = ["pictures", "number", "mean IoU", "5 % below", "least", "mean absolute error"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind, row in scores.items():
        cells = [KIND_NAMES[kind], str(row["pictures"])]
        cells += [f"{row[key]:.4f}" for key in ("iou", "iou_5_percent", "iou_least")]
        rows.append(f"| {' | '.join(cells)} | {row['mean_absolute_error']:.4f} |")
    return "\n".join(rows)
