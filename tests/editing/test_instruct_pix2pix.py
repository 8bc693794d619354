"""Truths about the InstructPix2Pix editor, on a tiny pipeline with random weights."""

import dataclasses
import json
import logging
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInstructPix2PixPipeline
from headstyle.base.errors import InputError
from headstyle.editing.registry import make_editor
from pix2pix_samples import INSTRUCTION, exact, make_view, settings
from tiny_pipeline import write_tiny_pipeline


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads only slow such small networks down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def editor(folder):
    return make_editor(settings(folder), "cpu")


@pytest.fixture(scope="module")
def exact_editor(folder):
    return exact(make_editor(settings(folder), "cpu"))


VIEWS = [
    make_view("a", 0),
    make_view("wide", 1, height=24, width=32),
    make_view("b", 2),
    make_view("c", 3),
]


def foreground(image):
    return image[image[..., 3] > 0]


def test_a_batch_of_mixed_sizes_equals_the_edits_one_by_one(exact_editor):
    together = exact_editor.edit(VIEWS, INSTRUCTION)
    for view, edited in zip(VIEWS, together, strict=True):
        [alone] = exact_editor.edit([view], INSTRUCTION)
        assert edited.shape == view.photograph.shape
        np.testing.assert_allclose(edited, alone, atol=1e-5)
    assert np.abs(together[0] - together[2])[5:].mean() > 0.01


def test_a_rerun_gives_the_same_bytes(editor):
    for first, second in zip(
        editor.edit(VIEWS, INSTRUCTION), editor.edit(VIEWS, INSTRUCTION), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_all_views_of_one_size_share_one_noise(editor):
    # The same view under another name, in another place of another batch.
    twin = dataclasses.replace(VIEWS[0], name="twin")
    edits = editor.edit([*VIEWS, twin], INSTRUCTION)
    np.testing.assert_allclose(edits[0], edits[-1], atol=1e-5)


def test_views_with_seeds_levels_and_texts_of_their_own_are_edited_as_if_alone(exact_editor):
    changes = [
        {"seed": 4},
        {"noise_level": 0.5, "text_guidance": 3.0},
        {"text": "Make him old", "image_guidance": 1.5},
        {"noise_level": 1.0},
    ]
    instructions = [dataclasses.replace(INSTRUCTION, **change) for change in changes]
    together = exact_editor.edit(VIEWS, instructions)
    for view, instruction, edited in zip(VIEWS, instructions, together, strict=True):
        [alone] = exact_editor.edit([view], instruction)
        np.testing.assert_allclose(edited, alone, atol=1e-5)
        [other] = exact_editor.edit([view], INSTRUCTION)
        assert np.abs(edited - other).max() > 1e-3


@pytest.mark.parametrize(
    ("on_text", "on_image", "predictions"),
    [(7.5, 2, 3), (7.5, 1, 2), (2, 2, 2), (1, 1, 1), (0, 2, 2), (0, 1, 1), (0, 0, 1)],
)
def test_predictions_that_cancel_out_are_not_computed(
    editor, monkeypatch, on_text, on_image, predictions
):
    instruction = dataclasses.replace(INSTRUCTION, text_guidance=on_text, image_guidance=on_image)
    rows, run = [], editor._run_unet
    monkeypatch.setattr(editor, "_run_unet", lambda x, *rest: rows.append(len(x)) or run(x, *rest))
    [edited] = editor.edit(VIEWS[:1], instruction)
    assert set(rows) == {predictions}
    monkeypatch.setattr(editor, "_used_predictions", lambda instructions: [0, 1, 2])
    [with_all_three] = editor.edit(VIEWS[:1], instruction)
    np.testing.assert_allclose(edited, with_all_three, atol=1e-4)


def test_a_full_guidance_at_some_steps_edits_about_the_same_with_fewer_predictions(
    folder, monkeypatch
):
    edits, rows = {}, {}
    for every in (1, 2, 8):
        editor = make_editor(settings(folder, diffusion_steps=8, guidance_every=every), "cpu")
        seen, run = rows.setdefault(every, []), editor._run_unet
        monkeypatch.setattr(
            editor, "_run_unet", lambda x, *rest, s=seen, run=run: s.append(len(x)) or run(x, *rest)
        )
        [edits[every]] = editor.edit(VIEWS[:1], INSTRUCTION)
    assert rows == {1: [3] * 8, 2: [3, 1] * 4, 8: [3] + [1] * 7}
    near, far = (np.abs(edits[every] - edits[1]).mean() for every in (2, 8))
    assert 0 < near < far < 0.05


def test_there_is_one_instruction_for_all_views_or_one_for_each(editor):
    with pytest.raises(ValueError, match="2 instructions for 4 views"):
        editor.edit(VIEWS, [INSTRUCTION, INSTRUCTION])


def test_photographs_and_prompts_are_encoded_once(folder, monkeypatch):
    editor = make_editor(settings(folder), "cpu")
    encoded, read = [], []
    encode, read_text = editor.coder._encode, editor.text_encoder.forward
    monkeypatch.setattr(editor.coder, "_encode", lambda x: encoded.append(len(x)) or encode(x))
    monkeypatch.setattr(
        editor.text_encoder, "forward", lambda *a, **k: read.append(1) or read_text(*a, **k)
    )
    first = editor.edit(VIEWS, INSTRUCTION)
    # Four photographs and four renders; the prompt and the negative prompt.
    assert (sum(encoded), len(read)) == (8, 2)
    again = [dataclasses.replace(view, render=view.render.copy()) for view in VIEWS]
    second = editor.edit(again, INSTRUCTION)
    assert (sum(encoded), len(read)) == (12, 2)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_encoded_is_forgotten_with_its_image(folder):
    editor = make_editor(settings(folder), "cpu")
    view = make_view("gone", 9)
    editor.edit([view], INSTRUCTION)
    assert len(editor.coder.known) == 2
    del view
    assert len(editor.coder.known) == 0


def test_a_cheaper_solver_edits_about_the_same(folder):
    edits = {
        name: make_editor(settings(folder, solver=name, diffusion_steps=steps), "cpu").edit(
            VIEWS[:1], INSTRUCTION
        )[0]
        for name, steps in (("ddim", 24), ("dpm_solver", 12))
    }
    assert np.abs(edits["ddim"] - edits["dpm_solver"]).mean() < 0.02


def test_an_edit_keeps_the_alpha_of_the_photograph(editor):
    [edited] = editor.edit([VIEWS[0]], INSTRUCTION)
    np.testing.assert_array_equal(edited[..., 3], VIEWS[0].photograph[..., 3])


def test_what_is_hidden_behind_the_mask_does_not_matter(editor):
    photograph = VIEWS[0].photograph.copy()
    photograph[:5, :, :3] = 1
    hidden = dataclasses.replace(VIEWS[0], photograph=photograph)
    [first], [second] = (editor.edit([view], INSTRUCTION) for view in (VIEWS[0], hidden))
    np.testing.assert_array_equal(foreground(first), foreground(second))


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "Turn him into an elf"},
        {"text_guidance": 5.0},
        {"image_guidance": 1.0},
        {"noise_level": 0.5},
        {"seed": 4},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_everything_in_the_instruction_counts(editor, changed):
    instruction = dataclasses.replace(INSTRUCTION, **changed)
    [first], [second] = (editor.edit([VIEWS[0]], i) for i in (INSTRUCTION, instruction))
    assert np.abs(first - second).max() > 1e-4


def test_the_render_is_the_start_and_the_photograph_the_condition(editor):
    view, other = VIEWS[0], VIEWS[2]
    [edited] = editor.edit([view], INSTRUCTION)
    for changed in ({"render": other.render}, {"photograph": other.photograph}):
        [different] = editor.edit([dataclasses.replace(view, **changed)], INSTRUCTION)
        assert np.abs(edited - different).max() > 1e-3


def test_at_full_noise_the_edit_equals_that_of_diffusers_own_pipeline(folder, editor):
    view = VIEWS[0]
    opaque = np.concatenate([view.photograph[..., :3], np.ones((32, 24, 1), np.float32)], axis=2)
    full = dataclasses.replace(INSTRUCTION, noise_level=1.0)
    [ours] = editor.edit([dataclasses.replace(view, photograph=opaque)], full)

    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(
        folder, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt=full.text,
        image=torch.from_numpy(opaque[..., :3]).permute(2, 0, 1)[None],
        num_inference_steps=3,
        guidance_scale=full.text_guidance,
        image_guidance_scale=full.image_guidance,
        negative_prompt="bad",
        latents=torch.randn((1, 4, 4, 3), generator=torch.Generator().manual_seed(full.seed)),
        output_type="np",
    ).images[0]
    np.testing.assert_allclose(ours[..., :3], theirs, atol=1e-4)


def test_sizes_that_are_no_multiples_of_eight_keep_their_size(editor):
    odd = make_view("odd", 5, height=29, width=19)
    [edited] = editor.edit([odd], INSTRUCTION)
    assert edited.shape == (29, 19, 4)
    assert np.isfinite(edited).all()


@pytest.mark.parametrize(
    "text", ["say \"hi\"\nand 'bye'\t$(x)", "сделай его кроликом", "彼をウサギに 🐇", "", "a\x00b"]
)
def test_any_text_in_any_script_is_an_instruction(editor, text):
    [edited] = editor.edit([VIEWS[0]], dataclasses.replace(INSTRUCTION, text=text))
    assert np.isfinite(edited).all()


def test_a_prompt_longer_than_the_window_says_what_was_cut(editor, caplog):
    with caplog.at_level(logging.WARNING, logger="headstyle"):
        editor.embed("x" * 22 + " zebra")
        assert "zebra" in caplog.text
        assert "does not see" in caplog.text
        caplog.clear()
        editor.embed("x" * 22)
        assert not caplog.text


def test_running_out_of_memory_halves_the_batch_and_goes_on(folder, monkeypatch):
    editor = exact(make_editor(settings(folder, batch_size=None), "cpu"))
    whole, sizes = editor._diffuse, []

    def limited(views, instructions):
        sizes.append(len(views))
        if len(views) > 1:
            raise torch.OutOfMemoryError
        return whole(views, instructions)

    monkeypatch.setattr(editor, "_diffuse", limited)
    edits = editor.edit(VIEWS, INSTRUCTION)
    assert sizes == [3, 2, 1, 1, 1, 1]
    in_twos = exact(make_editor(settings(folder), "cpu")).edit(VIEWS, INSTRUCTION)
    for edited, expected in zip(edits, in_twos, strict=True):
        np.testing.assert_allclose(edited, expected, atol=1e-5)


@pytest.mark.parametrize(
    "part",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_part_is_named(folder, tmp_path, part):
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken" / part).unlink()
    name = part.replace("tokenizer.json", "vocab.json")
    with pytest.raises(InputError, match=f"lacks {name}"):
        make_editor(settings(tmp_path / "broken"), "cpu")


def test_a_damaged_part_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken/vae/diffusion_pytorch_model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match="vae cannot be loaded as AutoencoderKL"):
        make_editor(settings(tmp_path / "broken"), "cpu")


def test_a_text_to_image_unet_is_refused(tmp_path):
    folder = write_tiny_pipeline(tmp_path / "four", unet_channels=4)
    with pytest.raises(InputError, match="takes 4 channels, an InstructPix2Pix one takes 8"):
        make_editor(settings(folder), "cpu")


def test_pickled_weights_are_not_enough(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "pickled")
    weights = tmp_path / "pickled/unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(InputError, match=r"lacks unet/diffusion_pytorch_model\.safetensors"):
        make_editor(settings(tmp_path / "pickled"), "cpu")


def test_a_hub_name_outside_the_cache_says_where_the_cache_is_and_how_to_fill_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError) as raised:
        make_editor(settings("nobody/nothing", revision="abc"), "cpu")
    assert str(tmp_path) in str(raised.value)
    assert "hf download nobody/nothing --revision abc unet/config.json" in str(raised.value)


def test_a_hub_name_is_found_in_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some--one"
    shutil.copytree(folder, repository / "snapshots" / "c0ffee")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c0ffee")
    editor = make_editor(settings("some/one"), "cpu")
    assert editor.describe()["model"] == "some/one"
    json.dumps(editor.describe())


def test_a_model_that_is_neither_folder_nor_hub_name_is_refused():
    with pytest.raises(InputError, match="neither a folder nor a name on the model hub"):
        make_editor(settings("../no such folder"), "cpu")
