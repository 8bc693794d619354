"""How fast avatars are stylized with InstructPix2Pix's full-size networks on one GPU.

The networks have random weights, on which speed does not depend, so nothing is downloaded. Parts:

loop        the loop of Instruct-GS2GS: one view at a time, attention slicing, half precision; also
            with its networks offloaded to the host between uses, as it runs them
throughput  headstyle's editor, eager and compiled, all of VAE and transfers included
profile     the kernels of each network, by kind, and the longest ones
attention   each fused attention on the networks' shapes
variants    the networks with other compiler options, side by side
avatar      a whole avatar: 37 views, two cycles, 5,000 iterations in batches of up to 9
job         several avatars in one job, extrapolated to the study's 64
presets     the peak memory of the three variants of Instruct-NeRF2NeRF

`--toy` runs all parts in small on a CPU. `--json FILE` is written anew after every row, and a part
that fails does not stop the next one: what was measured is kept. After `--minutes` no part and no
variant begins. What was compiled stays in TORCHINDUCTOR_CACHE_DIR for the next call.
"""

import argparse
import gc
import json
import logging
import math
import platform
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import headstyle  # noqa: F401  (first of all: it sets how idle threads wait)
import torch
from full_size import edit_as_the_original, make_networks, offload_as_the_original
from headstyle.base.devices import keep_freed_memory
from headstyle.base.files import write_json
from headstyle_training.heads.photographer import prepare
from stylize_editor import (
    INSTRUCTION,
    Options,
    Rows,
    make_editor,
    peak_gb,
    pieces,
    random_views,
    synchronized,
)
from stylize_jobs import part_avatar, part_job, part_presets
from stylize_profile import part_attention, part_profile
from stylize_scene import FULL, TOY, Size
from stylize_variants import NETWORKS, apply, combined, part_variants

UNET_TFLOP = 0.68
"""Arithmetic of one forward pass of the UNet at 512x512 for one image, but for the products of
queries, keys and values, which are another 0.13 [TFLOP]."""
NOMINAL_TFLOPS, PRACTICAL_TFLOPS = 989, 790
"""Dense half-precision arithmetic of an H200: as specified, and as matrix products reach it."""
BARS = {"images_per_second": 7.5, "ratio": 12, "avatar_s": 90, "study_min": 90}


def part_loop(size: Size, options: Options) -> Rows:
    """The original's loop, and the same with its networks offloaded as it ships them."""
    dtype = torch.float32 if size.device == "cpu" else torch.float16
    networks = make_networks(size.toy, size.device, dtype)
    networks["unet"].set_attention_slice("auto")
    width = networks["unet"].config.cross_attention_dim
    window = networks["text_encoder"].config.max_position_embeddings
    texts = torch.randn((3, window, width), device=size.device, dtype=dtype)
    views = random_views(size, 1 + size.loop_views, 0)

    def images_per_second() -> float:
        edit_as_the_original(networks, views[0], texts, size.steps)
        started = synchronized(size.device)
        for view in views[1:]:
            edit_as_the_original(networks, view, texts, size.steps)
        return size.loop_views / (synchronized(size.device) - started)

    yield {"images_per_second": images_per_second(), "peak_gb": peak_gb(size.device)}
    offload_as_the_original(networks, size.device)
    yield {"offloaded": {"images_per_second": images_per_second()}}


def part_throughput(size: Size, options: Options) -> Rows:
    """The editor, with each way of compiling."""
    for name in options.compile:
        # The eager networks stay as they are, as a standard of comparison.
        variant = "base" if name == "never" else options.variant
        key = name if variant == "base" else f"{name} {variant}"
        yield {key: throughput(size, name, variant)}


def throughput(size: Size, compile: str, variant: str = "base") -> dict[str, Any]:
    """Images per second of new photographs and renders, and what came before."""
    torch.compiler.reset()
    editor = make_editor(size, compile)
    apply(combined(variant), editor)
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


APPROXIMATIONS = {
    "exact": ("ddim", 20, 1),
    "guidance at every 2nd step": ("ddim", 20, 2),
    "dpm_solver, 10 steps": ("dpm_solver", 10, 1),
    "dpm_solver, 10 steps, guidance at every 2nd step": ("dpm_solver", 10, 2),
    "dpm_solver, 8 steps, guidance at every 2nd step": ("dpm_solver", 8, 2),
}
"""Solver, steps, and steps from one full guidance to the next."""


def part_approximations(size: Size, options: Options) -> Rows:
    """Images per second of cheaper edits. approximate_edits.py says how far they are from exact."""
    torch.compiler.reset()
    editor = make_editor(size, "never" if size.toy else options.compile[-1])
    for name, (solver, steps, every) in APPROXIMATIONS.items():
        editor.solver, editor.guidance_every = solver, every
        editor.diffusion_steps = size.steps if size.toy else steps
        # The first pass compiles for shapes that were not seen before.
        editor.edit(random_views(size, size.views, 0), INSTRUCTION)
        repeats = [random_views(size, size.views, 1 + i) for i in range(1 if size.toy else 2)]
        started = synchronized(size.device)
        for views in repeats:
            editor.edit(views, INSTRUCTION)
        seconds = synchronized(size.device) - started
        yield {name: {"images_per_second": len(repeats) * size.views / seconds}}
    yield {"peak_gb": peak_gb(size.device)}


PARTS: dict[str, Callable[[Size, argparse.Namespace], Rows]] = {
    "loop": part_loop,
    "throughput": part_throughput,
    "approximations": part_approximations,
    "profile": part_profile,
    "attention": part_attention,
    "variants": part_variants,
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
        elif key != "longest":
            shown = f"{value:.3f}" if isinstance(value, float) else value
            print(f"{' ' * (indent + 2)}{key:22} {shown}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toy", action="store_true", help="everything in small, on the CPU")
    parser.add_argument("--json", type=Path, help="write all numbers here, too")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing after these")
    parser.add_argument("--variant", default="base", help="of all compiled networks; join by +")
    parser.add_argument("--variants", nargs="+", default=["base", "cdt"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--compile", nargs="+", choices=["never", "always", "max"], default=["never", "always"]
    )
    parser.add_argument("--job-compile", choices=["auto", "never", "always"], default="auto")
    parser.add_argument("--into", action="store_true", help="keep the other parts of --json's file")
    options = parser.parse_args()
    options.deadline = time.monotonic() + 60 * options.minutes
    for name in (options.variant, *options.variants):
        combined(name)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("headstyle").setLevel(logging.INFO)
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


def measured(name: str, size: Size, options: Options, results: dict[str, Any]) -> bool:
    """Measure a part, keeping each of its rows; False if it fails, which `results` then tell."""
    started = time.monotonic()
    # Into an earlier call's file: what of this part was measured before stays, too.
    before = results.get(name, {}) if options.into else {}
    results[name] = {key: value for key, value in before.items() if key != "error"}

    def keep(row: dict[str, Any]) -> None:
        results[name] |= row
        if not size.toy:
            results["bars"] = verdicts(results)
        if options.json:
            write_json(options.json, results)

    if started > options.deadline:
        keep({"left_out": "no time"})
        return True
    print(f"{name} ...", flush=True)
    try:
        for row in PARTS[name](size, options):
            keep(row)
            sys.stdout.flush()
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
