"""The model card of the mini editor, written from its scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstyle.base.files import whole_file, write_json

from headstyle_training.editor.scores import (
    DIFFUSION_STEPS,
    IMAGE_GUIDANCE,
    NOISE_LEVEL,
    SIZE_PX,
    TEXT_GUIDANCE,
)
from headstyle_training.loop.progress import Row

COLUMNS = {
    "psnr_edit": "PSNR of the edit [dB]",
    "psnr_photograph": "of the photograph [dB]",
    "psnr_edit_there": "PSNR of the edit there [dB]",
    "psnr_photograph_there": "of the photograph there [dB]",
    "lpips_mini_edit_there": "`lpips_mini` of the edit there",
    "lpips_mini_photograph_there": "of the photograph there",
    "closer": "edit closer",
    "recognized": "recognized",
    "psnr_kept": "PSNR of what is to be kept [dB]",
    "psnr_without_guidance": "PSNR at s_P = 0 [dB]",
    "change_at_0.5": "change at s_P = 0.5",
    "change_at_1": "at 1",
    "change_at_1.5": "at 1.5",
}
PARTS = ("text_encoder", "vae", "unet")


def write_card(
    folder: Path,
    known: Mapping[str, Any],
    histories: Mapping[str, Sequence[Row]],
    scores: Mapping[str, Any],
) -> None:
    """Write `MODEL_CARD.md`, and below `evaluation/` the scores and the losses it is made from.

    Args:
        folder: Folder of the pipeline.
        known: Settings of the training, with `minutes_autoencoder`, `minutes_denoiser`,
            `trained_heads`, `machine` and `date`.
        histories: Histories of the parts of the training, by name.
        scores: As `headstyle_training.editor.scores.evaluate` returns them.
    """
    lines = ["stage\titeration\tloss\tseconds"]
    for part, history in histories.items():
        lines += [f"{part}\t{row.iteration}\t{row.loss:.5f}\t{row.seconds:.1f}" for row in history]
    with whole_file(folder / "evaluation" / "history.tsv") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_scores(folder, known, scores)


def write_scores(folder: Path, known: Mapping[str, Any], scores: Mapping[str, Any]) -> None:
    """Write `evaluation/scores.json` and the card of a pipeline that was evaluated (again)."""
    write_json(folder / "evaluation" / "scores.json", {"settings": dict(known), **scores})
    with whole_file(folder / "MODEL_CARD.md") as path:
        path.write_text(card(folder, known, scores), encoding="utf-8")


def card(folder: Path, known: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """The card's text."""
    sizes = {
        part: sum(file.stat().st_size for file in (folder / part).glob("*.safetensors")) / 1e6
        for part in PARTS
    }
    parts = ", ".join(f"{part} {size:.1f} MB" for part, size in sizes.items())
    height, width = SIZE_PX
    right, sample = f"{scores['judge_on_true_edits']:.0%}", scores["sample"]
    minutes = f"{known['minutes_autoencoder']:g}", f"{known['minutes_denoiser']:g}"
    trained = f"{known['machine']}, {known['date']}, seed {known['seed']}"
    looked_at = f"{sample['pictures']} photographs of {sample['heads']} unseen heads"
    before = known.get("minutes_before", 0)
    earlier = f", from weights trained for {before:g} min before" if before else ""
    guidances = f"s_P = {TEXT_GUIDANCE:g} and s_I = {IMAGE_GUIDANCE:g}"
    return f"""# Mini editor

A small InstructPix2Pix (Brooks et al. 2023) for heads on a black background at {height} px, in the
folder format of diffusers, in half precision: {parts}. It is what
headstyle edits with where the large model is out of reach; it knows procedural heads and nothing
else.

## Data

Photographs of procedural heads and true edits of the same heads (`headstyle_training`), rendered
for the training: {known["trained_heads"]:,} distinct heads (seeds from 1000 on), each with several
edits; cameras and lights are drawn anew for every picture. Three quarters of the edits are the
study's eight, the rest recolorings of hair, shirt, skin, eyes and lips. Every edit has several
wordings; some of each are held out. Seeds below 1000 were never trained on.

## Training

On {trained}: autoencoder {minutes[0]} min, text encoder
and denoiser {minutes[1]} min{earlier}. Losses are in `evaluation/history.tsv`.

## Scores

For each edit on {looked_at}, {height}x{width} px, through headstyle's
own editing loop: {DIFFUSION_STEPS} DDIM steps from noise level {NOISE_LEVEL:g}, {guidances}, the
study's text and two held-out ones. PSNR and `lpips_mini` compare with the true edit inside the
photograph's silhouette; *there* is the part of it that the edit should change, *what is to be kept*
the rest. *Edit closer* is the share of pictures whose edit beats the photograph there in both;
*recognized* the share in which a judge trained on true edits ({right} right on those of unseen
heads) sees the right one of the eight.

{table(scores)}

`python -m headstyle_training evaluate editor FOLDER` computes such a table again.

## Limits

Made for procedural heads: what it does to a real photograph says little. A guidance on the text of
1 is the whole edit; much more exaggerates. Edits cannot leave the silhouette, as the workflow
restores the mask after each edit: ears of a rabbit or a hat show inside the head's outline only.
"""


def table(scores: Mapping[str, Any]) -> str:
    """The scores of all edits as a Markdown table, their means last."""
    head = ["edit", *COLUMNS.values()]
    rows = [("| " + " | ".join(head) + " |"), "|" + "---|" * len(head)]
    for name, row in [*scores["operators"].items(), ("mean", scores["mean"])]:
        cells = [_cell(key, row[key]) for key in COLUMNS]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in ("closer", "recognized"):
        return f"{value:.0%}"
    return f"{value:.1f}" if key.startswith("psnr") else f"{value:.3f}"
