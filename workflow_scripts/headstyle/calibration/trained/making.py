"""Make and score the avatars of a scene. What is scored already is not made again."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from headstyle.avatars.schedules import all_edits, make_schedule
from headstyle.base.cameras import Cameras
from headstyle.base.devices import use_threads
from headstyle.base.embedded import embedded_file
from headstyle.base.files import read_json, write_json
from headstyle.base.images import FOREGROUND_ALPHA, RgbaImage
from headstyle.calibration.trained.avatars import Baseline, rendered, train_avatar, train_baseline
from headstyle.calibration.trained.cases import TRAPS, Rung, TrainedScene, Trap
from headstyle.consistency.edit_strength import edit_strength
from headstyle.consistency.metrics.flip import flip_map
from headstyle.consistency.scoring import score, view_means
from headstyle.losses.lpips_networks import load_mini
from headstyle.losses.photometric import foreground_scores
from headstyle.rendering.renderer import render_views

BACKDROP = 0.5
"""Gray behind the views where an avatar is compared with its true edit."""


def make_scene(
    scene: TrainedScene,
    folder: Path,
    device: str,
    until: float | None = None,
    pictures: Path | None = None,
) -> int:
    """Make and score all avatars of a scene that the folder lacks.

    Args:
        scene: The head and the prompt.
        folder: Gets `{scene}/{rung}.json`, one per avatar.
        device: Device to train and score on.
        until: Time after which no avatar is begun [s since the epoch].
        pictures: Folder for `{scene}/{rung}.webp`, the renders above each other, if wanted.

    Returns:
        The number of avatars that were made.
    """
    use_threads(1)
    own = folder / scene.name
    own.mkdir(parents=True, exist_ok=True)
    left = [rung for rung in scene.rungs() if not (own / f"{rung.name}.json").exists()]
    if not left:
        return 0
    baseline = train_baseline(scene.views, scene.settings.baseline, scene.head, device)
    made = 0
    for rung in left:
        if until is not None and time.time() > until:
            break
        row = make_rung(scene, baseline, rung, device, pictures)
        write_json(own / f"{rung.name}.json", row)
        made += 1
    return made


def make_rung(
    scene: TrainedScene,
    baseline: Baseline,
    rung: Rung,
    device: str,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Train one avatar and score it; a row of the table."""
    started, trap = time.monotonic(), TRAPS.get(rung.trap, Trap())
    views = scene.views if trap.strength == 1 else scene.photographed(trap.strength)
    edits = partial(scene.edits, rung, views)
    splats = train_avatar(
        baseline, views, edits, scene.sections(trap), scene.neighbors, rung.seed, device
    )
    trained = time.monotonic() - started
    cameras = scene.settings.rig.cameras(trap.frames)
    images, unedited, depths = rendered(splats, cameras), baseline.renders, baseline.depths
    if trap.frames != 1:
        unedited, depths = rendered_anew(baseline, cameras)
    if pictures is not None:
        _save_pictures(images, pictures / scene.name / f"{rung.name}.webp")
    kept = list(range(0, len(cameras), trap.every_view))
    found = _scores(scene, images, unedited, depths, cameras, kept, device)
    strengths = edit_strength(images, unedited, cameras, FOREGROUND_ALPHA)
    row: dict[str, Any] = {"subject": scene.subject, "prompt": scene.prompt}
    row |= {"ladder": rung.ladder, "level": rung.level, "seed": rung.seed, "trap": rung.trap}
    row |= found
    row |= strengths.iloc[:, 1:].mean().to_dict()
    if trap.frames == 1:
        row |= distance_to_truth(images, views.edited)
        schedule = make_schedule(scene.sections(trap)["stylization"])
        last = edits(max(edit.cycle for edit in all_edits(schedule, len(cameras))))
        own = _scores(scene, last, unedited, depths, cameras, kept, device)
        row |= {f"edits_{name}": value for name, value in own.items()}
    return row | {"train_s": trained, "seconds": time.monotonic() - started}


def distance_to_truth(images: Sequence[RgbaImage], truth: Sequence[RgbaImage]) -> dict[str, float]:
    """How far an avatar is from the true edit, over the truth's foreground; means over the views.

    Returns:
        `truth_psnr` [dB], `truth_ssim`, `truth_lpips_mini`, `truth_flip`.
    """
    network = load_mini(embedded_file("perceptual/model.safetensors"))
    rows = []
    for image, wanted in zip(images, truth, strict=True):
        mask = torch.from_numpy(wanted[..., 3] > FOREGROUND_ALPHA)
        first, second = (torch.from_numpy(_on_gray(view)) for view in (image, wanted))
        psnr, ssim = foreground_scores(first, second, mask)
        with torch.no_grad():
            pair = [2 * view.permute(2, 0, 1)[None] - 1 for view in (first, second)]
            lpips = float(network(*pair).mean()) * mask.numel() / max(int(mask.sum()), 1)
        flip = flip_map(second.numpy(), first.numpy())[mask.numpy()].mean(dtype=np.float64)
        rows.append((psnr, ssim, lpips, float(flip)))
    names = ("truth_psnr", "truth_ssim", "truth_lpips_mini", "truth_flip")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


def read_rows(folder: Path) -> list[Mapping[str, Any]]:
    """The rows of all avatars in a folder."""
    return [read_json(path) for path in sorted(folder.glob("*/*.json"))]


def _scores(
    scene: TrainedScene,
    images: Sequence[RgbaImage],
    unedited: Sequence[RgbaImage],
    depths: Sequence[NDArray[np.float32]],
    cameras: Cameras,
    kept: Sequence[int],
    device: str,
) -> dict[str, float]:
    """Each metric's mean over the views, computed as for an avatar of the study."""
    settings = scene.settings.metrics
    names = [cameras.names[view] for view in kept]
    pairs = [
        (cameras.names[target], cameras.names[source])
        for target, source in np.argwhere(scene.adjacency)
        if target in kept and source in kept
    ]
    table = score(
        [images[view] for view in kept],
        [depths[view] for view in kept],
        cameras.select(names),
        pairs,
        unedited=[unedited[view] for view in kept],
        settings=settings,
        device=device,
    )
    means = view_means(table, settings["names"], names, settings["min_overlap"])
    return {name: float(means[name].mean()) for name in settings["names"]}


def rendered_anew(
    baseline: Baseline, cameras: Cameras
) -> tuple[tuple[RgbaImage, ...], tuple[NDArray[np.float32], ...]]:
    """The baseline's renders and depths for other cameras."""
    found = [(image, median) for _, image, median, _ in render_views(baseline.splats, cameras)]
    images, depths = zip(*found, strict=True)
    return images, depths


def _on_gray(image: RgbaImage) -> NDArray[np.float32]:
    alpha = image[..., 3:]
    return (alpha * image[..., :3] + (1 - alpha) * np.float32(BACKDROP)).astype(np.float32)


def _save_pictures(images: Sequence[RgbaImage], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tall = np.concatenate(images).clip(0, 1)
    # Soft borders take most of the bytes and are background for every metric.
    tall *= tall[..., 3:] > FOREGROUND_ALPHA
    tall[..., 3] = tall[..., 3] > 0
    Image.fromarray(np.rint(255 * tall).astype(np.uint8)).save(path, quality=95, method=2)
