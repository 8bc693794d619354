"""The baseline of one subject as a radiance field."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.base.progress import progress
from headstyle.radiance.field import Box, RadianceField
from headstyle.radiance.settings import NerfSettings
from headstyle.radiance.trainer import FieldTrainer
from headstyle.training.baseline import HISTORY_ROWS
from headstyle.training.selection import split_views
from headstyle.training.trainer import DivergedError

logger = logging.getLogger("headstyle")


def train_field_on_views(
    cameras: Cameras,
    images: Sequence[RgbaImage],
    points: NDArray[np.floating],
    settings: NerfSettings,
    seed: int,
    device: str = "cpu",
    *,
    holdout: int | Sequence[str] = 0,
    background: str = "random",
) -> FieldTrainer:
    """Train a field on all views that are not held out.

    Args:
        cameras: All views.
        images: Their images with straight alpha, in the same order.
        points: Sparse points of the foreground, around which the field's box lies. `(N, 3)`.
        settings: The field and its training.
        seed: Seed of all random numbers.
        device: Device to train on.
        holdout: Views held out: every n-th, or these; 0 for none.
        background: What views are composited on: `random`, `black` or `white`.

    Returns:
        The trainer after its last iteration, with the field and the history.

    Raises:
        InputError: the field diverged, or there are no points or training views.
    """
    training, _ = split_views(cameras.names, holdout)
    used = cameras.select([cameras.names[i] for i in training])
    targets = {cameras.names[i]: images[i] for i in training}
    field = RadianceField(Box.around(points, settings.box_margin), settings, used.names, seed)
    field.keep_where_seen(used)
    logger.info("training a field on %d views, box of side %.3g", len(used), field.box.side)
    trainer = FieldTrainer(
        *(field, used, targets, settings.iterations, seed, device), background=background
    )
    every = max(1, settings.iterations // HISTORY_ROWS)
    try:
        for iteration in progress(range(1, settings.iterations + 1), "iterations"):
            loss = trainer.step()
            if iteration % every == 0 or iteration == settings.iterations:
                trainer.record(loss)
        trainer.check_scene()
    except DivergedError as error:
        raise InputError(str(error)) from None
    return trainer
