"""Which iteration's splats a training keeps: the last one's, or those that views choose.

A training on few views ends by learning them by heart. Views that are neither trained on nor held
out for evaluation can tell when: choosing by the held-out views would make their scores too good.
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

# How often in a training the views are asked.
LOOKS = 30


class Selection:
    """The best splats so far by the foreground PSNR of views of their own; else the last ones."""

    def __init__(self, cameras: Cameras, images: Sequence[RgbaImage], iterations: int) -> None:
        """Choose by the given views, a few times in so many iterations."""
        self.cameras = cameras
        self.images = [torch.from_numpy(image) for image in images]
        self.every = max(1, iterations // LOOKS)
        self.psnr = -np.inf
        self.iteration: int | None = None
        """Iteration of the best splats; None where no views choose."""
        self.splats: dict[str, Tensor] = {}

    def look(
        self, splats: Splats, iteration: int, last: bool, exposures: Exposures | None = None
    ) -> None:
        """Remember the splats if they are the best yet; does nothing most of the time.

        With exposures, the views are judged with those predicted for them.
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
        """The best splats, or the given ones where no views choose."""
        if self.iteration is None:
            return splats
        logger.info("keeping the splats of iteration %d: %.2f dB", self.iteration, self.psnr)
        device = splats["means"].device
        return Splats(
            {name: torch.nn.Parameter(value.to(device)) for name, value in self.splats.items()}
        )

    def tensors(self) -> dict[str, Tensor]:
        """The best splats by the names they have in a checkpoint."""
        return {f"best.{name}": value for name, value in self.splats.items()}

    def described(self) -> dict[str, Any]:
        """The rest of the state."""
        return {"iteration": self.iteration, "psnr": self.psnr if self.splats else None}

    def restore(self, tensors: Mapping[str, Tensor], described: Mapping[str, Any]) -> None:
        """Take the state of a checkpoint."""
        self.iteration = described["iteration"]
        if self.iteration is not None:
            self.psnr = described["psnr"]
        for name, value in tensors.items():
            if name.startswith("best."):
                self.splats[name.removeprefix("best.")] = value


def split_for_selection(training: Sequence[int], every: int) -> tuple[list[int], list[int]]:
    """Views to train on and every n-th of them to choose by, from the middle of the first n on.

    Raises:
        InputError: nothing is left to train on or to choose by.
    """
    if not every:
        return list(training), []
    choosing = [view for i, view in enumerate(training) if i % every == every // 2]
    left = [view for view in training if view not in choosing]
    if not left or not choosing:
        raise InputError(
            f"baseline.selection_every = {every} leaves {len(left)} of {len(training)} views to "
            f"train on and {len(choosing)} to choose by; change it or set it to 0"
        )
    return left, choosing


def _score(image: Tensor, rendered: RgbaImage) -> float:
    seen = torch.from_numpy(rendered)
    mask = image[..., 3] > FOREGROUND_ALPHA
    return float(psnr(seen[..., :3] * seen[..., 3:], image[..., :3] * image[..., 3:], mask))
