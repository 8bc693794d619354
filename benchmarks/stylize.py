"""How fast avatars are stylized with InstructPix2Pix's full-size networks on one GPU.

The networks have random weights, on which speed does not depend, so nothing is downloaded. Parts:

loop        the loop of Instruct-GS2GS: one view at a time, attention slicing, half precision
throughput  headstyle's editor, eager and compiled, all of VAE and transfers included
avatar      a whole avatar: 37 views, two cycles, 5,000 iterations in batches of up to 9
job         several avatars in one job, extrapolated to the study's 64
presets     the peak memory of the three variants of Instruct-NeRF2NeRF

`--toy` runs all parts in small on a CPU. `--json FILE` is written anew after every row, and a part
that fails does not stop the next one: what was measured is kept.
"""

import argparse
import gc
import json
import logging
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from headstyle.editing.acceleration import fused_attention
from headstyle.editing.base import Instruction, View
from headstyle.editing.coder import downloaded
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.editing.solvers import denoise, make_steps
from headstyle.files import write_json
from headstyle.learning.photographer import prepare
from headstyle.lpips_networks import package_network
from headstyle.stage import keep_freed_memory
from stylize_scene import FULL, TOY, Size, make_subject

UNET_TFLOP = 0.68
"""Arithmetic of one forward pass of the UNet at 512x512 for one image [TFLOP]."""
NOMINAL_TFLOPS, PRACTICAL_TFLOPS = 989, 790
"""Dense half-precision arithmetic of an H200: as specified, and as matrix products reach it."""
BARS = {"images_per_second": 7.5, "ratio": 12, "avatar_s": 90, "study_min": 90}
STUDY = 64
"""Avatars of the study."""
ROOT = Path(__file__).parents[1]
NEGATIVE = "low quality, deformed, bad"


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
    # An editor and its compiled functions hold each other.
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 2)


Rows = Iterator[dict[str, Any]]
"""A part gives its numbers row by row, so that what was measured is kept."""


def part_loop(size: Size, options: argparse.Namespace) -> Rows:
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
    yield {"images_per_second": size.loop_views / seconds, "peak_gb": peak_gb(size.device)}


def part_throughput(size: Size, options: argparse.Namespace) -> Rows:
    """The editor, with each way of compiling."""
    for name in options.compile:
        yield {name: throughput(size, name)}


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
    # As in a job: the photographs of a subject are encoded once for all of its edits.
    again = [replace(view, render=view.render.copy()) for view in repeats[-1]]
    started = synchronized(size.device)
    editor.edit(again, INSTRUCTION)
    known = synchronized(size.device) - started
    row = {
        "images_per_second": rate,
        "of_known_photographs": size.views / known,
        "first_pass_s": first,
        **editor.describe_machine(),
        "share_of_nominal": rate * size.steps * 3 * UNET_TFLOP / NOMINAL_TFLOPS,
        "share_of_practical": rate * size.steps * 3 * UNET_TFLOP / PRACTICAL_TFLOPS,
        "pieces": pieces(size, editor),
    }
    del editor
    return row | {"peak_gb": peak_gb(size.device)}


@torch.inference_mode()
def pieces(size: Size, editor: InstructPix2Pix) -> dict[str, float]:
    """Where an image's time goes [ms]: all steps of the UNet, the autoencoder, the transfers."""
    views = random_views(size, size.views, 9)
    photographs = [view.photograph for view in views]
    latents = editor.coder.encoded(photographs)
    empty = torch.zeros((size.views, *photographs[0].shape), device=size.device)
    timed = {
        "unet": lambda: denoised(size, editor, latents),
        "encoding": lambda: editor.coder.encoded([image.copy() for image in photographs]),
        "decoding": lambda: editor.coder.decoded(latents, photographs),
        "download": lambda: downloaded(empty),
    }
    found = {}
    for name, action in timed.items():
        action()
        started = synchronized(size.device)
        action()
        found[name] = 1e3 * (synchronized(size.device) - started) / size.views
    return found


def denoised(size: Size, editor: InstructPix2Pix, latents: torch.Tensor) -> torch.Tensor:
    """The denoising of latents of all views, without anything before and after."""
    steps = make_steps(editor.scheduler, size.steps, [0.9] * len(latents), editor.device)
    predict = editor._guided(latents, [INSTRUCTION] * len(latents))
    with fused_attention(editor.unet, latents[0, 0].numel()):
        return denoise(latents.float(), steps, predict, "ddim")


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


def part_avatar(size: Size, options: argparse.Namespace) -> Rows:
    """One avatar in a job of its own, after the networks are loaded."""
    subject, editor = make_subject(size), make_editor(size, options.job_compile)
    with tempfile.TemporaryDirectory() as folder:
        warm = make_orders(size, Path(folder) / "warm", 1, iterations=2, edit_every=2)
        make_all(size, editor, subject, warm)
        orders = make_orders(size, Path(folder) / "one", 1)
        seconds = make_all(size, editor, subject, orders)
        yield {"seconds": seconds, "phases": phases(orders), "editor": editor.describe_machine()}
    del editor, subject
    yield {"peak_gb": peak_gb(size.device)}


def part_job(size: Size, options: argparse.Namespace) -> Rows:
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
    yield row
    del editor, subject
    yield {"peak_gb": peak_gb(size.device)}


def part_presets(size: Size, options: argparse.Namespace) -> Rows:
    """Peak memory of the variants of Instruct-NeRF2NeRF, some dozen iterations of each."""
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
            yield {name: {"seconds": seconds, "peak_gb": peak_gb(size.device)}}


PARTS: dict[str, Callable[[Size, argparse.Namespace], Rows]] = {
    "loop": part_loop,
    "throughput": part_throughput,
    "avatar": part_avatar,
    "job": part_job,
    "presets": part_presets,
}


def verdicts(results: dict[str, Any]) -> dict[str, Any]:
    """What the bars say of the parts that ran."""
    found: dict[str, float] = {}
    rows = [row for row in results.get("throughput", {}).values() if isinstance(row, dict)]
    if rows:
        found["images_per_second"] = max(row["images_per_second"] for row in rows)
        if loop := results.get("loop", {}).get("images_per_second"):
            found["ratio"] = found["images_per_second"] / loop
    for part, key, name in (("avatar", "seconds", "avatar_s"), ("job", "study_min", "study_min")):
        if key in results.get(part, {}):
            found[name] = results[part][key]
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
    parser.add_argument("--into", action="store_true", help="keep the other parts of --json's file")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle.editing").setLevel(logging.INFO)
    keep_freed_memory()
    size = TOY if options.toy else FULL
    if options.toy:
        options.compile = ["never"]
    prepare(size.device)
    results: dict[str, Any] = {"machine": machine(size)}
    if options.into and options.json and options.json.exists():
        results |= json.loads(options.json.read_text())
    failed = [name for name in options.parts if not measured(name, size, options, results)]
    if "bars" in results:
        print_row("bars", results["bars"])
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measured(name: str, size: Size, options: argparse.Namespace, results: dict[str, Any]) -> bool:
    """Measure a part, keeping each of its rows; False if it fails, which `results` then tell."""
    started = time.monotonic()
    results[name] = {}

    def keep(row: dict[str, Any]) -> None:
        results[name] |= row
        if not size.toy:
            results["bars"] = verdicts(results)
        if options.json:
            write_json(options.json, results)

    try:
        for row in PARTS[name](size, options):
            keep(row)
    except Exception as error:
        traceback.print_exc()
        keep({"error": f"{type(error).__name__}: {error}"[:500]})
        gc.collect()
    keep({"part_s": time.monotonic() - started})
    print_row(name, results[name])
    sys.stdout.flush()
    return "error" not in results[name]


if __name__ == "__main__":
    main()
