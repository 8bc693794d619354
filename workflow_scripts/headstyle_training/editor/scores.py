"""How well the mini editor edits heads that it has not seen, through the workflow's own loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from headstyle.base.embedded import embedded_file
from headstyle.base.files import whole_file
from headstyle.editing.base import Instruction, View
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.losses.lpips_networks import load_mini
from headstyle.losses.photometric import ssim_map
from PIL import Image as PillowImage
from torch import Tensor, nn
from torch.nn import functional

from headstyle_training.editor.classifier import (
    CLASSES,
    Judge,
    cut_to,
    draw_examples,
    load_classifier,
    save_classifier,
    train_classifier,
)
from headstyle_training.editor.data import on_black
from headstyle_training.heads.bank import HeadBank
from headstyle_training.heads.pairs import EditBatch, PairStream
from headstyle_training.heads.wording import fill_in, texts_of
from headstyle_training.loop.progress import Progress
from headstyle_training.loop.settings import LoopSettings

TEXT_GUIDANCE, IMAGE_GUIDANCE = 1.0, 1.0
NOISE_LEVEL, DIFFUSION_STEPS = 0.98, 5
"""The workflow's strongest noise; under weaker noise the photograph holds the edit back."""
SIZE_PX = (256, 176)
TEXT_GUIDANCES = (0.0, 0.5, 1.0, 1.5)
SHOWN = 3
"""Heads on the contact sheet for each edit."""
NEGATIVE_PROMPT = "low quality, deformed, bad"
SEED_OF_UNSEEN = 99
"""Added to the training's seed, so that an evaluation can be repeated."""


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


def train_judge(
    editor: InstructPix2Pix, bank: HeadBank, count: int, settings: LoopSettings
) -> Judge:
    """Train the judge on true edits of the heads that the editor was trained on.

    Args:
        editor: Its autoencoder reproduces half of the pictures, so that the judge learns to
            overlook the autoencoder's traces.
        bank: The heads that the editor was trained on.
        count: How many pictures to train on.
        settings: How long and how to train.
    """
    vae = editor.vae

    def reproduce(images: Tensor) -> Tensor:
        latents = vae.encode(images.to(vae.dtype)).latent_dist.mode()
        return vae.decode(latents).sample.to(images.dtype)

    stream = PairStream(bank, *SIZE_PX, settings.seed + 50, full_strength=True)
    return train_classifier(draw_examples(stream, count, reproduce), Progress(settings))


def evaluate(
    editor: InstructPix2Pix,
    judge: Judge,
    unseen: HeadBank,
    seed: int,
    count: int,
    operators: Sequence[str] = CLASSES,
    sheet: Path | None = None,
) -> dict[str, Any]:
    """Score an editor on true edits of full strength.

    Args:
        editor: The pipeline as the workflow uses it.
        judge: Tells which edit a picture shows.
        unseen: Heads to edit.
        seed: Decides which pairs are drawn.
        count: Pictures per operator and text.
        operators: The edits to score.
        sheet: JPEG file for a contact sheet; None writes none.
    """
    rows, shown, right = {}, [], []
    network = load_mini(embedded_file("perceptual/model.safetensors")).to(editor.unet.device)
    for operator in operators:
        # Its own seed, so that an edit's scores do not depend on which others are evaluated.
        own_seed = seed + SEED_OF_UNSEEN + CLASSES.index(operator)
        stream = PairStream(unseen, *SIZE_PX, own_seed, held_out=True, full_strength=True)
        batch = stream.draw(count, [operator])
        texts = [study_text(operator), *texts_of(operator, held_out=True)[:2]]
        judged = [judge_edits(editor, batch, fill_in(text, "the head")) for text in texts]
        rows[operator] = operator_scores(operator, judged, judge, network)
        rows[operator] |= guidance_scores(editor, batch, fill_in(texts[0], "the head"))
        shown.append(judged[0])
        right += [name == operator for name in judge.recognize(judged[0].true_edits)]
    if sheet is not None:
        with whole_file(sheet) as path:
            write_contact_sheet(path, shown)
    return {
        "operators": rows,
        "mean": {key: _mean([row[key] for row in rows.values()]) for key in rows[operators[0]]},
        "judge_on_true_edits": float(np.mean(right)),
        "sample": {"heads": len(unseen), "pictures": count, "device": editor.unet.device.type},
    }


def evaluate_folder(
    folder: Path, bank: HeadBank, unseen: HeadBank, seed: int, device: str, effort: "Effort"
) -> dict[str, Any]:
    """Train a judge, and score the pipeline in a folder.

    Args:
        folder: The pipeline; gets `evaluation/judge.safetensors` and `evaluation/edits.jpg`.
        bank: Heads to train the judge on.
        unseen: Heads to edit.
        seed: Decides every random draw.
        device: Where to compute.
        effort: How thorough the evaluation is.
    """
    editor = load_editor(folder, device)
    settings = LoopSettings(
        minutes=effort.judge_minutes,
        iterations=effort.judge_iterations,
        batch=128,
        learning_rate=2e-3,
        averaging=None,
        seed=seed,
        device=device,
    )
    judge = train_judge(editor, bank, effort.judge_pictures, settings)
    with whole_file(folder / "evaluation" / "judge.safetensors") as path:
        save_classifier(path, judge)
    # As it is rounded in its file, so that the scores can be computed again.
    judge = load_classifier(folder / "evaluation" / "judge.safetensors", device)
    sheet = folder / "evaluation" / "edits.jpg"
    return evaluate(editor, judge, unseen, seed, effort.pictures, sheet=sheet)


@dataclass(frozen=True)
class Effort:
    """How thorough an evaluation is."""

    pictures: int = 24
    """Pictures of each operator and text."""
    judge_pictures: int = 12_000
    judge_minutes: float = 0.75
    judge_iterations: int | None = None


def study_text(operator: str) -> str:
    """The study's own instruction: the first of the operator's texts."""
    return texts_of(operator)[0]


def load_editor(folder: Path, device: str, steps: int = DIFFUSION_STEPS) -> InstructPix2Pix:
    """The pipeline, used as the workflow uses it."""
    return InstructPix2Pix.from_config(
        {
            "model": str(folder),
            "revision": None,
            "dtype": "float16" if torch.device(device).type == "cuda" else "float32",
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


def operator_scores(
    operator: str, judged: Sequence[Judged], judge: Judge, network: nn.Module
) -> dict[str, float | None]:
    """Means over all pictures and texts of one edit; None where no picture tells.

    `psnr_edit`, `lpips_mini_edit` and `ssim_distance_edit` compare the edit with the true edit,
    those with `photograph` the photograph, inside the silhouette; with `_there`, only where the
    edit should change something. `closer` is the share of pictures whose edit has the larger PSNR
    and the smaller `lpips_mini` there, `recognized` the share in which the judge sees the right
    edit; `psnr_kept` compares edit and photograph where the edit should change nothing.
    """
    values: dict[str, list[float]] = {}

    def add(name: str, numbers: Tensor) -> Tensor:
        values.setdefault(name, []).extend(numbers.tolist())
        return numbers

    def lpips_mini(first: Tensor, second: Tensor, region: Tensor) -> Tensor:
        return perceptual_distance(network, first, second, region)

    for one in judged:
        for suffix, region in (
            ("", one.foreground),
            ("_there", one.foreground & one.concerned),
        ):
            gains = {}
            for measure in (psnr, lpips_mini, ssim_distance):
                edit, photograph = (
                    add(
                        f"{measure.__name__}_{name}{suffix}",
                        measure(images, one.true_edits, region),
                    )
                    for name, images in (("edit", one.edits), ("photograph", one.photographs))
                )
                gains[measure] = edit - photograph
            some = region.flatten(1).any(dim=1)
        closer = (gains[psnr] > 0) & (gains[lpips_mini] < 0)
        add("closer", closer.float()[some])
        add("psnr_kept", psnr(one.edits, one.photographs, one.foreground & ~one.concerned))
        seen = judge.recognize(one.edits)
        add("recognized", torch.tensor([float(name == operator) for name in seen]))
    return {name: _mean(numbers) for name, numbers in values.items()}


def guidance_scores(
    editor: InstructPix2Pix, batch: EditBatch, text: str
) -> dict[str, float | None]:
    """PSNR to the photograph without guidance on the text, and how much each guidance changes."""
    scores: dict[str, float | None] = {}
    for guidance in TEXT_GUIDANCES:
        one = judge_edits(editor, batch, text, guidance)
        if guidance == 0:
            found = psnr(one.edits, one.photographs, one.foreground)
            scores["psnr_without_guidance"] = float(found.mean())
        change = (one.edits - one.photographs).abs().mean(dim=1)[one.foreground].mean() / 2
        scores[f"change_at_{guidance:g}"] = float(change)
    return scores


@torch.no_grad()
def perceptual_distance(
    network: nn.Module, first: Tensor, second: Tensor, region: Tensor
) -> Tensor:
    """A network's distance of images that are black outside a region.

    Args:
        network: A network of the lpips package.
        first: Images in [-1, 1]. Shape `(B, 3, H, W)`.
        second: Likewise.
        region: Bool, `(B, H, W)`.

    Returns:
        NaN where the region is empty. Shape `(B,)`.
    """
    black = first.new_tensor(-1)
    first, second = (torch.where(region[:, None], images, black) for images in (first, second))
    found = network(first, second).flatten()
    return torch.where(region.flatten(1).any(dim=1), found, torch.nan)


def ssim_distance(first: Tensor, second: Tensor, region: Tensor) -> Tensor:
    """1 - SSIM in a region, the mean of three scales (full, half, quarter).

    Args:
        first: Images in [-1, 1]. Shape `(B, 3, H, W)`.
        second: Likewise.
        region: Bool, `(B, H, W)`.

    Returns:
        NaN where the region is empty. Shape `(B,)`.
    """
    total = torch.zeros(len(first), device=first.device)
    mask = region[:, None].float()
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


def _mean(numbers: Sequence[float | None]) -> float | None:
    """Mean of those that are numbers; None where there are none."""
    found = [number for number in numbers if number is not None and number == number]
    return float(np.mean(found)) if found else None
