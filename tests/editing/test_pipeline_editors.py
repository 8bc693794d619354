"""Truths about the editors that are whole pipelines, on tiny pipelines with random weights."""

import dataclasses
import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ball_avatars import ball_subject, order
from diffusers.pipelines.longcat_image import pipeline_longcat_image_edit as longcat
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as qwen
from headstyle.avatars.files import AvatarFolder
from headstyle.avatars.runs import AvatarRun, make_together
from headstyle.base.errors import InputError
from headstyle.base.files import read_json
from headstyle.base.settings import default_values, laid_over
from headstyle.editing import memory
from headstyle.editing.registry import (
    check_editing,
    editing_settings,
    editor_note,
    make_editor,
    strength_values,
)
from headstyle.workflow.downloads import download_editor
from headstyle.workflow.models import needed_models
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from pix2pix_samples import INSTRUCTION, make_view
from tiny_editors import WRITERS, write_flux2_klein

NAMES = sorted(WRITERS)
WITH_REFERENCES = ["flux2_klein", "qwen_image_edit"]
COMMIT = "c0ffee" * 6 + "c0de"
CARD = "---\nlanguage: en\nlicense: other\nlicense_name: tiny-license\n---\n# Tiny\n"
VIEWS = [
    make_view("a", 0, height=37, width=50),
    make_view("tall", 1, height=50, width=37),
    make_view("b", 2, height=37, width=50),
]
VIEWS[2].photograph[..., :3] *= 0.1


@pytest.fixture(autouse=True, scope="module")
def small_and_on_one_thread():
    """Pictures of thousands of pixels in place of a million; threads would only slow them down."""
    threads, calculate = torch.get_num_threads(), longcat.calculate_dimensions
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(longcat, "calculate_dimensions", lambda _, ratio: calculate(64**2, ratio))
        patch.setattr(qwen, "VAE_IMAGE_SIZE", 64**2)
        patch.setattr(qwen, "CONDITION_IMAGE_SIZE", 56**2)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The pipelines, in the layout of the model hub's cache, each with a card."""
    cache = tmp_path_factory.mktemp("hub")
    for name, write in WRITERS.items():
        repository = cache / f"models--tiny--{name}"
        folder = write(repository / "snapshots" / COMMIT)
        (folder / "README.md").write_text(CARD)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
    return cache


def settings(name, model, **changes):
    own = {"model": str(model), "diffusion_steps": 2, "background": [0.2, 0.4, 0.6], **changes}
    if name in ("flux2_klein", "flux_kontext"):
        own = {"megapixels": None, **own}
    return laid_over(default_values(editing_settings()), {"editor": name, name: own})


def folder_of(folders, name):
    return folders / f"models--tiny--{name}" / "snapshots" / COMMIT


@pytest.fixture(scope="module")
def editors(folders):
    made = {}

    def editor(name):
        if name not in made:
            made[name] = make_editor(settings(name, folder_of(folders, name)), "cpu")
        return made[name]

    return editor


@pytest.fixture(scope="module")
def together(editors):
    """The edits of all views in one call, by the editor's name."""
    made = {}

    def edits(name):
        if name not in made:
            made[name] = editors(name).edit(VIEWS, INSTRUCTION)
        return made[name]

    return edits


@pytest.mark.parametrize("name", NAMES)
def test_views_edited_together_are_those_edited_one_by_one(editors, together, name):
    for view, edited in zip(VIEWS, together(name), strict=True):
        [alone] = editors(name).edit([view], INSTRUCTION)
        np.testing.assert_allclose(edited, alone, atol=5e-5)
    assert np.abs(together(name)[0] - together(name)[2])[5:].max() > 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_has_the_size_and_alpha_of_its_photograph(together, name):
    for view, edited in zip(VIEWS, together(name), strict=True):
        assert edited.dtype == np.float32
        assert edited[..., :3].std() > 0.01
        assert 0 <= edited.min() <= edited.max() <= 1
        np.testing.assert_array_equal(edited[..., 3], view.photograph[..., 3])


@pytest.mark.parametrize("name", NAMES)
def test_seed_text_guidance_and_photograph_count_and_the_render_does_not(editors, together, name):
    view = VIEWS[0]
    for change in ({"seed": 4}, {"text": "Make him old"}, {"text_guidance": 3.0}):
        [other] = editors(name).edit([view], dataclasses.replace(INSTRUCTION, **change))
        assert np.abs(other - together(name)[0]).max() > 1e-4, change
    render = dataclasses.replace(view, render=1 - view.render)
    [same] = editors(name).edit([render], INSTRUCTION)
    np.testing.assert_allclose(same, together(name)[0], atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_edits_in_half_precision_with_one_network_at_a_time_or_all(folders, name, offload):
    editing = settings(name, folder_of(folders, name), cpu_offload=offload)
    editor = make_editor(editing, "cuda")
    for view, edited in zip(VIEWS, editor.edit(VIEWS, INSTRUCTION), strict=True):
        assert edited.shape == view.photograph.shape
        assert np.isfinite(edited).all()
        assert edited[..., :3].std() > 0.01
    assert editor.describe()["dtype"] == "bfloat16"
    assert editor.describe_machine()["peak_memory_bytes"] > 0


@pytest.mark.parametrize("name", WITH_REFERENCES)
def test_references_count(editors, together, name):
    view = dataclasses.replace(VIEWS[0], references=(VIEWS[1].photograph,))
    [edited] = editors(name).edit([view], INSTRUCTION)
    assert np.abs(edited - together(name)[0]).max() > 1e-3


def test_what_is_hidden_behind_the_mask_does_not_matter(editors, together):
    photograph = VIEWS[0].photograph.copy()
    photograph[:5, :, :3] = 1
    hidden = dataclasses.replace(VIEWS[0], photograph=photograph)
    [edited] = editors("flux_kontext").edit([hidden], INSTRUCTION)
    np.testing.assert_allclose(edited[5:], together("flux_kontext")[0][5:], atol=1e-4)


def test_views_are_edited_at_the_area_that_is_asked_for(editors, folders, monkeypatch):
    large = settings("flux_kontext", folder_of(folders, "flux_kontext"), megapixels=0.0074)
    editor, sizes = editors("flux_kontext"), []
    monkeypatch.setattr(editor, "settings", large["flux_kontext"])
    call = editor.kind.call
    monkeypatch.setattr(
        editor.kind,
        "call",
        lambda pipeline, asked: sizes.append(asked.pictures[0].size) or call(pipeline, asked),
    )
    [edited] = editor.edit(VIEWS[:1], INSTRUCTION)
    # Twice as wide and high, filled up to multiples of 16.
    assert sizes == [(112, 80)]
    assert edited.shape == (37, 50, 4)


def test_running_out_of_memory_halves_the_batch_and_goes_on(folders, monkeypatch):
    editor, sizes = (
        make_editor(settings("flux_kontext", folder_of(folders, "flux_kontext")), "cpu"),
        [],
    )
    call, most = editor.kind.call, 1

    def limited(pipeline, asked):
        sizes.append(len(asked.pictures))
        if len(asked.pictures) > most:
            raise torch.OutOfMemoryError
        return call(pipeline, asked)

    monkeypatch.setattr(editor.kind, "call", limited)
    views = [VIEWS[0], VIEWS[2], VIEWS[0]]
    edits = editor.edit(views, INSTRUCTION)
    assert sizes == [3, 2, 1, 1, 1]
    np.testing.assert_allclose(edits[0], edits[2], atol=1e-4)
    most = 0
    with pytest.raises(InputError, match=r"50x37 px does not fit .*flux_kontext\.cpu_offload"):
        editor.edit(VIEWS[:1], INSTRUCTION)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_found_in_the_hubs_cache_with_revision_checksums_and_license(
    folders, monkeypatch, name
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folders))
    editing = settings(name, f"tiny/{name}")
    masks = {"steps": [], "matting_model": "mini", "matting_weights": None}
    [model] = needed_models(editing, {"names": []}, masks, needs_matting=False)
    record = model.record()
    assert (record["name"], record["revision"]) == (f"tiny/{name}", COMMIT)
    assert record["license"] == "tiny-license"
    files = {file["path"]: file["sha256"] for file in record["files"]}
    weights = next(
        path for path in files if path.endswith("transformer/diffusion_pytorch_model.safetensors")
    )
    with open(weights, "rb") as file:
        assert files[weights] == hashlib.file_digest(file, "sha256").hexdigest()
    assert f"tiny/{name} under the license tiny-license" in editor_note(editing)
    if name == "flux_kontext":
        assert "forbids commercial use" in editor_note(editing)


@pytest.mark.parametrize("name", NAMES)
def test_the_record_of_an_avatar_names_pipeline_license_and_settings(folders, editors, name):
    about = json.loads(json.dumps(editors(name).describe()))
    assert about["editor"] == name
    assert about["license"] == "tiny-license"
    assert about["revision"] == COMMIT
    assert about["diffusion_steps"] == 2
    assert "cpu_offload" not in about


def test_an_avatar_resumes_after_its_edits(editors, tmp_path, folders):
    subject, editor = ball_subject(), editors("flux2_klein")
    editing = settings("flux2_klein", folder_of(folders, "flux2_klein"))
    made = order(tmp_path, editing=editing, iterations=4, edit_every=4)
    made.params["strength"] = {"text_guidance": 4.0}
    files = AvatarFolder(made.folder, made.task("inputs"))
    stopped = AvatarRun(made, subject, editor, files)
    request = stopped.advance()
    edits = editor.edit(request.views, request.instructions)
    stopped._received(edits)
    stopped._settle()
    resumed = AvatarRun(
        made, subject, SimpleNamespace(describe=editor.describe, describe_machine=dict), files
    )
    # This editor has no method `edit`.
    assert make_together([resumed]) == {}
    run = read_json(files.finished / "run.json")
    assert run["editor"]["license"] == "tiny-license"
    assert run["edits"][0]["text_guidance"] == 4.0
    assert "image_guidance" not in run["edits"][0]


def test_a_folder_of_another_pipeline_is_refused(folders):
    with pytest.raises(
        InputError,
        match=r"longcat\.model: .* holds a FluxKontextPipeline, this editor needs a LongCat",
    ):
        make_editor(settings("longcat", folder_of(folders, "flux_kontext")), "cpu")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("transformer/diffusion_pytorch_model.safetensors", r"transformer/\*\.safetensors"),
        ("model_index.json", "has no model_index.json"),
    ],
)
def test_a_missing_part_is_named(folders, tmp_path, part, told):
    shutil.copytree(folder_of(folders, "longcat"), tmp_path / "broken")
    (tmp_path / "broken" / part).unlink()
    with pytest.raises(InputError, match=told):
        make_editor(settings("longcat", tmp_path / "broken"), "cpu")


def test_weights_that_do_not_fit_are_told_before_they_are_loaded(folders, monkeypatch):
    monkeypatch.setattr(memory, "room_for_weights", lambda device: 100_000)
    monkeypatch.setattr("diffusers.LongCatImageEditPipeline.from_pretrained", None)
    with pytest.raises(InputError, match=r"longcat\.model: its weights as float32 need 0\.0 GiB"):
        make_editor(settings("longcat", folder_of(folders, "longcat")), "cpu")


def test_a_model_that_is_nowhere_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="hf download nobody/nothing --revision abc"):
        make_editor(settings("longcat", "nobody/nothing", revision="abc"), "cpu")
    with pytest.raises(InputError, match="neither a folder nor a name on the model hub"):
        make_editor(settings("longcat", "../no such folder"), "cpu")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (GatedRepoError, r"accept it at https://huggingface\.co/tiny/one, run `hf auth login`"),
        (RepositoryNotFoundError, "the model hub has no model tiny/one that you may see"),
    ],
)
def test_a_gated_or_missing_model_is_told(monkeypatch, error, told):
    def refuse(*arguments, **options):
        raise error("no", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    with pytest.raises(InputError, match=told):
        download_editor(settings("longcat", "tiny/one"))


def test_downloaded_files_are_those_the_pipeline_reads_and_are_checked(tmp_path, monkeypatch):
    sent = {"model_index.json": b"{}", "vae/config.json": b"[]", "vae/w.fp16.safetensors": b"x"}
    sent |= {"big.safetensors": b"y", "vae/model.safetensors": b"z"}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sent.items()}

    def fetch(model, name, revision):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(sent[name])
        return str(tmp_path / name)

    def about(self, model, revision, files_metadata):
        items = [
            SimpleNamespace(rfilename=n, lfs=SimpleNamespace(sha256=d)) for n, d in digests.items()
        ]
        return SimpleNamespace(sha=COMMIT, siblings=items)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", about)
    found = download_editor(settings("longcat", "tiny/one"))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        *("model_index.json", "vae/config.json", "vae/model.safetensors")
    ]
    digests["vae/config.json"] = "0" * 64
    with pytest.raises(InputError, match="the model hub says 0000"):
        download_editor(settings("longcat", "tiny/one"))


def test_a_strength_names_the_values_of_each_editor(folders, tmp_path):
    editing = settings("flux2_klein", folder_of(folders, "flux2_klein"))
    low = {"text_guidance": 5.0, "image_guidance": 2.0}
    strengths = {"low": {**low, "flux2_klein": {"text_guidance": 2.0}}, "bare": low}
    assert strength_values(editing, strengths, "low") == {"text_guidance": 2.0}
    pix2pix = editing | {"editor": "instruct_pix2pix"}
    assert strength_values(pix2pix, strengths, "low") == low
    with pytest.raises(InputError, match=r"add strengths\.bare\.flux2_klein, such as {text_guid"):
        check_editing(editing, ["P1"], strengths)
    with pytest.raises(InputError, match=r"strengths\.x\.image_guidance is missing"):
        check_editing(pix2pix, ["P1"], {"x": {"text_guidance": 1.0}})
    distilled = write_flux2_klein(tmp_path / "distilled", is_distilled=True)
    editing = settings("flux2_klein", distilled)
    with pytest.raises(InputError, match=r"strengths\.low\.flux2_klein\.text_guidance is set, and"):
        check_editing(editing, ["P1"], {"low": strengths["low"]})
    assert strength_values(editing, {"low": {"flux2_klein": {}}}, "low") == {}


@pytest.mark.parametrize(
    ("key", "value"), [("noise_level", [0.5, 0.6]), ("image_guidance_increment", 0.3)]
)
def test_what_an_editor_does_not_read_is_refused_by_key(folders, key, value):
    editing = settings("longcat", folder_of(folders, "longcat"))
    check_editing(editing, ["P1"])
    with pytest.raises(InputError, match=rf"editing\.{key} is .*, which the editor longcat does"):
        check_editing(editing | {key: value}, ["P1"])
