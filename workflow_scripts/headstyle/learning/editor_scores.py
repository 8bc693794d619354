"""How well the mini editor edits heads that it has not seen, through the workflow's own loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn
from torch.nn import functional

from headstyle.editing.base import Instruction, View
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.learning.editor_classifier import (
    CLASSES,
    cut_to,
    recognize,
    save_classifier,
    train_classifier,
)
from headstyle.learning.editor_data import on_black
from headstyle.learning.editor_training import Stage
from headstyle.learning.head_bank import HeadBank
from headstyle.learning.pairs import EditBatch, PairStream
from headstyle.learning.wording import fill_in, texts_of
from headstyle.losses import ssim_map

TEXT_GUIDANCE, IMAGE_GUIDANCE = 1.0, 1.0
NOISE_LEVEL, DIFFUSION_STEPS = 0.9, 10
SIZE_PX = (256, 176)
TEXT_GUIDANCES = (0.0, 0.5, 1.0, 1.5)
SHOWN = 3
"""Heads of each edit on the contact sheet."""
NEGATIVE_PROMPT = "low quality, deformed, bad"


@dataclass(frozen=True)
class Judged:
    """Edits of B unseen heads by one instruction, all on black in [-1, 1], `(B, 3, H, W)`."""

    photographs: Tensor
    edits: Tensor
    true_edits: Tensor
    foreground: Tensor
    """Bool, `(B, H, W)`."""
    concerned: Tensor
    """Bool, `(B, H, W)`."""


def evaluate(
    folder: Path, bank: HeadBank, unseen: HeadBank, seed: int, device: str, count: int = 24
) -> dict[str, Any]:
    """Score the pipeline in `folder`; writes the judge's weights and a contact sheet there.

    Args:
        folder: The pipeline.
        bank: Heads to train the judge on.
        unseen: Heads to edit.
        seed: Of everything drawn.
        device: Where to compute.
        count: Pairs per operator and text.
    """
    streams = [PairStream(bank, *SIZE_PX, seed + 50)]
    judge_stage = Stage(minutes=0.75 if device == "cuda" else 0.05, learning_rate=2e-3, batch=96)
    judge = train_classifier(streams, judge_stage, seed)
    (folder / "evaluation").mkdir(exist_ok=True)
    save_classifier(folder / "evaluation" / "judge.safetensors", judge)
    editor = load_editor(folder, device)
    stream = PairStream(unseen, *SIZE_PX, seed + 99, held_out=True)
    rows, sheet = {}, []
    for operator in CLASSES:
        batch = stream.draw(count, [operator])
        texts = [study_text(operator), *texts_of(operator, held_out=True)[:2]]
        judged = [judge_edits(editor, batch, fill_in(text, "the head")) for text in texts]
        rows[operator] = operator_scores(operator, judged, judge)
        rows[operator] |= guidance_scores(editor, batch, fill_in(texts[0], "the head"))
        sheet.append(judged[0])
    true = [stream.draw(count, [operator]) for operator in CLASSES]
    found = [recognize(judge, on_black(cut_to(b.edited, b.photographs))) for b in true]
    right = [
        name == operator for operator, names in zip(CLASSES, found, strict=True) for name in names
    ]
    write_contact_sheet(folder / "evaluation" / "edits.jpg", sheet)
    means = {key: float(np.mean([row[key] for row in rows.values()])) for key in rows[CLASSES[0]]}
    return {"operators": rows, "mean": means, "judge_on_true_edits": float(np.mean(right))}


def study_text(operator: str) -> str:
    """The study's own instruction: the first of the operator's texts."""
    return texts_of(operator)[0]


def load_editor(folder: Path, device: str, steps: int = DIFFUSION_STEPS) -> InstructPix2Pix:
    """The pipeline, used as the workflow uses it."""
    return InstructPix2Pix.from_config(
        {
            "model": str(folder),
            "revision": None,
            "dtype": "float16" if device == "cuda" else "float32",
            "diffusion_steps": steps,
            "negative_prompt": NEGATIVE_PROMPT,
            "batch_size": 64,
            "background": [0, 0, 0],
        },
        device,
    )


def judge_edits(
    editor: InstructPix2Pix,
    batch: EditBatch,
    text: str,
    text_guidance: float = TEXT_GUIDANCE,
) -> Judged:
    """Edit the photographs of a batch, starting from themselves."""
    rgba = batch.photographs.permute(0, 2, 3, 1).cpu().numpy()
    views = [View(str(i), image, image) for i, image in enumerate(rgba)]
    instruction = Instruction(
        prompt="P",
        text=text,
        text_guidance=text_guidance,
        image_guidance=IMAGE_GUIDANCE,
        noise_level=NOISE_LEVEL,
        cycle=0,
        seed=0,
    )
    edits = np.stack(editor.edit(views, instruction))
    device = batch.photographs.device
    return Judged(
        on_black(batch.photographs),
        on_black(torch.from_numpy(edits).to(device).permute(0, 3, 1, 2)),
        on_black(cut_to(batch.edited, batch.photographs)),
        batch.photographs[:, 3] > 0.5,
        batch.concerned,
    )


def operator_scores(operator: str, judged: Sequence[Judged], judge: nn.Module) -> dict[str, float]:
    """Means over all pictures and texts of one edit.

    `psnr_edit` and `distance_edit` compare the edit with the true edit inside the silhouette,
    `psnr_photograph` and `distance_photograph` the photograph; `closer` is the share of pictures
    whose edit has the smaller distance, `recognized` the share in which the judge sees the right
    edit, `psnr_kept` compares edit and photograph where the edit should change nothing.
    """
    values: dict[str, list[float]] = {}

    def add(name: str, numbers: Tensor) -> None:
        values.setdefault(name, []).extend(n for n in numbers.tolist() if n == n)

    for one in judged:
        edit, photograph = (
            distance(images, one.true_edits, one.foreground)
            for images in (one.edits, one.photographs)
        )
        add("distance_edit", edit)
        add("distance_photograph", photograph)
        add("closer", (edit < photograph).float())
        add("psnr_edit", psnr(one.edits, one.true_edits, one.foreground))
        add("psnr_photograph", psnr(one.photographs, one.true_edits, one.foreground))
        kept = one.foreground & ~one.concerned
        add("psnr_kept", psnr(one.edits, one.photographs, kept))
        seen = recognize(judge, one.edits)
        add("recognized", torch.tensor([float(name == operator) for name in seen]))
    # Edits of the whole head leave nothing to be kept.
    return {name: float(np.mean(numbers)) if numbers else 100.0 for name, numbers in values.items()}


def guidance_scores(editor: InstructPix2Pix, batch: EditBatch, text: str) -> dict[str, float]:
    """PSNR to the photograph without guidance on the text, and how much each guidance changes."""
    scores = {}
    for guidance in TEXT_GUIDANCES:
        one = judge_edits(editor, batch, text, guidance)
        if guidance == 0:
            found = psnr(one.edits, one.photographs, one.foreground)
            scores["psnr_without_guidance"] = float(found.mean())
        change = (one.edits - one.photographs).abs().mean(dim=1)[one.foreground].mean() / 2
        scores[f"change_at_{guidance:g}"] = float(change)
    return scores


def distance(first: Tensor, second: Tensor, foreground: Tensor) -> Tensor:
    """1 - SSIM on the foreground, the mean of three scales (full, half, quarter). Shape `(B,)`."""
    total = torch.zeros(len(first), device=first.device)
    mask = foreground[:, None].float()
    for scale in (1, 2, 4):
        a, b, weight = (functional.avg_pool2d(x, scale) for x in (first, second, mask))
        similarity = ssim_map(*((x.permute(0, 2, 3, 1) + 1) / 2 for x in (a, b))).mean(dim=3)
        total += ((1 - similarity) * weight[:, 0]).sum(dim=(1, 2)) / weight[:, 0].sum(dim=(1, 2))
    return total / 3


def psnr(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """PSNR [dB] of images in [-1, 1] on each one's mask, NaN where it is empty. Shape `(B,)`."""
    squares = ((first - second) / 2).square().mean(dim=1)
    error = (squares * mask).sum(dim=(1, 2)) / mask.sum(dim=(1, 2))
    return -10 * torch.log10(error.clamp_min(1e-10))


def write_contact_sheet(path: Path, judged: Sequence[Judged]) -> None:
    """One row per edit: photograph, edit and true edit of some heads."""
    rows = []
    for one in judged:
        tiles = [
            images[i]
            for i in range(min(SHOWN, len(one.edits)))
            for images in (one.photographs, one.edits, one.true_edits)
        ]
        rows.append(torch.cat(tiles, dim=2))
    sheet = ((torch.cat(rows, dim=1) + 1) / 2).clamp(0, 1).mul(255).byte()
    PillowImage.fromarray(sheet.permute(1, 2, 0).cpu().numpy()).save(path, quality=85)
