"""Selection of the iteration whose splats a training keeps.

A training on few views overfits in the end. Selection views show when: they are neither trained on
nor held out for evaluation. Selecting by the held-out views would make their scores too good.
Without selection views, the splats of the last iteration are kept.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.losses.photometric import psnr
from headstyle.rendering.renderer import Splats, render_views
from headstyle.training.exposure import Exposures, exposed

logger = logging.getLogger("headstyle")

# Number of evaluations on the selection views during a training.
LOOKS = 30


class Selection:
    """The best splats so far, by the foreground PSNR of the selection views."""

    def __init__(self, cameras: Cameras, images: Sequence[RgbaImage], iterations: int) -> None:
        """Evaluate on the given selection views several times within `iterations`."""
        self.cameras = cameras
        self.images = [torch.from_numpy(image) for image in images]
        self.every = max(1, iterations // LOOKS)
        self.psnr = -np.inf
        self.iteration: int | None = None
        """Iteration of the best splats; None without selection views."""
        self.splats: dict[str, Tensor] = {}

    def look(
        self, splats: Splats, iteration: int, last: bool, exposures: Exposures | None = None
    ) -> None:
        """Keep the splats if they are the best so far. Most iterations are not evaluated.

        If there are exposures, the renders are evaluated with the views' predicted exposures.
        """
        if not self.images or not (last or iteration % self.every == 0):
            return
        rendered = [image for _, image, *_ in render_views(splats, self.cameras)]
        if exposures:
            rendered = list(map(exposed, rendered, exposures.gains(self.cameras)))
        value = np.nanmean(list(map(_score, self.images, rendered)))
        if value > self.psnr:
            self.psnr, self.iteration = float(value), iteration
            self.splats = {name: tensor.detach().clone() for name, tensor in splats.items()}

    def choose(self, splats: Splats) -> Splats:
        """The best splats; without selection views, the given ones."""
        if self.iteration is None:
            return splats
        logger.info("keeping the splats of iteration %d: %.2f dB", self.iteration, self.psnr)
        device = splats["means"].device
        return Splats(
            {name: torch.nn.Parameter(value.to(device)) for name, value in self.splats.items()}
        )

    def tensors(self) -> dict[str, Tensor]:
        """The best splats, with their names in a checkpoint."""
        return {f"best.{name}": value for name, value in self.splats.items()}

    def described(self) -> dict[str, Any]:
        """The rest of the state, as values that JSON can hold."""
        return {"iteration": self.iteration, "psnr": self.psnr if self.splats else None}

    def restore(self, tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.iteration = described["iteration"]
        if self.iteration is not None:
            self.psnr = described["psnr"]
        for name, value in tensors.items():
            if name.startswith("best."):
                self.splats[name.removeprefix("best.")] = value


def split_views(names: Sequence[str], holdout: int | Sequence[str]) -> tuple[list[int], list[int]]:
    """Split views into training views and held-out views.

    Args:
        names: The views.
        holdout: n holds out every n-th, beginning with the first; 0 holds out none. Names hold out
            those views.

    Returns:
        Indices of the training views and of the held-out ones.

    Raises:
        InputError: a name is none of the views, or no view is left to train on.
    """
    if isinstance(holdout, int):
        held = [i for i in range(len(names)) if holdout and i % holdout == 0]
    else:
        if unknown := [name for name in holdout if name not in names]:
            raise InputError(
                f"baseline.holdout names the view {unknown[0]!r}, which is none of the"
                f" {len(names)} views ({', '.join(list(names)[:3])}, ...); correct or remove it"
            )
        held = [i for i, name in enumerate(names) if name in holdout]
    training = [i for i in range(len(names)) if i not in held]
    if not training:
        raise InputError(
            f"baseline.holdout leaves none of {len(names)} views to train on; hold out fewer, or"
            " set it to 0"
        )
    return training, held


def split_for_selection(training: Sequence[int], every: int) -> tuple[list[int], list[int]]:
    """Split views into those to train on and the selection views: every n-th, from the n/2-th on.

    Raises:
        InputError: no view is left to train on or to select by.
    """
    if not every:
        return list(training), []
    choosing = [view for i, view in enumerate(training) if i % every == every // 2]
    left = [view for view in training if view not in choosing]
    if not left or not choosing:
        raise InputError(
            f"baseline.selection_every = {every} leaves {len(left)} of {len(training)} views to "
            f"train on and {len(choosing)} to select by; change it or set it to 0"
        )
    return left, choosing


def _score(image: Tensor, rendered: RgbaImage) -> float:
    seen = torch.from_numpy(rendered)
    mask = image[..., 3] > FOREGROUND_ALPHA
    return float(psnr(seen[..., :3] * seen[..., 3:], image[..., :3] * image[..., 3:], mask))
