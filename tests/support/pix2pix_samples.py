"""An instruction, views and settings for the InstructPix2Pix editor on a tiny pipeline."""

import numpy as np
from headstyle.editing.base import Instruction, View

INSTRUCTION = Instruction(
    prompt="P1",
    text="Turn him into a rabbit",
    text_guidance=7.5,
    image_guidance=2.0,
    noise_level=0.8,
    cycle=0,
    seed=3,
)


def exact(editor):
    """The editor with float64 networks, for edits that batches of every size give alike.

    A library may multiply float32 matrices of other sizes in another order, as MKL does on some
    processors. Guidance by random networks magnifies that rounding to more than 1e-5.
    """
    for network in (editor.unet, editor.vae, editor.text_encoder):
        network.double()
    return editor


def settings(model, **changes):
    return {
        "editor": "instruct_pix2pix",
        "model": str(model),
        "revision": None,
        "negative_prompt": "bad",
        "diffusion_steps": 3,
        "background": [0.2, 0.4, 0.6],
        "batch_size": 2,
        "dtype": "float16",
    } | changes


def make_view(name, seed, height=32, width=24):
    rng = np.random.default_rng(seed)
    images = rng.random((2, height, width, 4), dtype=np.float32)
    images[0, ..., 3] = 1
    images[0, :5, :, 3] = 0
    return View(name, photograph=images[0], render=images[1])
