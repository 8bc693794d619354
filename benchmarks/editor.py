"""Time the mini editor: seconds per denoising step and view, of encoding and of decoding.

    python benchmarks/editor.py --threads 2 --json editor.json
    python benchmarks/editor.py --untrained          # the networks that train_editor would train

One step predicts the noise three times, for the two guidances. Views have 256 x 171 px, as the
study's photographs have at that size.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import headstyle  # noqa: F401  (before torch: it sets how idle threads wait)
import torch
from headstyle.editing.base import Instruction
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.files import write_json
from pair_loop import environment

SIZE_PX = (256, 172)
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
        write_json(
            options.json, {"environment": environment(torch.device(options.device)), **seconds}
        )


def untrained(scratch: Path) -> str:
    """A pipeline folder with random weights."""
    from headstyle.learning.editor_model import new_editor

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


@torch.inference_mode()
def measure(editor: InstructPix2Pix, views: int, repetitions: int) -> dict[str, float]:
    """Median seconds per view, after one round to warm up."""
    images = torch.zeros(views, 3, *SIZE_PX, device=editor.vae.device, dtype=editor.vae.dtype)
    condition = editor._encode(images)
    texts = torch.cat([editor.embed(INSTRUCTION.text)] * 3)
    latents = torch.randn(condition.shape, device=condition.device)
    timestep = torch.tensor(500, device=condition.device)

    def step() -> None:
        editor._guided_noise(latents, condition, timestep, texts, INSTRUCTION)

    parts: dict[str, Callable[[], object]] = {
        "denoising step": step,
        "encoding": lambda: editor._encode(images),
        "decoding": lambda: editor.vae.decode(condition),
    }
    return {name: _median_seconds(part, repetitions) / views for name, part in parts.items()}


def _median_seconds(part: Callable[[], object], repetitions: int) -> float:
    times = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        part()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return sorted(times[1:])[repetitions // 2]


if __name__ == "__main__":
    main()
