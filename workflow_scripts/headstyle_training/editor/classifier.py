"""Which of the study's eight edits a picture shows: a small network that judges the mini editor."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from headstyle.base.errors import InputError
from headstyle.capture.operators import OPERATORS, STUDY_OPERATORS
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from headstyle_training.editor.data import from_bytes, on_black, to_bytes
from headstyle_training.heads.pairs import PairStream
from headstyle_training.loop.progress import Progress
from headstyle_training.loop.training import TrainingLoop

CLASSES = tuple(STUDY_OPERATORS.values())
WIDTHS = (24, 48, 96, 128, 160)
SIDE_PX = 256
"""Height of the pictures that the judge sees [px]; at less, a smile has only a few pixels."""
PAIRS_AT_ONCE = 48
NOISE, BRIGHTNESS = 0.03, 0.15
"""Largest deviations of the noise and of the brightness by which pictures are varied."""


@dataclass(frozen=True)
class Judge:
    """A classifier and the height of the pictures that it was trained on [px]."""

    network: nn.Module
    side_px: int

    @torch.inference_mode()
    def recognize(self, images: Tensor) -> list[str]:
        """The edit that each picture `(B, 3, H, W)` in [-1, 1] shows most probably."""
        scores = self.network(resized(images, self.side_px))
        return [CLASSES[i] for i in scores.argmax(dim=1).tolist()]


@dataclass(frozen=True)
class Examples:
    """N pictures of true edits, cut to the photograph's silhouette as the workflow cuts edits."""

    pictures: Tensor
    """Bytes. Shape `(N, 3, H, W)`."""
    classes: Tensor
    """Places in `CLASSES`, long. Shape `(N,)`."""


def new_classifier(widths: tuple[int, ...] = WIDTHS) -> nn.Module:
    """Strided convolutions, the mean over the picture, and a linear layer."""
    layers: list[nn.Module] = []
    for before, after in pairwise((3, *widths)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], len(CLASSES))
    )


@torch.no_grad()
def draw_examples(
    stream: PairStream, count: int, reproduce: Callable[[Tensor], Tensor]
) -> Examples:
    """True edits as they are, and as the editor's autoencoder reproduces them.

    Args:
        stream: Draws pairs of full strength.
        count: How many pictures; half of them are reproduced.
        reproduce: Encodes and decodes pictures in [-1, 1].
    """
    names = tuple(OPERATORS)
    pictures: list[Tensor] = []
    classes: list[Tensor] = []
    while 2 * PAIRS_AT_ONCE * len(pictures) < count:
        batch = stream.draw(min(PAIRS_AT_ONCE, (count + 1) // 2), CLASSES)
        shown = on_black(cut_to(batch.edited, batch.photographs))
        pictures.append(to_bytes(torch.cat([shown, reproduce(shown)])))
        found = [CLASSES.index(names[i]) for i in batch.operators.tolist()]
        classes.append(torch.tensor(2 * found, device=shown.device))
    return Examples(torch.cat(pictures)[:count], torch.cat(classes)[:count])


def train_classifier(examples: Examples, progress: Progress) -> Judge:
    """Train on examples that are varied anew each time: mirrored, blurred, noisy, brighter.

    Args:
        examples: What to learn from; the training runs on their device.
        progress: How far the training is; it ends where this is done.

    Raises:
        FloatingPointError: the loss is no longer a number.
    """
    seed, batch = progress.settings.seed, progress.settings.batch
    device = examples.pictures.device
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = new_classifier().to(device).train()
    generator = torch.Generator(device).manual_seed(seed)

    def draw(iteration: int) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(len(examples.classes), (batch,), generator=generator, device=device)
        images = varied(from_bytes(examples.pictures[chosen]), generator)
        return resized(images, SIDE_PX), examples.classes[chosen]

    def loss_of(images: Tensor, classes: Tensor) -> Tensor:
        return functional.cross_entropy(network(images), classes, label_smoothing=0.02)

    TrainingLoop(progress, [network]).run(draw, loss_of)
    return Judge(network.eval().requires_grad_(False), SIDE_PX)


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures mirrored half of the time, some blurred, all a little noisy and brighter or darker.

    An editor's pictures differ from true ones in such ways, which say nothing about the edit.
    """

    def chance() -> Tensor:
        size = (len(images), 1, 1, 1)
        return torch.rand(size, generator=generator, device=images.device)

    images = torch.where(chance() < 0.5, images.flip(3), images)
    small = functional.avg_pool2d(images, 2)
    blurred = functional.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)
    images = torch.lerp(images, blurred, (1.6 * chance() - 0.6).clamp_min(0))
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    brighter = (2 * chance() - 1) * BRIGHTNESS
    return ((images + 1) * (1 + brighter) - 1 + NOISE * chance() * noise).clamp(-1, 1)


def cut_to(edited: Tensor, photographs: Tensor) -> Tensor:
    """Edits `(B, 4, H, W)`, transparent outside of the photographs' silhouettes."""
    return torch.cat([edited[:, :3], edited[:, 3:] * photographs[:, 3:]], dim=1)


def resized(images: Tensor, side_px: int) -> Tensor:
    """Pictures of the given height."""
    if images.shape[2] == side_px:
        return images
    return functional.interpolate(images, scale_factor=side_px / images.shape[2], mode="area")


def save_classifier(path: Path, judge: Judge) -> None:
    """Write the weights in half precision."""
    state = {name: t.half().contiguous() for name, t in judge.network.state_dict().items()}
    save_file(state, path, metadata={"side_px": str(judge.side_px)})


def load_classifier(path: Path, device: str = "cpu") -> Judge:
    """Read what `save_classifier` wrote.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing: the judge that an editor's scores need; train the editor again"
        )
    with safe_open(path, framework="pt") as file:
        # The first judge looked at half the height and did not say so.
        side_px = int((file.metadata() or {}).get("side_px", 128))
    halves = load_file(path)
    kernels = sorted((int(name.split(".")[0]), t) for name, t in halves.items() if t.ndim == 4)
    network = new_classifier(tuple(t.shape[0] for _, t in kernels))
    state = network.state_dict()
    network.load_state_dict({name: t.to(state[name].dtype) for name, t in halves.items()})
    return Judge(network.to(device).eval().requires_grad_(False), side_px)
