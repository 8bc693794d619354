"""The small InstructPix2Pix that comes with headstyle: what it is, and that it edits."""

import numpy as np
import pytest
from headstyle.base.cameras import Cameras
from headstyle.capture.head import synthesize_head
from headstyle.capture.operators import Edit
from headstyle.capture.photograph import photograph_views
from headstyle.capture.rig import CaptureSettings, study_rig
from headstyle.editing.base import Instruction, View
from headstyle.editing.instruct_pix2pix import InstructPix2Pix
from headstyle.editing.weights import pipeline_files, pipeline_folder

EDITING = {
    "model": "mini",
    "revision": None,
    "dtype": "float32",
    "diffusion_steps": 8,
    "negative_prompt": "low quality, deformed, bad",
    "batch_size": None,
    "background": [0, 0, 0],
}
SEED = 3
"""A head of the demo, which was never trained on."""


@pytest.fixture(scope="module")
def editor() -> InstructPix2Pix:
    return InstructPix2Pix.from_config(EDITING, "cpu")


@pytest.fixture(scope="module")
def camera() -> Cameras:
    rig = study_rig(CaptureSettings(255, 1, 3, 0, 22, 22.3, 1, 95)).cameras
    return rig.select([rig.names[1]])


def photographed(camera: Cameras, edit: Edit | None = None) -> np.ndarray:
    [(image, _)] = photograph_views(synthesize_head(SEED, 2.5, edit), camera, 2)
    return image


def edited(editor: InstructPix2Pix, photograph: np.ndarray, text: str, guidance: float):
    instruction = Instruction("P", text, guidance, 1.0, 0.9, cycle=0, seed=0)
    return editor.edit([View("v", photograph, photograph)], instruction)[0]


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square over the pixels that both show."""
    inside = (first[..., 3] > 0.5) & (second[..., 3] > 0.5)
    return float(np.sqrt(np.mean((first - second)[inside][:, :3] ** 2)))


def test_the_pipeline_has_at_most_20_mb_in_safe_formats():
    files = pipeline_files("mini", None)
    assert sum(path.stat().st_size for path in files) <= 20e6
    assert not [p for p in pipeline_folder("mini", None).rglob("*") if p.suffix in (".bin", ".pt")]


def test_any_text_in_any_script_can_be_read(editor):
    for text in ("Turn him into a stone statue", "石像にする", "ein Büste “aus” Stein\n"):
        assert editor.embed(text).shape[2] == editor.unet.config.cross_attention_dim


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("Turn her into a stone statue", "stone"),
        ("Give her red hair and a blue shirt", "red_hair_blue_shirt"),
    ],
)
def test_an_edit_of_an_unseen_head_is_closer_to_the_true_edit_than_the_photograph_is(
    editor, camera, text, operator
):
    photograph, truth = photographed(camera), photographed(camera, Edit(operator))
    edit = edited(editor, photograph, text, 1.0)
    assert difference(edit, truth) < 0.75 * difference(photograph, truth)


def test_more_guidance_on_the_text_edits_more(editor, camera):
    photograph = photographed(camera)
    changes = [
        difference(edited(editor, photograph, "Turn her into a stone statue", g), photograph)
        for g in (0.0, 0.5, 1.0)
    ]
    assert changes == sorted(changes)
    assert changes[2] > 1.5 * changes[0]
