"""The editor that the benchmark of stylization measures, what it edits, and the clock."""

import argparse
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from full_size import make_networks
from headstyle.editing.acceleration import fused_attention
from headstyle.editing.base import Instruction, View
from headstyle.editing.coder import downloaded
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.editing.memory import sent_together
from headstyle.editing.solvers import denoise, make_steps
from stylize_scene import Size

ROOT = Path(__file__).parents[1]
NEGATIVE = "low quality, deformed, bad"
Options = argparse.Namespace
Rows = Iterator[dict[str, Any]]
"""A part gives its numbers row by row, so that what was measured is kept."""


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


@torch.inference_mode()
def pieces(size: Size, editor: InstructPix2Pix) -> dict[str, float]:
    """Where an image's time goes [ms]: all steps of the UNet, the autoencoder, the transfers."""
    views = random_views(size, size.views, 9)
    photographs = [view.photograph for view in views]
    latents = editor.coder.encoded(photographs)
    # An image is encoded once only: the second pass needs others, made before the clock runs.
    new = [[view.render for view in views], [image.copy() for image in photographs]]
    empty = torch.zeros((size.views, *photographs[0].shape), device=size.device)
    timed = {
        "unet": lambda: denoised(size, editor, latents),
        "upload": lambda: sent_together(photographs, size.device),
        "encoding": lambda: editor.coder.encoded(new.pop()),
        "decoding": lambda: editor.coder.decoded(latents, photographs),
        "download": lambda: downloaded(empty),
    }
    found = {}
    with fused_attention(editor.unet, latents[0, 0].numel()):
        for name, action in timed.items():
            action()
            started = synchronized(size.device)
            action()
            found[name] = 1e3 * (synchronized(size.device) - started) / size.views
    # Photograph and render are encoded, each with its upload.
    edit = found["unet"] + 2 * found["encoding"] + found["decoding"] + found["download"]
    return found | {"all_of_an_edit": edit}


def denoised(size: Size, editor: InstructPix2Pix, latents: torch.Tensor) -> torch.Tensor:
    """The denoising of latents of all views, without anything before and after."""
    steps = make_steps(editor.scheduler, size.steps, [0.9] * len(latents), editor.device)
    instructions = [INSTRUCTION] * len(latents)
    predict = editor._guided(latents, editor._texts(instructions), instructions)
    return denoise(latents.float(), steps, predict, "ddim")
