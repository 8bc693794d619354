"""Truths about the weights preflight."""

import hashlib

import pytest
from headstyle.base.errors import InputError
from headstyle.workflow.models import needed_models, unread_texts

CONTROL = {"editor": "control"}
DIFFUSION = {"editor": "instruct_pix2pix", "model": "nobody/nothing", "revision": "abc"}
NO_NETWORKS = {"names": ["rmse", "ciede2000"], "lpips_net": "squeeze", "lpips_weights": None}
LPIPS = {"names": ["rmse", "lpips"], "lpips_net": "squeeze", "lpips_weights": None}
MASKS = {"steps": ["matting"], "matting_model": "u2net_custom", "matting_weights": None}


@pytest.fixture(autouse=True)
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def write_pipeline(folder):
    """All files of a pipeline; only the configurations are real."""
    for name in (
        *("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
        *("text_encoder/config.json", "text_encoder/model.safetensors"),
        *("tokenizer/tokenizer_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"),
        "scheduler/scheduler_config.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    (folder / "unet" / "config.json").write_text('{"in_channels": 8}')
    (folder / "vae" / "config.json").write_text('{"latent_channels": 4}')
    return folder


def test_control_edits_and_plain_metrics_need_no_weights():
    assert needed_models(CONTROL, NO_NETWORKS, MASKS, needs_matting=False) == []


def test_a_missing_backbone_is_named_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(InputError) as raised:
        needed_models(CONTROL, LPIPS, MASKS, needs_matting=False)
    expected = tmp_path / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    assert str(expected) in str(raised.value)
    assert "metrics.lpips_weights" in str(raised.value)


def test_everything_that_is_missing_is_told_at_once(tmp_path):
    with pytest.raises(InputError) as raised:
        needed_models(DIFFUSION, LPIPS, MASKS, needs_matting=True)
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    for line, expected in zip(
        lines,
        ("squeezenet1_1-b8a52dc0.pth", "hf download nobody/nothing", "u2net_custom"),
        strict=True,
    ):
        assert expected in line


def test_no_avatars_need_no_editor():
    assert needed_models(None, NO_NETWORKS, MASKS, needs_matting=False) == []


def test_what_is_found_is_recorded_with_size_and_digest(tmp_path):
    weights = tmp_path / "squeeze.pth"
    weights.write_bytes(b"weights")
    onnx = tmp_path / "matting.onnx"
    onnx.write_bytes(b"matting")
    folder = write_pipeline(tmp_path / "pipeline")
    lpips, editor, matting = needed_models(
        {"editor": "instruct_pix2pix", "model": str(folder), "revision": None},
        LPIPS | {"lpips_weights": str(weights)},
        MASKS | {"matting_weights": str(onnx)},
        needs_matting=True,
    )
    assert lpips.record() == {
        "purpose": "metrics.names",
        "name": "lpips",
        "revision": None,
        "files": [
            {
                "path": str(weights),
                "bytes": 7,
                "sha256": hashlib.sha256(b"weights").hexdigest(),
            }
        ],
    }
    assert len(editor.record()["files"]) == 10
    assert matting.files == (onnx,)


def test_the_loss_of_avatars_may_need_weights_too(tmp_path):
    stylization = {"lpips_weight": 1, "lpips_net": "alex", "lpips_weights": None}
    with pytest.raises(InputError, match=r"alexnet-owt-7be5be79\.pth is missing"):
        needed_models(CONTROL, NO_NETWORKS, MASKS, False, stylization)
    weights = tmp_path / "alex.pth"
    weights.write_bytes(b"weights")
    given = stylization | {"lpips_weights": str(weights)}
    [model] = needed_models(CONTROL, NO_NETWORKS, MASKS, False, given)
    assert model.purpose == "stylization.lpips_weight"
    assert needed_models(CONTROL, NO_NETWORKS, MASKS, False, given | {"lpips_weight": 0}) == []


def test_what_the_text_encoder_does_not_see_of_a_prompt_is_told_before_any_job():
    editing = {"editor": "instruct_pix2pix", "model": "mini", "revision": None}
    short, long = "Give him red hair", "Give him red hair " + "and green eyes " * 40 + "and a zebra"
    assert unread_texts(editing, {"P1 of A": short}) == []
    [sentence] = unread_texts(editing, {"P1 of A": short, "P2 of A": long})
    assert sentence.startswith("the prompt P2 of A is longer than the text encoder's window")
    assert "zebra" in sentence
    assert unread_texts({"editor": "control"}, {"P2 of A": long}) == []


def test_a_unet_without_room_for_the_image_is_refused(tmp_path):
    folder = write_pipeline(tmp_path / "pipeline")
    (folder / "unet" / "config.json").write_text('{"in_channels": 4}')
    editing = {"editor": "instruct_pix2pix", "model": str(folder), "revision": None}
    with pytest.raises(InputError, match="takes 4 channels"):
        needed_models(editing, NO_NETWORKS, MASKS, needs_matting=False)
