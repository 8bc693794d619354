"""Truths about the mini matting: its network, its file for rembg, its training, the shipped one."""

import json
from dataclasses import replace

import headstyle.base.embedded
import numpy as np
import onnxruntime
import pytest
import torch
from headstyle.base.embedded import EMBEDDED_MODELS, embedded_file
from headstyle.base.errors import InputError
from headstyle.posing.masks import load_matting, matting_weights
from headstyle_training.heads.bank import HeadBank
from headstyle_training.matting.agreement import VIEWS, contradicted, draw_photographs
from headstyle_training.matting.model import (
    Matting,
    export_onnx,
    load_network,
    new_network,
    normalized,
    rounded,
    save_network,
)
from headstyle_training.matting.pictures import Cutouts, draw_cameras_around, draw_cutouts
from headstyle_training.matting.scenes import BackgroundPool, compose, draw_halls
from headstyle_training.matting.scores import draw_pictures, iou, score_photographs
from headstyle_training.matting.settings import MattingSettings
from headstyle_training.matting.train import matting_loss, train_matting, train_network
from headstyle_training.pictures.image_effects import Chance, blur, compress, resample
from own_process import run_stage
from PIL import Image
from rembg.sessions.base import BaseSession

SIDE_PX = 64
SHIPPED = EMBEDDED_MODELS / "matting"
shipped = pytest.mark.skipif(not SHIPPED.is_dir(), reason="the model is not trained yet")
TOY = MattingSettings(
    minutes=5,
    heads=2,
    evaluation_heads=1,
    evaluation_pictures=2,
    coarseness=5.0,
    workers=0,
    first_heads=2,
    first_cutouts=4,
    pool=8,
    batch=8,
    side_px=SIDE_PX,
    iterations=4,
)


@pytest.fixture(scope="module")
def bank():
    with HeadBank(range(1000, 1002), coarseness=4.0) as bank:
        bank.wait_for(2)
        yield bank


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_photograph(images):
    """One picture `(1, 3, H, W)` in [0, 1] as 8-bit RGB."""
    return images[0].mul(255).round().byte().permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def scenes(bank):
    """Photographs and alphas of 8 cutouts before backgrounds."""
    cutouts = draw_cutouts(bank, 8, SIDE_PX, np.random.default_rng(0))
    backgrounds = BackgroundPool(SIDE_PX, 8, 0, "cpu")
    backgrounds.add(8)
    return compose(cutouts, backgrounds.draw(8, generator()), generator())


def test_a_photograph_is_normalized_as_rembg_does_it():
    photograph = np.random.default_rng(0).integers(0, 200, (320, 320, 3), dtype=np.uint8)

    class Inputs:
        name = "photograph"

    session = BaseSession.__new__(BaseSession)
    session.inner_session = type("Session", (), {"get_inputs": lambda self: [Inputs]})()
    given = session.normalize(
        Image.fromarray(photograph), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (320, 320)
    )
    images = torch.from_numpy(photograph).permute(2, 0, 1)[None] / 255
    np.testing.assert_allclose(normalized(images), given["photograph"], atol=1e-5)


def test_sure_pixels_are_exactly_0_and_1_so_that_stretching_changes_nothing():
    matting = Matting(torch.nn.Identity())
    alpha = matting(torch.tensor([-9.0, -4.0, 0.0, 4.0, 9.0]))
    assert alpha[[0, 1, 3, 4]].tolist() == [0, 0, 1, 1]
    assert alpha[2].item() == pytest.approx(0.5)


def test_the_file_for_rembg_computes_what_the_network_computes(tmp_path):
    network = new_network(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # As after a training: the normalizations are merged into the convolutions.
            torch.nn.init.uniform_(module.running_var, 0.5, 2, generator=generator())
            torch.nn.init.normal_(module.running_mean, 0, 0.1, generator=generator())
    export_onnx(network, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size < 5e6
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    pictures = torch.randn(2, 3, 320, 320, generator=generator())
    [found] = session.run(None, {"photograph": pictures.numpy()})
    with torch.inference_mode():
        exact = Matting(network.eval())(pictures)
        half = Matting(rounded(network))(pictures)
    np.testing.assert_allclose(found, half, atol=1e-4)
    # Half precision of the weights costs next to nothing.
    np.testing.assert_allclose(found, exact, atol=2e-2)


def test_the_file_is_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        export_onnx(new_network(0), tmp_path / f"{name}.onnx", SIDE_PX)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_rembg_loads_the_file_and_returns_a_mask_of_the_photographs_size(tmp_path):
    export_onnx(new_network(0), tmp_path / "model.onnx")
    matting = load_matting("u2net_custom", str(tmp_path / "model.onnx"), threads=1)
    photograph = np.random.default_rng(0).integers(0, 255, (90, 60, 3), dtype=np.uint8)
    mask = matting(photograph)
    assert (mask.shape, mask.dtype) == ((90, 60), np.uint8)


def test_rounded_weights_survive_their_file(tmp_path):
    network = rounded(new_network(0))
    save_network(network, tmp_path / "model.safetensors")
    pictures = torch.randn(1, 3, SIDE_PX, SIDE_PX, generator=generator())
    with torch.inference_mode():
        again = load_network(tmp_path / "model.safetensors")(pictures)
        assert torch.equal(again, network(pictures))


def test_intersection_over_union_of_known_rectangles():
    found, expected = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    found[0, :, :2] = 1
    expected[0, :, 1:3] = 0.5
    assert iou(found, expected).tolist() == [pytest.approx(4 / 12), 1.0]


def test_the_loss_of_the_right_answer_is_nearly_0_and_of_its_opposite_large(scenes):
    alpha = (scenes[1] > 0.5).float()
    logits = 40 * (alpha - 0.5)
    assert matting_loss(logits, alpha) < 1e-3
    assert matting_loss(-logits, alpha) > 5


def test_composed_photographs_show_the_cutout_where_alpha_is_1(bank):
    cutouts = draw_cutouts(bank, 4, SIDE_PX, np.random.default_rng(1))
    gray = torch.full((4, 3, SIDE_PX, SIDE_PX), 0.5)
    images, alpha = compose(cutouts, gray, generator())
    assert images.shape == (4, 3, SIDE_PX, SIDE_PX)
    assert images.min() >= 0
    assert images.max() <= 1
    coverage = cutouts.rgba[:, 3:].float().mean(dim=(1, 2, 3)) / 255
    torch.testing.assert_close(alpha.mean(dim=(1, 2, 3)), coverage, atol=0.02, rtol=0)


def test_nothing_before_a_background_leaves_no_alpha():
    nothing = Cutouts(torch.zeros(2, 4, 32, 32, dtype=torch.uint8), torch.tensor([True, False]))
    images, alpha = compose(nothing, torch.rand(2, 3, 32, 32, generator=generator()), generator())
    assert not alpha.any()
    assert images.isfinite().all()


def test_cameras_stand_on_all_sides_and_frames_have_all_formats():
    cameras, azimuth = draw_cameras_around(400, 320, np.random.default_rng(0))
    assert (np.cos(azimuth) < -0.5).mean() > 0.1
    aspects = cameras.intrinsics[:, 1, 1] / cameras.intrinsics[:, 0, 0]
    assert aspects.min() < 0.75
    assert aspects.max() > 1.4


def test_halls_differ_and_are_colors():
    halls = draw_halls(3, 32, generator())
    assert halls.shape == (3, 3, 32, 32)
    assert halls.min() >= 0
    assert halls.max() <= 1
    assert (halls[0] - halls[1]).abs().mean() > 0.02


def test_no_amount_of_an_effect_is_no_effect():
    images = torch.rand(2, 3, 32, 32, generator=generator())
    none = torch.zeros(2)
    torch.testing.assert_close(blur(images, none, 4), images)
    torch.testing.assert_close(compress(images, none), images)
    still = resample(images, torch.zeros(2, 1, 1, 2))
    torch.testing.assert_close(still, images, atol=1e-4, rtol=0)


def test_coarser_compression_keeps_less_but_the_mean():
    images = torch.rand(1, 3, 32, 32, generator=generator()) * 0.6 + 0.2
    errors = [(compress(images, torch.tensor([c])) - images) for c in (1.0, 5.0, 20.0)]
    sizes = [float(error.abs().mean()) for error in errors]
    assert sizes == sorted(sizes)
    assert abs(float(errors[0].mean())) < 0.01


def test_blur_is_the_gaussian_that_its_name_says():
    image = torch.zeros(1, 1, 31, 31)
    image[..., 15, 15] = 1
    spread = blur(image, torch.tensor([2.0]), 12)[0, 0]
    offsets = torch.arange(31) - 15
    assert float(spread.sum()) == pytest.approx(1, abs=1e-4)
    assert float((spread.sum(dim=0) * offsets**2).sum()) == pytest.approx(4, rel=0.01)


def test_chance_draws_one_number_for_each_picture():
    assert Chance(5, generator()).uniform(2, 3).shape == (5,)
    assert Chance(5, generator()).clouds(3, 8, 16, 2).shape == (5, 2, 8, 16)


def test_training_lowers_the_loss(bank, scenes):
    images, alpha = scenes

    def loss(network):
        with torch.inference_mode():
            return float(matting_loss(network.eval()(normalized(images)), alpha))

    before = loss(new_network(0))
    settings = replace(TOY, first_cutouts=8, pool=16, iterations=30)
    network, loop = train_network(bank, settings)
    assert loop.progress.iteration == 30
    assert loss(network) < 0.85 * before


def test_two_trainings_of_one_seed_are_the_same(bank):
    settings = replace(TOY, seed=3, iterations=2)
    first, second = (train_network(bank, settings)[0] for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_interrupted_training_goes_on_from_its_checkpoint(bank, tmp_path):
    folder = tmp_path / "checkpoint"
    settings = replace(TOY, iterations=2)
    network, _ = train_network(bank, settings, folder)
    assert max(file.stat().st_size for file in folder.iterdir()) < 16e6
    resumed, loop = train_network(bank, settings, folder)
    assert [row.iteration for row in loop.progress.history] == [2]
    for a, b in zip(network.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    _, loop = train_network(bank, replace(TOY, iterations=3), folder)
    assert [row.iteration for row in loop.progress.history] == [2, 3]


def test_another_folder_is_no_checkpoint(bank, tmp_path):
    (tmp_path / "progress.json").write_text('{"iteration": 3}')
    with pytest.raises(InputError, match="is no checkpoint of this training"):
        train_network(bank, replace(TOY, iterations=2), tmp_path)


def test_a_training_writes_model_history_scores_sheet_and_card(tmp_path):
    train_matting(TOY, tmp_path, date="2026-01-31")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "MODEL_CARD.md",
        "contact_sheet.jpg",
        "history.tsv",
        "model.onnx",
        "scores.json",
    ]
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert f"{scores['heads']['iou']:.4f}" in card
    assert "2026-01-31" in card


@pytest.mark.slow
def test_the_stage_trains_and_leaves_no_checkpoint(tmp_path):
    training = {
        name: value
        for name, value in vars(replace(TOY, iterations=1)).items()
        if name not in ("workers", "seed", "device")
    }
    params = {"training": training, "checkpoint": tmp_path / "checkpoint", "seed": 0}
    model = tmp_path / "out" / "model.onnx"
    log = run_stage("train_matting", {}, {"model": model}, params, tmp_path, threads=2)
    assert model.is_file()
    assert not (tmp_path / "checkpoint").exists()
    assert "resources/models/matting" in log


def test_masks_of_photographs_are_scored_against_given_ones(tmp_path):
    export_onnx(new_network(0), tmp_path / "model.onnx")
    for name, mode in (("a.png", "RGB"), ("masks/a_mask.png", "L")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 255, (64, 48, len(mode)), dtype=np.uint8)
        Image.fromarray(pixels.squeeze()).save(tmp_path / name)
    scores = score_photographs(
        {"a": tmp_path / "a.png"},
        str(tmp_path / "masks"),
        "u2net_custom",
        str(tmp_path / "model.onnx"),
        tmp_path / "sheet.jpg",
    )
    assert 0 <= scores["views"]["a"] <= 1
    assert (tmp_path / "sheet.jpg").is_file()


def test_the_embedded_model_needs_no_file_and_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(headstyle.base.embedded, "EMBEDDED_MODELS", tmp_path)
    with pytest.raises(InputError, match=r"matting/model\.onnx is missing.*train_matting"):
        matting_weights("mini", None)
    export_onnx(new_network(0), tmp_path / "matting" / "model.onnx")
    assert matting_weights("mini", None) == tmp_path / "matting" / "model.onnx"
    assert load_matting("mini", None, 1)(np.eye(30, dtype=np.uint8)[..., None].repeat(3, 2)).any()


@shipped
def test_the_shipped_model_is_small():
    assert embedded_file("matting/model.onnx").stat().st_size < 5e6


@shipped
def test_the_shipped_model_finds_unseen_heads_as_its_card_says():
    scores = json.loads((SHIPPED / "scores.json").read_text())["scores"]
    matting = load_matting("mini", None, threads=1)
    with HeadBank(range(100, 104), coarseness=3.0) as bank:
        bank.wait_for(4)
        images, alphas = draw_pictures("heads", bank, 10, 320, seed=7)
    found = [matting(as_photograph(image[None])) for image in images]
    found = torch.from_numpy(np.stack(found))[:, None] / 255
    values = iou(found, alphas)
    assert scores["heads"]["iou"] >= 0.98
    assert float(values.mean()) == pytest.approx(scores["heads"]["iou"], abs=0.02)


def test_true_masks_of_one_head_agree_and_a_pedestal_in_one_is_contradicted(bank):
    _, alphas, cameras = draw_photographs(bank, 96, seed=3)
    assert alphas.shape == (VIEWS, 1, 96, 96)
    assert contradicted(alphas, cameras).max() < 0.02
    # A block beside the head that one view takes in.
    wrong = alphas.clone()
    wrong[4, :, 76:, :20] = 1
    share = (wrong[4] - alphas[4]).clamp_min(0).sum() / wrong[4].sum()
    found = contradicted(wrong, cameras)
    assert float(found[4]) > 0.5 * float(share) > 0.02
    assert found[torch.arange(VIEWS) != 4].max() < 0.02
