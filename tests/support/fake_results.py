"""A made-up results folder with every file the report reads: striped balls seen from an arc."""

from pathlib import Path

import numpy as np
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.files import write_json
from headstyle.base.tables.rows import write_cells
from PIL import Image

METRICS = ("rmse", "ciede2000", "lpips")
_TYPICAL = {"rmse": 0.06, "ciede2000": 2.6, "lpips": 0.015}


def write_fake_results(
    root: Path,
    subjects=("A", "B"),
    prompts=("P4", "P6"),
    strengths=("low", "high"),
    views=6,
    size=(64, 96),
    rated=False,
) -> None:
    """Write one subject folder each, and the tables, as the stages before the report leave them."""
    names = [f"view_{i:02d}" for i in range(views)]
    avatars = [f"{prompt}_{strength}" for prompt in prompts for strength in strengths]
    for s, subject in enumerate(subjects):
        _write_subject(root / subject, s, names, size, avatars)
    _write_tables(root / "tables", subjects, prompts, strengths, names, rated)


def ball(yaw: float, size: tuple[int, int], tint, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """RGBA picture and depth of a striped ball turned by `yaw` [rad]."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5 - width / 2) / (width * 0.38), (y + 0.5 - height / 2) / (height * 0.40)
    r2 = u**2 + v**2
    z = np.sqrt(np.maximum(1 - r2, 0))
    stripes = 0.5 + 0.5 * np.sin(9 * (np.arctan2(u, z + 1e-6) + yaw) + seed) * np.cos(7 * v)
    light = 0.35 + 0.65 * np.clip(0.5 * u - 0.4 * v + 0.8 * z, 0, 1)
    colors = (np.array(tint) * (0.55 + 0.45 * stripes[..., None])) * light[..., None]
    alpha = np.clip((1 - np.sqrt(r2)) * width * 0.38 + 0.5, 0, 1)
    rgba = np.concatenate([np.clip(colors, 0, 1), alpha[..., None]], axis=2)
    depth = np.where(alpha > 0.5, 3.0 - z, 0).astype(np.float32)
    return np.rint(rgba * 255).astype(np.uint8), depth


def _write_subject(folder: Path, s: int, names, size, avatars) -> None:
    skin = [(0.93, 0.72, 0.6), (0.62, 0.45, 0.34), (0.98, 0.85, 0.72), (0.5, 0.36, 0.3)][s % 4]
    yaws = np.linspace(-1, 1, len(names))
    rng = np.random.default_rng(s)
    masks, psnr = {}, {}
    for name, yaw in zip(names, yaws, strict=True):
        photo, depth = ball(yaw, (size[0] * 3, size[1] * 3), skin, s)
        green = Image.new("RGBA", (size[0] * 3, size[1] * 3), (60, 170, 70, 255))
        flat = Image.alpha_composite(green, Image.fromarray(photo)).convert("RGB")
        _save(flat, folder / "capture" / f"{name}.jpg")
        _save(Image.fromarray(photo[..., 3]), folder / "masks" / f"{name}.png")
        view, depth = ball(yaw, size, skin, s)
        _save(Image.fromarray(view), folder / "views" / f"{name}.png")
        _write_scene_view(folder / "baseline", name, view, depth, rng, 6)
        for a, avatar in enumerate(avatars):
            tint = [(0.85, 0.3, 0.25), (0.3, 0.45, 0.85), (0.4, 0.75, 0.4)][(a // 2) % 3]
            edited, _ = ball(yaw, size, tint, s + a)
            scene = folder / "avatars" / avatar
            for cycle in (0, 1):
                noisy = _noisy(edited, rng, 30 - 12 * cycle)
                _save(Image.fromarray(noisy), scene / "edits" / f"cycle{cycle}" / f"{name}.png")
            _write_scene_view(scene, name, edited, depth, rng, 8)
        masks[name] = {
            "photograph": str(folder / "capture" / f"{name}.jpg"),
            "width": size[0] * 3,
            "height": size[1] * 3,
            "coverage": 0.45,
            "flags": [],
        }
        psnr[name] = {"psnr": 27 + rng.normal(), "ssim": 0.93, "heldout": name == names[-1]}
    write_json(folder / "masks" / "masks.json", {"steps": ["chroma_key"], "views": masks})
    _write_poses(folder, names)
    write_cameras(folder / "views" / "cameras.json", _arc(names, yaws, size))
    _write_history(folder / "baseline" / "history.tsv", rng)
    for avatar in avatars:
        _write_history(folder / "avatars" / avatar / "history.tsv", rng)
        write_json(folder / "avatars" / avatar / "run.json", {"avatar": avatar})
    write_json(
        folder / "baseline" / "metrics.json",
        {
            "iterations": 600,
            "splats": 5321,
            "seconds": 61.2,
            "psnr": 27.1,
            "ssim": 0.931,
            "heldout": [names[-1]],
            "heldout_psnr": 24.2,
            "heldout_ssim": None,
            "views": psnr,
        },
    )


def _write_scene_view(scene: Path, name: str, rgba, depth, rng, noise: float) -> None:
    _save(Image.fromarray(_noisy(rgba, rng, noise)), scene / "renders" / f"{name}.png")
    (scene / "depth").mkdir(parents=True, exist_ok=True)
    np.savez(scene / "depth" / f"{name}.npz", median=depth, expected=depth)


def _write_poses(folder: Path, names) -> None:
    poses = {
        "registered": names,
        "dropped": {"blurred_<b>": "too few matches"},
        "mean_reprojection_error_px": 0.61,
        "points": 4211,
        "cameras": 1,
    }
    truth = {
        "rotation_error_deg": {"median": 0.08, "max": 0.21},
        "center_error_fraction": {"median": 0.0011, "max": 0.0034},
    }
    write_json(folder / "poses" / "poses.json", poses)
    write_json(folder / "poses" / "truth.json", truth)


def _arc(names, yaws, size) -> Cameras:
    """Cameras on an arc of radius 3 around the origin, looking at it."""
    world_to_camera = np.tile(np.eye(4), (len(names), 1, 1))
    for i, yaw in enumerate(yaws):
        world_to_camera[i, 0, [0, 2]] = np.cos(yaw), -np.sin(yaw)
        world_to_camera[i, 2, [0, 2]] = np.sin(yaw), np.cos(yaw)
        world_to_camera[i, 2, 3] = 3
    intrinsics = np.tile(
        np.array([[90, 0, size[0] / 2], [0, 90, size[1] / 2], [0, 0, 1.0]]), (len(names), 1, 1)
    )
    return Cameras(
        tuple(names), np.tile(np.array(size), (len(names), 1)), intrinsics, world_to_camera
    )


def _write_history(path: Path, rng) -> None:
    steps = np.arange(0, 600, 10)
    loss = 0.05 + 0.3 * np.exp(-steps / 120) + rng.normal(0, 0.006, len(steps))
    rows = [
        [int(i), float(value), 30 - 60 * float(value), int(1000 + 7 * i), 0.1 * float(i)]
        for i, value in zip(steps, loss, strict=True)
    ]
    write_cells(path, [["iteration", "loss", "psnr", "splats", "seconds"], *rows])


def _write_tables(folder: Path, subjects, prompts, strengths, names, rated: bool) -> None:
    rng = np.random.default_rng(7)
    view_rows, avatar_rows = [], []
    scenes = [
        ("none", "none"),
        ("photographs", "none"),
        *[(p, s) for p in prompts for s in strengths],
    ]
    for subject in subjects:
        level = {m: _TYPICAL[m] * rng.uniform(0.8, 1.2) for m in METRICS}
        baseline = {}
        for prompt, strength in scenes:
            factor = {"none": 1.0, "photographs": 0.6}.get(prompt) or (
                rng.uniform(1.1, 1.7) + 0.2 * (strength != "low")
            )
            values = {m: level[m] * factor * rng.lognormal(0, 0.2, len(names)) for m in METRICS}
            for i, name in enumerate(names):
                row = [subject, prompt, strength, name, 4, *[values[m][i] for m in METRICS]]
                view_rows.append(row)
            row = [subject, prompt, strength, len(names)]
            for metric in METRICS:
                mean, sd = values[metric].mean(), values[metric].std()
                baseline.setdefault(metric, mean)
                row += [mean, sd, mean - sd / 2, mean + sd / 2, mean - baseline[metric]]
            avatar_rows.append(row + ([int(rng.integers(1, 5))] if rated else []))
    keys = ["subject", "prompt", "strength"]
    write_cells(folder / "views.csv", [[*keys, "view", "neighbours", *METRICS], *view_rows])
    parts = ("", "_sd", "_ci_low", "_ci_high", "_excess")
    columns = [*keys, "views", *[m + part for m in METRICS for part in parts]]
    write_cells(folder / "avatars.csv", [[*columns, *(["quality"] if rated else [])], *avatar_rows])
    _write_statistics(folder, rated)


def _write_statistics(folder: Path, rated: bool) -> None:
    thresholds = [[4, "rmse", 0.0609, 3], [4, "lpips", 0.015, 3]] if rated else []
    write_cells(folder / "thresholds.csv", [["quality", "metric", "mean", "n"], *thresholds])
    columns = ["metric", "pairs", "lower_at_low", "mean_difference", "wilcoxon_p"]
    strengths = [[metric, 20, 15, 0.4123, 0.0004] for metric in METRICS]
    write_cells(folder / "strengths.csv", [columns, *strengths])
    agreement = [[metric, 64, -0.2, 0.11] for metric in METRICS] if rated else []
    write_cells(folder / "agreement.csv", [["metric", "n", "spearman", "spearman_p"], *agreement])


def _noisy(rgba, rng, amount: float):
    noisy = rgba.astype(float)
    noisy[..., :3] += rng.normal(0, amount, (*rgba.shape[:2], 1)) + rng.normal(0, amount / 2, 3)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
