"""The baseline of one subject: train splats on its views, and score what they render."""

import hashlib
import itertools
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headstyle import __version__
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError, result_in_folder
from headstyle.base.files import read_arrays, whole_folder
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage, write_image
from headstyle.base.progress import progress
from headstyle.base.tables.rows import write_cells
from headstyle.losses.photometric import color_corrected, foreground_scores, psnr
from headstyle.rendering.renderer import RendersItself, Splats, render_views
from headstyle.rendering.splats import splats_from_points, to_splats, write_ply
from headstyle.training.checkpoints import (
    STATE_SUFFIX,
    Checkpoints,
    go_on_from,
    save_training,
    task_digest,
)
from headstyle.training.exposure import Exposures, exposed
from headstyle.training.selection import Selection, split_for_selection, split_views
from headstyle.training.trainer import (
    DivergedError,
    HistoryRow,
    SplatTrainer,
    TrainingSettings,
    random_order,
)
from headstyle.training.trainers import make_trainer

logger = logging.getLogger("headstyle")

# Number of rows in the history of a training.
HISTORY_ROWS = 200


def train_on_views(
    cameras: Cameras,
    images: Sequence[RgbaImage],
    points: NDArray[np.floating],
    colors: NDArray[np.floating],
    settings: TrainingSettings,
    seed: int,
    device: str = "cpu",
    checkpoints: str | Path | None = None,
    start: Splats | None = None,
    saved_scenes: str | Path | None = None,
    state: str | Path | None = None,
) -> SplatTrainer:
    """Train a scene from sparse points, or from a known scene, on all views that are not held out.

    Args:
        cameras: All views.
        images: Their images with straight alpha, in the same order.
        points: Sparse points of the foreground. Shape `(N, 3)`.
        colors: Their colors in [0, 1]. Shape `(N, 3)`.
        settings: The schedule.
        seed: Seed of the initialization, the order of the views and the backgrounds.
        device: Device to train on.
        checkpoints: Folder of the checkpoint. An interrupted training continues from it, and a
            complete training removes it.
        start: A scene to start from in place of the points; its number of splats is kept at first.
        saved_scenes: Folder for `{iteration}.ply` of `settings.save_iterations`, and for
            `{iteration}.safetensors` of `settings.checkpoint_iterations`.
        state: One of the latter, to go on from. If no setting changed, the result has the bytes of
            the training that saved it.

    Returns:
        The trainer after its last iteration, with the chosen splats and the history.

    Raises:
        InputError: the scene diverged, too few views or points are left, or as `go_on_from`.
    """
    trainer, selection = prepare_training(
        cameras, images, points, colors, settings, seed, device, start
    )
    known = [] if start is None else [scene_digest(start)]
    if state is not None:
        known.append(go_on_from(state, trainer, selection))
    task = task_digest(cameras, images, points, colors, settings, seed, device, __version__, *known)
    saved = Checkpoints(checkpoints, settings.checkpoint_every_s, task)
    saved.resume(trainer, selection)
    try:
        scenes = Path(saved_scenes) if saved_scenes else None
        run_iterations(trainer, selection, saved, seed, scenes)
        trainer.check_scene()
    except DivergedError as error:
        raise InputError(f"{error} ({saved.note()})") from None
    trainer.splats = selection.choose(trainer.splats)
    trainer.kept_iteration = selection.iteration
    saved.remove()
    return trainer


def prepare_training(
    cameras: Cameras,
    images: Sequence[RgbaImage],
    points: NDArray[np.floating],
    colors: NDArray[np.floating],
    settings: TrainingSettings,
    seed: int,
    device: str = "cpu",
    start: Splats | None = None,
) -> tuple[SplatTrainer, Selection]:
    """A trainer before its first iteration, and the object that selects the best iteration.

    The arguments are those of `train_on_views`.
    """
    training, _ = split_views(cameras.names, settings.holdout)
    training, choosing = split_for_selection(training, settings.selection_every)
    used = cameras.select([cameras.names[i] for i in training])
    targets = {cameras.names[i]: images[i] for i in training}
    if start is None:
        splats = splats_from_points(
            points, colors, settings.sh_degree, seed, settings.min_initial_splats
        )
    else:
        splats = with_sh_degree(start, settings.sh_degree)
        # Its colors use all of its harmonics already.
        settings = replace(settings, sh_degree_every=0)
    logger.info("training on %d views from %d splats", len(used), len(splats["means"]))
    trainer = make_trainer(splats, used, targets, settings, seed, device)
    selection = Selection(
        cameras.select([cameras.names[i] for i in choosing]),
        [images[i] for i in choosing],
        settings.iterations,
    )
    return trainer, selection


def run_iterations(
    trainer: SplatTrainer,
    selection: Selection,
    saved: Checkpoints,
    seed: int,
    scenes: Path | None = None,
    together: int = 1,
) -> None:
    """Run all remaining iterations, each on so many views together."""
    iterations = trainer.settings.iterations
    every = max(1, iterations // HISTORY_ROWS)
    order = itertools.islice(
        random_order(range(len(trainer.cameras)), seed), together * trainer.iteration, None
    )
    left = range(trainer.iteration + 1, iterations + 1)
    for iteration in progress(left, "iterations"):
        views = list(itertools.islice(order, together))
        loss = trainer.step(views)
        last = iteration == iterations
        if iteration % every == 0 or last:
            trainer.record(loss, views)
        selection.look(trainer.splats, iteration, last, trainer.exposures)
        if scenes and iteration in trainer.settings.save_iterations:
            write_ply(scenes / f"{iteration}.ply", trainer.splats)
        if scenes and iteration in trainer.settings.checkpoint_iterations:
            save_training(scenes / f"{iteration}{STATE_SUFFIX}", trainer, selection)
        if not last:
            saved.write_when_due(trainer, selection)


def with_sh_degree(splats: Splats, degree: int) -> Splats:
    """A scene with harmonics of at least this degree; those that it lacks are 0."""
    arrays = {name: value.detach().cpu().numpy() for name, value in splats.items()}
    missing = (degree + 1) ** 2 - 1 - arrays["shN"].shape[1]
    if missing > 0:
        zeros = np.zeros((len(arrays["shN"]), missing, 3), np.float32)
        arrays["shN"] = np.concatenate([arrays["shN"], zeros], axis=1)
    return to_splats(arrays)


def scene_digest(splats: Splats) -> str:
    """Digest of a scene's numbers."""
    digest = hashlib.sha256()
    for value in splats.values():
        digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()


def write_renders(
    splats: Splats | RendersItself, cameras: Cameras, renders: str | Path, depth: str | Path
) -> dict[str, RgbaImage]:
    """Render all views to `renders/{view}.png` and `depth/{view}.npz`, each folder in one step.

    The depth files hold `median` and `expected`: z as float32, 0 where there is no surface. Returns
    the images by view, before they are rounded to 8 bits.
    """
    images = {}
    with whole_folder(renders) as render_folder, whole_folder(depth) as depth_folder:
        for name, image, median, expected in render_views(splats, cameras):
            write_image(render_folder / f"{name}.png", image)
            np.savez_compressed(depth_folder / f"{name}.npz", median=median, expected=expected)
            images[name] = image
    return images


def write_splat_history(path: str | Path, rows: Sequence[HistoryRow]) -> None:
    """Write the training history as a table: iteration, loss, psnr, splats, seconds.

    The column splats is empty for a radiance field, which has none.
    """
    lines = [
        (
            *(row.iteration, f"{row.loss:.6f}", f"{row.psnr:.3f}"),
            *(row.splats or "", f"{row.seconds:.1f}"),
        )
        for row in rows
    ]
    write_cells(path, [("iteration", "loss", "psnr", "splats", "seconds"), *lines])


def score_views(
    cameras: Cameras,
    images: Sequence[RgbaImage],
    renders: Mapping[str, RgbaImage],
    holdout: int | Sequence[str],
    exposures: Exposures | None = None,
) -> dict[str, Any]:
    """PSNR and SSIM over the foreground of each view, and their means for `metrics.json`.

    Both images are composited on black. `psnr` and `ssim` compare the render itself. The scores
    named `_exposed` compare the render after the view's exposure was applied. The exposure of a
    training view is learned; that of a held-out view is predicted from nearby training views. The
    scores named `_corrected` compare the render after an affine map of its colors was fitted to the
    photograph. The map removes differences of exposure and white balance.

    Means over held-out views are None if no view is held out. If `exposures` is None, there are no
    scores named `_exposed`.
    """
    _, held = split_views(cameras.names, holdout)
    gains = exposures.gains(cameras) if exposures else None
    views: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(cameras.names):
        scores = _scores(images[i], renders[name])
        if gains is not None:
            with_exposure = _scores(images[i], exposed(renders[name], gains[i]))
            scores |= {f"{key}_exposed": with_exposure[key] for key in ("psnr", "ssim")}
            scores["exposure"] = gains[i].tolist()
        views[name] = scores | {"heldout": i in held}

    def means(heldout: bool) -> dict[str, float | None]:
        chosen = [view for view in views.values() if view["heldout"] == heldout]
        keys = ["psnr", "ssim", "psnr_corrected"]
        keys += ["psnr_exposed", "ssim_exposed"] if exposures else []
        found = {key: [view[key] for view in chosen if view[key] is not None] for key in keys}
        return {key: float(np.mean(each)) if each else None for key, each in found.items()}

    return {
        **means(heldout=False),
        "heldout": [cameras.names[i] for i in held],
        **{f"heldout_{key}": value for key, value in means(heldout=True).items()},
        "views": views,
    }


def _scores(image: RgbaImage, render: RgbaImage) -> dict[str, Any]:
    """Foreground scores of one view. They are None if it has no foreground: JSON has no NaN."""
    target, rendered = torch.from_numpy(image), torch.from_numpy(render)
    mask = target[..., 3] > FOREGROUND_ALPHA
    shown, wanted = (image[..., :3] * image[..., 3:] for image in (rendered, target))
    scores = dict(zip(("psnr", "ssim"), foreground_scores(shown, wanted, mask), strict=True))
    scores["psnr_corrected"] = float(psnr(color_corrected(shown, wanted, mask), wanted, mask))
    return {key: value if math.isfinite(value) else None for key, value in scores.items()}


def read_points(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sparse points written by the views' stage: positions, and colors in [0, 1]. `(N, 3)` each.

    Raises:
        InputError: the file is missing, damaged or lacks a key.
    """
    again = result_in_folder(path).if_wrong
    positions, colors = read_arrays(path, ("positions", "colors"), "sparse points", again)
    if positions.shape != colors.shape or positions.shape[1:] != (3,):
        raise InputError(
            f"{path} holds positions {positions.shape} and colors {colors.shape}, not (N, 3) each;"
            f" {again}"
        )
    return positions.astype(np.float64), colors.astype(np.float64) / 255
