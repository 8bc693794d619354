"""Truths about InstructPix2Pix on Stable Diffusion XL, on a tiny pipeline with random weights."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLInstructPix2PixPipeline
from headstyle.base.errors import InputError
from headstyle.editing.registry import make_editor
from headstyle.editing.weights import pipeline_files
from pix2pix_samples import INSTRUCTION, exact, make_view, settings
from tiny_pipeline import write_tiny_xl_pipeline

VIEWS = [make_view("a", 0), make_view("odd", 1, height=29, width=19), make_view("b", 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_xl_pipeline(tmp_path_factory.mktemp("models") / "xl")


@pytest.fixture(scope="module")
def editor(folder):
    made = make_editor(settings(folder), "cpu")
    made.text_encoder_2.double()
    return exact(made)


def test_a_folder_with_two_text_encoders_is_the_xl_variant(editor):
    assert editor.describe()["pipeline"] == "StableDiffusionXLInstructPix2PixPipeline"


def test_a_batch_of_mixed_sizes_equals_the_edits_one_by_one(editor):
    together = editor.edit(VIEWS, INSTRUCTION)
    for view, edited in zip(VIEWS, together, strict=True):
        [alone] = editor.edit([view], INSTRUCTION)
        assert edited.shape == view.photograph.shape
        np.testing.assert_array_equal(edited[..., 3], view.photograph[..., 3])
        np.testing.assert_allclose(edited, alone, atol=1e-5)
    assert np.abs(together[0] - together[2])[5:].mean() > 0.01


@pytest.mark.parametrize("change", [{"seed": 4}, {"text": "old"}, {"noise_level": 0.5}])
def test_seed_text_and_noise_level_count(editor, change):
    [first] = editor.edit(VIEWS[:1], INSTRUCTION)
    [other] = editor.edit(VIEWS[:1], dataclasses.replace(INSTRUCTION, **change))
    assert np.abs(first - other).max() > 1e-3


def test_at_full_noise_the_edit_equals_that_of_diffusers_own_pipeline(folder):
    view = make_view("a", 0)
    view.photograph[..., 3] = 1
    full = dataclasses.replace(INSTRUCTION, noise_level=1.0)
    [ours] = make_editor(settings(folder), "cpu").edit([view], full)
    pipeline = StableDiffusionXLInstructPix2PixPipeline.from_pretrained(
        folder, local_files_only=True, add_watermarker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt=full.text,
        image=torch.from_numpy(view.photograph[..., :3]).permute(2, 0, 1)[None],
        height=32,
        width=24,
        num_inference_steps=3,
        guidance_scale=full.text_guidance,
        image_guidance_scale=full.image_guidance,
        negative_prompt="bad",
        latents=torch.randn((1, 4, 4, 3), generator=torch.Generator().manual_seed(full.seed)),
        output_type="np",
    ).images[0]
    np.testing.assert_allclose(ours[..., :3], theirs, atol=1e-4)


def test_the_files_of_both_text_encoders_are_needed(folder, tmp_path):
    names = {path.relative_to(folder).as_posix() for path in pipeline_files(str(folder), None)}
    assert {"text_encoder_2/model.safetensors", "tokenizer_2/tokenizer.json"} <= names
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken/text_encoder_2/model.safetensors").unlink()
    with pytest.raises(InputError, match=r"lacks text_encoder_2/model\.safetensors"):
        make_editor(settings(tmp_path / "broken"), "cpu")


def test_a_scheduler_without_betas_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "edm")
    place = tmp_path / "edm/scheduler/scheduler_config.json"
    place.write_text('{"_class_name": "EDMEulerScheduler", "sigma_max": 80.0}')
    with pytest.raises(InputError, match="is a EDMEulerScheduler without betas"):
        make_editor(settings(tmp_path / "edm"), "cpu")
