"""How fast avatars are stylized with InstructPix2Pix's full-size networks on one GPU.

The networks have random weights, on which speed does not depend, so nothing is downloaded. Parts:

loop        the loop of Instruct-GS2GS: one view at a time, attention slicing, half precision
throughput  headstyle's editor, eager and compiled, all of VAE and transfers included
avatar      a whole avatar: 37 views, two cycles, 5,000 iterations in batches of up to 9
job         several avatars in one job, extrapolated to the study's 64
presets     the peak memory of the three variants of Instruct-NeRF2NeRF

`--toy` runs all parts in small on a CPU. `--json FILE` is written anew after every part.
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (first of all: it sets how idle threads wait)
import numpy as np
import torch
import yaml
from full_size import edit_as_the_original, make_networks
from headstyle import avatar_job
from headstyle.avatar_files import AvatarFolder, Order
from headstyle.avatar_job import Job
from headstyle.avatar_runs import Subject
from headstyle.cameras import Cameras
from headstyle.editing.base import Instruction, View
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.files import write_json
from headstyle.metrics.lpips import package_network
from headstyle.splats import splats_from_points
from headstyle.stage import keep_freed_memory
from headstyle.stylization import render_images

UNET_TFLOP = 0.68
"""Arithmetic of one forward pass of the UNet at 512x512 for one image [TFLOP]."""
NOMINAL_TFLOPS, PRACTICAL_TFLOPS = 989, 790
"""Dense half-precision arithmetic of an H200: as specified, and as matrix products reach it."""
BARS = {"images_per_second": 7.5, "ratio": 12, "avatar_s": 90, "study_min": 90}
STUDY = 64
"""Avatars of the study."""
ROOT = Path(__file__).parents[1]
NEGATIVE = "low quality, deformed, bad"


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    toy: bool
    device: str
    views: int = 37
    side_px: int = 512
    width_px: int = 512
    height_px: int = 765
    steps: int = 20
    loop_views: int = 3
    iterations: int = 5000
    splats: int = 150_000
    avatars: int = 4


FULL = Size(False, "cuda")
TOY = Size(True, "cpu", 4, 64, 48, 64, 2, 1, 6, 400, 2)


def make_editor(size: Size, compile: str = "never", dtype: torch.dtype | None = None, **more: Any):
    """The editor on networks of a size."""
    if dtype is None:
        dtype = torch.float32 if size.device == "cpu" else torch.float16
    return InstructPix2Pix(
        **make_networks(size.toy, size.device, dtype),
        diffusion_steps=size.steps,
        negative_prompt=NEGATIVE,
        model="random weights",
        compile=compile,
        **more,
    )


def random_views(size: Size, count: int, seed: int) -> list[View]:
    """Opaque square views."""
    shape = (2, size.side_px, size.side_px, 4)
    views = []
    for i in range(count):
        images = np.random.default_rng((seed, i)).random(shape, dtype=np.float32)
        images[..., 3] = 1
        views.append(View(str(i), images[0].copy(), images[1].copy()))
    return views


INSTRUCTION = Instruction("P", "Turn him into a marble statue", 7.5, 2.0, 0.9, 0, 0)


def synchronized(device: str) -> float:
    """The time, after the device has finished its work [s]."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_gb(device: str) -> float | None:
    """The most memory allocated since the last call [GB]; None on the CPU."""
    if not device.startswith("cuda"):
        return None
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


def part_loop(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """The original's loop."""
    dtype = torch.float32 if size.device == "cpu" else torch.float16
    networks = make_networks(size.toy, size.device, dtype)
    networks["unet"].set_attention_slice("auto")
    width = networks["unet"].config.cross_attention_dim
    window = networks["text_encoder"].config.max_position_embeddings
    texts = torch.randn((3, window, width), device=size.device, dtype=dtype)
    views = random_views(size, 1 + size.loop_views, 0)
    edit_as_the_original(networks, views[0], texts, size.steps)
    started = synchronized(size.device)
    for view in views[1:]:
        edit_as_the_original(networks, view, texts, size.steps)
    seconds = synchronized(size.device) - started
    return {"images_per_second": size.loop_views / seconds, "peak_gb": peak_gb(size.device)}


def part_throughput(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """The editor, with each way of compiling."""
    return {name: throughput(size, name) for name in options.compile}


def throughput(size: Size, compile: str) -> dict[str, Any]:
    """Images per second of new photographs and renders, and what came before."""
    editor = make_editor(size, compile)
    started = synchronized(size.device)
    editor.edit(random_views(size, size.views, 0), INSTRUCTION)
    first = synchronized(size.device) - started
    repeats = [random_views(size, size.views, 1 + i) for i in range(1 if size.toy else 2)]
    started = synchronized(size.device)
    for views in repeats:
        editor.edit(views, INSTRUCTION)
    seconds = synchronized(size.device) - started
    rate = len(repeats) * size.views / seconds
    row = {
        "images_per_second": rate,
        "first_pass_s": first,
        "batches": editor.describe_machine()["batch_sizes"],
        "share_of_nominal": rate * size.steps * 3 * UNET_TFLOP / NOMINAL_TFLOPS,
        "share_of_practical": rate * size.steps * 3 * UNET_TFLOP / PRACTICAL_TFLOPS,
    }
    del editor
    return row | {"peak_gb": peak_gb(size.device)}


def make_subject(size: Size) -> Subject:
    """A bust of splats in the middle of a grid of cameras, each with up to 8 neighbors."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(size.splats, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * [0.4, 0.6, 0.45]
    splats = splats_from_points(points, 0.5 + 0.4 * np.sin(9 * points), 3, 0)
    splats["opacities"].data.fill_(2.0)
    columns = max(2, round(np.sqrt(size.views * 1.6)))
    places = [divmod(i, columns) for i in range(size.views)]
    poses = np.stack([camera_at(-40 + 80 * c / columns, -20 + 12 * r) for r, c in places])
    intrinsics = np.diag([1.3 * size.width_px, 1.3 * size.width_px, 1.0])
    intrinsics[:2, 2] = size.width_px / 2, size.height_px / 2
    cameras = Cameras(
        tuple(f"v{i:02}" for i in range(size.views)),
        np.tile([size.width_px, size.height_px], (size.views, 1)),
        np.tile(intrinsics, (size.views, 1, 1)),
        poses,
    )
    neighbors = [
        [j for j, (r, c) in enumerate(places) if j != i and abs(r - y) <= 1 and abs(c - x) <= 1]
        for i, (y, x) in enumerate(places)
    ]
    on_device = {name: value.detach().to(size.device) for name, value in splats.items()}
    photographs = dict(render_images(on_device, cameras))
    return Subject(cameras, photographs, splats, neighbors, size.device)


def camera_at(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """World-to-camera of a camera that looks at the origin from 2 units."""
    a, e = np.deg2rad([azimuth_deg, elevation_deg])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(e), -np.sin(e)], [0, np.sin(e), np.cos(e)]])
    pose = np.eye(4)
    pose[:3, :3] = tilt @ turn
    pose[2, 3] = 2
    return pose


def make_orders(size: Size, folder: Path, count: int, **stylization: Any) -> list[Order]:
    """Avatars with the study's settings."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    machine = ("batch_size", "max_memory_gb", "compile", "device")
    editing = {k: v for k, v in config["editing"].items() if k not in machine}
    shorter = {"iterations": size.iterations, "edit_every": size.iterations // 2}
    params = {
        "strength": config["strengths"]["high"],
        "editing": editing,
        "stylization": config["stylization"] | shorter | stylization,
        # Edits by random weights are noise, toward which splats would multiply without end.
        "baseline": config["baseline"] | {"max_splats": round(1.3 * size.splats)},
        "seed": 0,
        "library": "benchmark",
    }
    texts = [f"Turn him into statue number {i}" for i in range(count)]
    return [
        Order("A", f"P{i}", "high", params | {"prompt_text": text}, folder / f"P{i}_high")
        for i, text in enumerate(texts)
    ]


def make_all(size: Size, editor: InstructPix2Pix, subject: Subject, orders: list[Order]) -> float:
    """Make avatars in one job and return the seconds it took."""
    avatar_job.make_editor = lambda editing, device: editor
    job = Job(subject, "inputs", {}, size.device)
    started = synchronized(size.device)
    job.make(orders[0], orders[1:], len(orders))
    return synchronized(size.device) - started


def phases(orders: list[Order]) -> dict[str, float]:
    """Mean seconds of each phase."""
    files = [AvatarFolder(order.folder, order.task("inputs")) for order in orders]
    read = [json.loads((f.finished / "timings.json").read_text())["seconds"] for f in files]
    return {phase: float(np.mean([times[phase] for times in read])) for phase in read[0]}


def part_avatar(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """One avatar in a job of its own, after the networks are loaded."""
    subject, editor = make_subject(size), make_editor(size, "auto")
    with tempfile.TemporaryDirectory() as folder:
        warm = make_orders(size, Path(folder) / "warm", 1, iterations=2, edit_every=2)
        make_all(size, editor, subject, warm)
        orders = make_orders(size, Path(folder) / "one", 1)
        seconds = make_all(size, editor, subject, orders)
        row = {"seconds": seconds, "phases": phases(orders)}
    del editor, subject
    return row | {"peak_gb": peak_gb(size.device)}


def part_job(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """Several avatars in one job, the loading of networks and compiling included."""
    started = synchronized(size.device)
    subject, editor = make_subject(size), make_editor(size, options.job_compile)
    with tempfile.TemporaryDirectory() as folder:
        orders = make_orders(size, Path(folder), size.avatars)
        made = make_all(size, editor, subject, orders)
        row = {"avatars": size.avatars, "phases": phases(orders)}
    total = synchronized(size.device) - started
    row |= {"seconds": total, "study_min": total / size.avatars * STUDY / 60}
    row |= {"loading_s": total - made, "editor": editor.describe_machine()}
    del editor, subject
    return row | {"peak_gb": peak_gb(size.device)}


def part_presets(size: Size, options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of the variants of Instruct-NeRF2NeRF, some dozen iterations of each."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "alex.pth"
        state = package_network("alex").net.state_dict()
        torch.save({"features." + k.partition(".")[2]: v for k, v in state.items()}, weights)
        for name in ("in2n", "in2n-small", "in2n-tiny"):
            preset = yaml.safe_load((ROOT / f"config/presets/{name}.yaml").read_text())
            half = preset["editing"]["dtype"] == "float16" and size.device != "cpu"
            dtype = torch.float16 if half else torch.float32
            editor = make_editor(size, dtype=dtype, batch_size=1)
            subject = make_subject(size)
            changes = {"iterations": 4 if size.toy else 40, "edit_every": None}
            settings = preset["stylization"] | changes | {"lpips_weights": str(weights)}
            orders = make_orders(size, Path(folder) / name, 1, **settings)
            seconds = make_all(size, editor, subject, orders)
            del editor, subject
            rows[name] = {"seconds": seconds, "peak_gb": peak_gb(size.device)}
    return rows


PARTS: dict[str, Callable[[Size, argparse.Namespace], dict[str, Any]]] = {
    "loop": part_loop,
    "throughput": part_throughput,
    "avatar": part_avatar,
    "job": part_job,
    "presets": part_presets,
}


def verdicts(results: dict[str, Any]) -> dict[str, Any]:
    """What the bars say of the parts that ran."""
    found: dict[str, float] = {}
    if "throughput" in results:
        rates = [row["images_per_second"] for row in results["throughput"].values()]
        found["images_per_second"] = max(rates)
        if "loop" in results:
            found["ratio"] = max(rates) / results["loop"]["images_per_second"]
    if "avatar" in results:
        found["avatar_s"] = results["avatar"]["seconds"]
    if "job" in results:
        found["study_min"] = results["job"]["study_min"]
    at_least = ("images_per_second", "ratio")
    return {
        name: {
            "measured": value,
            "bar": BARS[name],
            "met": value >= BARS[name] if name in at_least else value <= BARS[name],
        }
        for name, value in found.items()
    }


def machine(size: Size) -> dict[str, Any]:
    """What the numbers were measured on."""
    cuda = size.device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name() if cuda else platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def print_row(name: str, row: dict[str, Any], indent: int = 0) -> None:
    """A table of numbers, and tables in it."""
    print(" " * indent + name)
    for key, value in row.items():
        if isinstance(value, dict):
            print_row(key, value, indent + 2)
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else value
            print(f"{' ' * (indent + 2)}{key:22} {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="everything in small, on the CPU")
    parser.add_argument("--json", type=Path, help="write all numbers here, too")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--compile", nargs="+", choices=["never", "always", "max"], default=["never", "always"]
    )
    parser.add_argument("--job-compile", choices=["auto", "never", "always"], default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    size = TOY if options.toy else FULL
    if options.toy:
        options.compile = ["never"]
    results: dict[str, Any] = {"machine": machine(size)}
    for name in options.parts:
        started = time.monotonic()
        results[name] = PARTS[name](size, options)
        print_row(name, results[name])
        print(f"  part took {time.monotonic() - started:.0f} s", flush=True)
        if not size.toy:
            results["bars"] = verdicts(results)
        if options.json:
            write_json(options.json, results)
    if "bars" in results:
        print_row("bars", results["bars"])


if __name__ == "__main__":
    main()
