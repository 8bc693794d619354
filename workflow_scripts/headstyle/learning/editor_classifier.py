"""Which of the study's eight edits a picture shows: a small network that judges the mini editor."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from headstyle.capture.operators import OPERATORS, STUDY_OPERATORS
from headstyle.learning.editor_data import on_black
from headstyle.learning.editor_training import Stage
from headstyle.learning.pairs import PairStream

CLASSES = tuple(STUDY_OPERATORS.values())
SIDE_PX = 128
"""Pictures are looked at in this size."""


def new_classifier() -> nn.Module:
    """Four strided convolutions, the mean over the picture, and a linear layer."""
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, len(CLASSES))
    )


def train_classifier(streams: Sequence[PairStream], stage: Stage, seed: int) -> nn.Module:
    """Train on true edits, cut to the photograph's silhouette as the workflow cuts its edits."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = new_classifier().to(streams[0].bank.device).train()
    names = tuple(OPERATORS)

    def loss_of(iteration: int) -> Tensor:
        batch = streams[iteration % len(streams)].draw(stage.batch, CLASSES)
        classes = [CLASSES.index(names[i]) for i in batch.operators.tolist()]
        target = torch.tensor(classes, device=batch.operators.device)
        shown = cut_to(batch.edited, batch.photographs)
        # Small strengths are hardly visible: they count less.
        losses = functional.cross_entropy(
            network(shrunk(on_black(shown))), target, reduction="none"
        )
        return (losses * batch.strengths.clamp(0, 1)).mean()

    stage.run(list(network.parameters()), loss_of)
    return network.eval().requires_grad_(False)


def cut_to(edited: Tensor, photographs: Tensor) -> Tensor:
    """Edits `(B, 4, H, W)` without what lies outside of the photographs' silhouettes."""
    return torch.cat([edited[:, :3], edited[:, 3:] * photographs[:, 3:]], dim=1)


def shrunk(images: Tensor) -> Tensor:
    """Pictures whose height is `SIDE_PX`."""
    scale = SIDE_PX / images.shape[2]
    return functional.interpolate(images, scale_factor=scale, mode="area")


@torch.inference_mode()
def recognize(network: nn.Module, images: Tensor) -> list[str]:
    """The edit that each picture `(B, 3, H, W)` in [-1, 1] shows most probably."""
    return [CLASSES[i] for i in network(shrunk(images)).argmax(dim=1).tolist()]


def save_classifier(path: Path, network: nn.Module) -> None:
    """Write the weights in half precision."""
    save_file({name: t.half().contiguous() for name, t in network.state_dict().items()}, path)


def load_classifier(path: Path) -> nn.Module:
    """Read what `save_classifier` wrote."""
    network = new_classifier()
    state = network.state_dict()
    network.load_state_dict({n: t.to(state[n].dtype) for n, t in load_file(path).items()})
    return network.eval().requires_grad_(False)
