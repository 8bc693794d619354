"""Time the mini editor: seconds per denoising step and view, and of all else that an edit takes.

    python benchmarks/editor.py --threads 2 --json editor.json
    python benchmarks/editor.py --untrained          # the networks that train_editor would train

One step predicts the noise three times, for the two guidances. Views have 256 x 171 px, as the
study's photographs have at that size. Edits of few and of many steps are timed; their difference
is what the steps take.
"""

import argparse
import tempfile
import time
from pathlib import Path

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import numpy as np
import torch
from headstyle.base.files import write_json
from headstyle.editing.base import Instruction, View
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from machine import describe_machine

SIZE_PX = (256, 171)
STEPS = (2, 8)
INSTRUCTION = Instruction("P", "Turn him into a stone statue", 1.0, 1.0, 0.9, cycle=0, seed=0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the mini editor.")
    parser.add_argument("--model", default="mini", help="pipeline folder")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = untrained(Path(scratch)) if options.untrained else options.model
        editor = loaded(folder, options.device)
    seconds = measure(editor, options.views, options.repetitions)
    for name, value in seconds.items():
        print(f"{name:24s} {value:8.3f} s per view")
    if options.json:
        write_json(options.json, {"machine": describe_machine(options.device), **seconds})


def untrained(scratch: Path) -> str:
    """A pipeline folder with random weights."""
    from headstyle_training.editor.model import new_editor

    for name in ("tokenizer", "pipeline"):
        (scratch / name).mkdir()
    new_editor(scratch / "tokenizer", seed=0).save(scratch / "pipeline")
    return str(scratch / "pipeline")


def loaded(model: str, device: str) -> InstructPix2Pix:
    """The pipeline as the workflow loads it."""
    editing = {
        "model": model,
        "revision": None,
        "dtype": "float16",
        "diffusion_steps": 8,
        "negative_prompt": "",
        "batch_size": None,
        "background": [0, 0, 0],
    }
    return InstructPix2Pix.from_config(editing, device)


def measure(editor: InstructPix2Pix, views: int, repetitions: int) -> dict[str, float]:
    """Median seconds per view, after one round to warm up."""
    few, many = (_median_seconds(editor, views, repetitions, steps) for steps in STEPS)
    step = (many - few) / (STEPS[1] - STEPS[0]) / views
    return {"denoising step": step, "all else": few / views - STEPS[0] * step}


def _median_seconds(editor: InstructPix2Pix, views: int, repetitions: int, steps: int) -> float:
    editor.diffusion_steps = steps
    rng = np.random.default_rng(0)
    times = []
    for _ in range(repetitions + 1):
        # New images each time: the editor remembers what it has encoded.
        images = rng.random((views, *SIZE_PX, 4), dtype=np.float32)
        asked = [View(str(i), image, image.copy()) for i, image in enumerate(images)]
        started = time.perf_counter()
        editor.edit(asked, INSTRUCTION)
        times.append(time.perf_counter() - started)
    return sorted(times[1:])[repetitions // 2]


if __name__ == "__main__":
    main()
