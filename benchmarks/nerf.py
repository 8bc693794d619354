"""A radiance field beside splats: training, held-out views, and the iterations of in2n.

    python benchmarks/nerf.py --json nerf.json

Both scenes are trained on the same views of a procedural head (37 of 512 x 765 px unless `--views`
names a folder) and scored on the same held-out ones (every 8th) over their foreground. Then the
field is edited as by Instruct-NeRF2NeRF, with its three presets, by an editor that only recolors:
so the milliseconds are those of everything else. `edits` is the share of the time in which views
are rendered, handed over and taken back. The first iterations, which compile kernels, do not count.
`--toy` runs everything small on a CPU. The file is written after each part; a part that fails does
not keep the others from running.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import numpy as np
import torch
import yaml
from headstyle.avatars.schedules import make_schedule
from headstyle.avatars.stylization import render_images, stylize
from headstyle.base.cameras import Cameras, read_cameras
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle.base.images import RgbaImage, read_views
from headstyle.base.settings import laid_over
from headstyle.losses.perceptual import make_perceptual_loss
from headstyle.radiance.baseline import train_field_on_views
from headstyle.radiance.field import RadianceField
from headstyle.radiance.settings import NerfSettings
from headstyle.radiance.trainer import FieldTrainer
from headstyle.rendering.devices import best_device
from headstyle.rendering.renderer import render_views
from headstyle.training.baseline import read_points, score_views, train_on_views
from iterations import HOLDOUT_EVERY, SEED, settings_of
from machine import describe_machine

CONFIG = Path(__file__).parents[1] / "config"
PRESETS = ("in2n", "in2n-small", "in2n-tiny")
# What a published edit takes: iterations, of which `--edit-iterations` are measured.
PUBLISHED = 10_000
# Iterations of an edit that are not timed.
WARM_UP = 20
TOY = {
    "nerf": {
        "iterations": 40,
        "rays": 256,
        "samples": 12,
        "proposal_samples": [16],
        "grid": {"levels": 4, "log2_entries": 12, "coarsest": 8, "finest": 64},
        "proposal_grid": {"levels": 2, "log2_entries": 10, "coarsest": 8, "finest": 32},
        "hidden": 16,
        "proposal_hidden": 8,
    },
    "edit": {"edit_rays": 1024},
}
# The splats' schedule in a toy run, as a part of the study's.
TOY_REFINE = {"start": 10, "stop": 40, "every": 10}

Row = dict[str, Any]


def main() -> int:
    """Run all parts, print a table, and write the rows as JSON. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--views", type=Path, help="folder with cameras.json; made where missing")
    parser.add_argument("--device", default=None, help="cuda or cpu; default: what is there")
    parser.add_argument("--iterations", type=int, help="of the field; default: nerf.iterations")
    parser.add_argument("--splat-iterations", type=int, default=30_000)
    parser.add_argument("--edit-iterations", type=int, default=1_000, help="that are timed")
    parser.add_argument("--presets", nargs="*", default=PRESETS, choices=PRESETS)
    parser.add_argument("--lpips-net", default="mini", help="backbone of LPIPS in the edits")
    parser.add_argument("--toy", action="store_true", help="small, on a CPU")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    keep_freed_memory()
    device = options.device or ("cpu" if options.toy else best_device())
    with tempfile.TemporaryDirectory() as scratch:
        cameras, images, points, colors = _views(options, Path(scratch))
    rows: dict[str, Any] = {"machine": describe_machine(device), "views": len(cameras)}
    rows["sizes"] = sorted({tuple(map(int, size)) for size in cameras.sizes})
    settings = _nerf(options)
    fields: list[RadianceField] = []
    parts: dict[str, Callable[[], Row]] = {
        "nerf": partial(_field_row, cameras, images, points, settings, device, fields),
        "splats": partial(_splats_row, cameras, images, points, colors, options, device),
    }
    for name in options.presets:
        parts[name] = partial(_edit_row, name, cameras, images, options, device, fields)
    failed = False
    for name, part in parts.items():
        try:
            rows[name] = part()
        except Exception:
            failed = True
            traceback.print_exc()
        if options.json:
            write_json(options.json, rows)
    print_table(rows)
    return int(failed)


def print_table(rows: Mapping[str, Any]) -> None:
    """Print what was measured."""
    print(f"{rows['views']} views of {rows['sizes']} px, every {HOLDOUT_EVERY}th held out")
    print(f"{'scene':<12}{'iterations':>12}{'seconds':>10}{'ms each':>10}{'held-out dB':>13}")
    for name in ("nerf", "splats"):
        if row := rows.get(name):
            each = 1000 * row["seconds"] / row["iterations"]
            print(
                f"{name:<12}{row['iterations']:>12}{row['seconds']:>10.1f}{each:>10.2f}"
                f"{row['heldout_psnr']:>13.2f}"
            )
    print(f"{'edit':<12}{'rays':>12}{'ms each':>10}{'edits':>10}{'10,000 [s]':>13}{'GiB':>8}")
    for name in PRESETS:
        if row := rows.get(name):
            memory = f"{row['peak_gib']:.1f}" if row["peak_gib"] else "-"
            print(
                f"{name:<12}{row['rays']:>12}{row['milliseconds']:>10.2f}"
                f"{row['share_of_edits']:>10.0%}{row['published_s']:>13.0f}{memory:>8}"
            )


def _views(
    options: argparse.Namespace, scratch: Path
) -> tuple[Cameras, list[RgbaImage], np.ndarray, np.ndarray]:
    folder = options.views or scratch / "views"
    if not (folder / "cameras.json").exists():
        # Imported here: it needs the packages that make procedural heads.
        from head_views import make_views

        if options.toy:
            make_views(folder, size_px=72, grid=(2, 4, 1), coarseness=8.0)
        else:
            make_views(folder, size_px=765)
    cameras = read_cameras(folder / "cameras.json")
    return cameras, read_views(folder, cameras), *read_points(folder / "points.npz")


def _nerf(options: argparse.Namespace, preset: str | None = None) -> NerfSettings:
    """The study's settings, with a preset of in2n, small in a toy run."""
    section = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))["nerf"]
    if preset:
        section |= _preset(preset)["nerf"]
    if options.toy:
        section |= TOY["nerf"] | TOY["edit"]
    if options.iterations:
        section["iterations"] = options.iterations
    return NerfSettings.from_config(section)


def _preset(name: str) -> dict[str, Any]:
    text = (CONFIG / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _field_row(
    cameras: Cameras,
    images: list[RgbaImage],
    points: np.ndarray,
    settings: NerfSettings,
    device: str,
    fields: list[RadianceField],
) -> Row:
    """Train the field, which is left in `fields`, and score it."""
    started = _now(device)
    trainer = train_field_on_views(
        cameras, images, points, settings, SEED, device, holdout=HOLDOUT_EVERY
    )
    seconds = _now(device) - started
    fields.append(trainer.scene)
    started = _now(device)
    renders = {name: image for name, image, *_ in render_views(trainer.scene, cameras)}
    rendering = (_now(device) - started) / len(cameras)
    row = {"iterations": settings.iterations, "seconds": seconds, "render_s": rendering}
    return row | _scores(cameras, images, renders)


def _splats_row(
    cameras: Cameras,
    images: list[RgbaImage],
    points: np.ndarray,
    colors: np.ndarray,
    options: argparse.Namespace,
    device: str,
) -> Row:
    """Train the study's splats on the same views, and score them."""
    iterations = 40 if options.toy else options.splat_iterations
    changes = {"exposure_rate": 0, **({"refine": TOY_REFINE} if options.toy else {})}
    settings = settings_of(changes, iterations)
    started = _now(device)
    trainer = train_on_views(cameras, images, points, colors, settings, SEED, device)
    seconds = _now(device) - started
    renders = {name: image for name, image, *_ in render_views(trainer.splats, cameras)}
    row = {"iterations": iterations, "seconds": seconds, "splats": len(trainer.splats["means"])}
    return row | _scores(cameras, images, renders)


def _scores(
    cameras: Cameras, images: list[RgbaImage], renders: Mapping[str, RgbaImage]
) -> dict[str, float]:
    scores = score_views(cameras, images, renders, HOLDOUT_EVERY)
    return {key: scores[key] for key in ("psnr", "heldout_psnr", "heldout_ssim")}


def _edit_row(
    name: str,
    cameras: Cameras,
    images: list[RgbaImage],
    options: argparse.Namespace,
    device: str,
    fields: list[RadianceField],
) -> Row:
    """Edit the field as one preset does, all views trained on, and time the iterations."""
    if not fields:
        raise RuntimeError("there is no field to edit, as its training failed")
    stylization = yaml.safe_load((CONFIG / "config.yaml").read_text("utf-8"))["stylization"]
    stylization = laid_over(stylization, _preset(name)["stylization"])
    stylization["lpips_net"] = options.lpips_net
    timed = 20 if options.toy else options.edit_iterations
    stylization["iterations"] = WARM_UP + timed
    settings = _nerf(options, name)
    photographs = dict(zip(cameras.names, images, strict=True))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    views = cameras.select(fields[0].views)
    start = fields[0].with_settings(settings)
    trainer = FieldTrainer(
        start,
        views,
        {view: photographs[view] for view in views.names},
        WARM_UP + timed,
        SEED,
        device,
        editing=True,
    )
    trainer.perceptual = make_perceptual_loss(stylization, SEED, device)
    total, editing = _timed_edits(trainer, views, stylization, device)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    return {
        "rays": settings.edit_rays,
        "lpips": bool(stylization["lpips_weight"]),
        "milliseconds": 1000 * total / timed,
        "edit_milliseconds": 1000 * editing / timed,
        "share_of_edits": editing / total,
        "published_s": PUBLISHED * total / timed,
        "peak_gib": peak,
    }


def _timed_edits(
    trainer: FieldTrainer, views: Cameras, stylization: Mapping[str, Any], device: str
) -> tuple[float, float]:
    """Seconds of all iterations after the warm-up, and those of them that are spent on edits."""
    schedule = make_schedule(stylization, SEED)
    loop = stylize(trainer, schedule, [[] for _ in views.names])
    editing, started, edits = 0.0, _now(device), None
    counts = False
    while True:
        try:
            edit = loop.send(edits)
        except StopIteration:
            return _now(device) - started, editing
        if not counts and edit.iteration >= WARM_UP:
            counts, started = True, _now(device)
        begun = _now(device)
        chosen = views.select([views.names[view] for view in edit.views])
        edits = {view: recolored(image) for view, image in render_images(trainer.scene, chosen)}
        if counts:
            editing += _now(device) - begun


def recolored(image: RgbaImage) -> RgbaImage:
    """The stand-in for an editor: red and blue change places."""
    return np.ascontiguousarray(image[..., [2, 1, 0, 3]])


def _now(device: str) -> float:
    """Seconds, after all work of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    sys.exit(main())
