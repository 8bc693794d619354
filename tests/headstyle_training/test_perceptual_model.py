"""Truths about the mini perceptual metric: distortions, network, training, the shipped weights."""

import json
import warnings
from dataclasses import replace

import headstyle.base.embedded
import lpips
import numpy as np
import pytest
import torch
from headstyle.base.embedded import EMBEDDED_MODELS
from headstyle.base.errors import InputError
from headstyle.consistency.metrics import load_metrics
from headstyle.consistency.pairs import PairBatch
from headstyle.losses.lpips_networks import load_mini
from headstyle_training.heads.bank import HeadBank
from headstyle_training.perceptual.distortions import HELD_OUT, TRAINED, distort, disturb
from headstyle_training.perceptual.judgements import draw_judgements, judgement_loss
from headstyle_training.perceptual.model import PerceptualTrainer, save_metric
from headstyle_training.perceptual.pictures import GroupPool, HeadGroups
from headstyle_training.perceptual.scores import (
    distances,
    draw_trial,
    evaluate,
    judge,
    shift_over_noise,
    unseen_groups,
)
from headstyle_training.perceptual.settings import PerceptualSettings
from headstyle_training.perceptual.train import train_metric, train_perceptual
from headstyle_training.pictures.image_effects import Chance
from own_process import run_stage
from safetensors.torch import load_file

CPU = torch.device("cpu")
ALL = {**TRAINED, **HELD_OUT}
SHIPPED = EMBEDDED_MODELS / "perceptual"
shipped = pytest.mark.skipif(not SHIPPED.is_dir(), reason="the model is not trained yet")
TOY = PerceptualSettings(
    minutes=5,
    heads=2,
    evaluation_heads=1,
    evaluation_judgements=4,
    coarseness=5.0,
    workers=0,
    first_heads=2,
    first_groups=4,
    pool=8,
    batch=8,
    side_px=72,
    crop_px=64,
    iterations=3,
)


@pytest.fixture(scope="module")
def bank():
    with HeadBank(range(1000, 1002), coarseness=4.0) as bank:
        bank.wait_for(2)
        yield bank


@pytest.fixture(scope="module")
def pool(bank):
    pool = GroupPool(bank, 96, 8, seed=0)
    pool.add(8)
    return pool


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An untrained metric, after its file."""
    path = tmp_path_factory.mktemp("mini") / "model.safetensors"
    save_metric(PerceptualTrainer(0).metric, path)
    return path, load_mini(path)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=4, side_px=64):
    """Smooth colorful noise with edges."""
    chance = Chance(count, generator())
    clouds = chance.clouds(6, side_px, side_px, 3) + chance.clouds(20, side_px, side_px, 3)
    return (0.5 + 0.25 * clouds + 0.2 * (clouds > 0.5)).clamp(0, 1)


@pytest.mark.parametrize("name", list(ALL))
def test_level_0_changes_nothing_and_a_higher_level_more(name):
    images = pictures()

    def changed(level):
        types, levels = torch.zeros(4, dtype=torch.long), torch.full((4,), level)
        spoiled = distort(images, types, levels, Chance(4, generator(1)), {name: ALL[name]})
        return float((spoiled - images).abs().mean())

    # A shift by a fraction of a pixel counts as nothing.
    assert changed(0.0) < (0.08 if name == "shift" else 0.004)
    assert changed(0.2) < changed(0.9)
    assert changed(1.0) > 0.008


def test_a_disturbance_is_smaller_than_any_pixel_can_show():
    images = pictures()
    moved = disturb(images, Chance(4, generator()))
    assert 0 < (moved - images).abs().mean() < 0.08


def test_groups_show_one_head_by_one_camera(pool):
    groups = pool.draw(6, 64, generator())
    assert groups.pictures.shape == (6, 3, 3, 64, 64)
    assert groups.pictures.min() >= 0
    assert groups.pictures.max() <= 1
    photograph, edit, _ = groups.pictures.unbind(1)
    # An edit changes the head, not what is behind it.
    assert ((photograph - edit).abs().amax(dim=(1, 2, 3)) > 0.02).float().mean() > 0.5
    assert torch.equal(photograph[:, :, 0, 0], edit[:, :, 0, 0])


def test_judgements_prefer_the_lower_level_and_the_true_edit(pool):
    judged = draw_judgements(pool.draw(64, 64, generator()), generator(), generator())
    known = ~judged.levels.isnan().any(dim=0)
    lower = judged.levels[0, known] < judged.levels[1, known]
    assert torch.equal(judged.answer[known] > 0.5, lower)
    of_edits = judged.types[1] == len(TRAINED)
    assert of_edits.any()
    assert (judged.answer[of_edits] == 1).all()


def test_the_packages_own_class_takes_the_weights_and_computes_the_same(network):
    path, mini = network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, verbose=False)
    missing, unexpected = package.load_state_dict(load_file(path), strict=False)
    assert not unexpected
    assert all(name.startswith(("lins.", "scaling_layer.")) for name in missing)
    first, second = pictures(), pictures().flip(3)
    with torch.inference_mode():
        expected = package.eval()(first, second, normalize=True).flatten()
        torch.testing.assert_close(distances(mini)["lpips_mini"](first, second), expected)
        trainer = PerceptualTrainer(0)
        trainer.metric.load_state_dict(mini.state_dict())
        learned = trainer.distance(trainer.features(first), trainer.features(second))
    assert expected.min() > 1e-3
    torch.testing.assert_close(learned, expected, rtol=1e-3, atol=1e-5)


def test_the_metric_has_the_published_form_and_its_own_name(network, tmp_path, monkeypatch):
    path, mini = network
    monkeypatch.setattr(headstyle.base.embedded, "EMBEDDED_MODELS", tmp_path)
    with pytest.raises(InputError, match=r"perceptual/model\.safetensors is missing"):
        load_metrics({"names": ["lpips_mini"]}, CPU)
    (tmp_path / "perceptual").mkdir()
    (tmp_path / "perceptual" / "model.safetensors").write_bytes(path.read_bytes())
    [metric] = load_metrics({"names": ["lpips_mini"]}, CPU)
    assert metric.name == "lpips_mini"
    target = pictures().permute(0, 2, 3, 1)
    overlap = torch.zeros(4, 64, 64, dtype=torch.bool)
    overlap[:, 10:50, 10:50] = True
    values = metric(PairBatch(target, target.flip(2), overlap))
    inside = overlap[:, None]
    first, second = (image.permute(0, 3, 1, 2) * inside for image in (target, target.flip(2)))
    with torch.inference_mode():
        expected = distances(mini)["lpips_mini"](first, second)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    assert metric(PairBatch(target, target, overlap)).tolist() == [0, 0, 0, 0]


def test_the_corrected_metric_is_the_same_on_a_whole_frame_and_blind_to_what_is_not_shared(
    network, tmp_path, monkeypatch
):
    path, _ = network
    monkeypatch.setattr(headstyle.base.embedded, "EMBEDDED_MODELS", tmp_path)
    (tmp_path / "perceptual").mkdir()
    (tmp_path / "perceptual" / "model.safetensors").write_bytes(path.read_bytes())
    published, corrected = load_metrics({"names": ["lpips_mini", "lpips_mini_corrected"]}, CPU)
    assert (published.warp, corrected.warp) == ("published", "corrected")
    target, warped = (pictures(side_px=96).permute(0, 2, 3, 1) for _ in range(2))
    warped = warped.flip(2)
    whole = torch.ones(4, 96, 96, dtype=torch.bool)
    batch = PairBatch(target, warped, whole)
    np.testing.assert_allclose(corrected(batch), published(batch), atol=1e-6)
    half = whole.clone()
    half[:, :, 48:] = False
    spoiled = target.where(half[..., None], torch.zeros(()))
    np.testing.assert_array_equal(
        corrected(PairBatch(spoiled, warped, half)), corrected(PairBatch(target, warped, half))
    )


def test_a_file_that_holds_something_else_is_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read"):
        load_mini(tmp_path / "model.safetensors")


def test_training_lowers_the_loss(bank):
    pool = GroupPool(bank, 72, 8, seed=1)
    pool.add(8)
    judged = draw_judgements(pool.draw(48, 64, generator(5)), generator(5), generator(5))
    before = PerceptualTrainer(0)
    settings = replace(TOY, batch=16, first_groups=8, iterations=20, learning_rate=5e-4)
    _, loop = train_metric(bank, settings)
    with torch.inference_mode():
        losses = [float(judgement_loss(t, judged)) for t in (before, *loop.averaged)]
    assert losses[1] < 0.98 * losses[0]
    for head in loop.networks[0].metric.lins:
        assert head.model[-1].weight.min() >= 0


def test_an_interrupted_training_goes_on_from_its_checkpoint(bank, tmp_path):
    arguments = (bank, replace(TOY, iterations=2), tmp_path / "checkpoint")
    first, _ = train_metric(*arguments)
    second, loop = train_metric(*arguments)
    assert loop.progress.iteration == 2
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert max(file.stat().st_size for file in (tmp_path / "checkpoint").iterdir()) < 16e6


def test_judging_counts_the_smaller_distance_to_the_closer_alternative():
    reference = torch.zeros(2, 3, 16, 16)
    groups = HeadGroups(torch.rand(2, 3, 3, 64, 64, generator=generator()), torch.zeros(2))
    trial = draw_trial("same_type_trained", groups, generator(), generator())
    trial = replace(trial, reference=reference, closer=reference + 0.1, further=reference + 0.2)
    right = distances(torch.nn.Identity())
    assert judge(right["rmse"], trial).tolist() == [True, True]
    swapped = replace(trial, closer=trial.further, further=trial.closer)
    assert judge(right["rmse"], swapped).tolist() == [False, False]


def test_a_shift_by_a_pixel_is_as_far_as_noise_of_the_same_rmse_for_rmse_alone(network, pool):
    groups = pool.draw(8, 64, generator())
    ratios = shift_over_noise(distances(network[1]), groups, generator())
    assert ratios["rmse"] == pytest.approx(1, abs=0.02)
    assert ratios["ssim"] < 0.8


def test_a_training_writes_weights_history_scores_sheet_and_card(tmp_path):
    train_perceptual(TOY, tmp_path, date="2026-01-31")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "MODEL_CARD.md",
        "contact_sheet.jpg",
        "history.tsv",
        "model.safetensors",
        "scores.json",
    ]
    assert (tmp_path / "model.safetensors").stat().st_size < 6e6
    accuracy = json.loads((tmp_path / "scores.json").read_text())["scores"]["accuracy"]
    assert set(accuracy["edits"]) == {"lpips_mini", "rmse", "ssim", "judgements"}
    assert "2026-01-31" in (tmp_path / "MODEL_CARD.md").read_text()


@pytest.mark.slow
def test_the_stage_trains_and_leaves_no_checkpoint(tmp_path):
    training = {
        name: value
        for name, value in vars(replace(TOY, iterations=1)).items()
        if name not in ("workers", "seed", "device")
    }
    params = {"training": training, "checkpoint": tmp_path / "checkpoint", "seed": 0}
    model = tmp_path / "out" / "model.safetensors"
    run_stage("train_perceptual", {}, {"model": model}, params, tmp_path, threads=2)
    assert model.is_file()
    assert not (tmp_path / "checkpoint").exists()


@shipped
def test_the_shipped_weights_judge_unseen_heads_as_their_card_says(tmp_path):
    expected = json.loads((SHIPPED / "scores.json").read_text())["scores"]["accuracy"]
    [metric] = load_metrics({"names": ["lpips_mini"]}, CPU)
    with HeadBank(range(100, 103), coarseness=3.0) as bank:
        bank.wait_for(3)
        groups = unseen_groups(bank, 12, 192, seed=5)
    drawn, kinds = generator(5), generator(5)
    for task in ("same_type_held_out", "edits"):
        trials = [draw_trial(task, groups, drawn, kinds) for _ in range(4)]
        right = torch.cat([judge(distances(metric.network)["lpips_mini"], t) for t in trials])
        assert float(right.double().mean()) == pytest.approx(expected[task]["lpips_mini"], abs=0.17)


@shipped
def test_the_shipped_weights_beat_plain_differences_on_unseen_distortions():
    accuracy = json.loads((SHIPPED / "scores.json").read_text())["scores"]["accuracy"]
    for plain in ("rmse", "ssim"):
        assert accuracy["across_held_out"]["lpips_mini"] > accuracy["across_held_out"][plain], plain
        assert accuracy["same_type_held_out"]["lpips_mini"] >= accuracy["same_type_held_out"][plain]
    assert accuracy["edits"]["lpips_mini"] > accuracy["edits"]["ssim"]


@shipped
@pytest.mark.xfail(
    strict=True, reason="RMSE leads as its card says; more judgements of edits did not help"
)
def test_the_shipped_weights_tell_edits_apart_better_than_rmse():
    accuracy = json.loads((SHIPPED / "scores.json").read_text())["scores"]["accuracy"]
    assert accuracy["edits"]["lpips_mini"] > accuracy["edits"]["rmse"]


@shipped
def test_an_evaluation_can_be_repeated_on_the_cpu(tmp_path):
    with HeadBank([100], coarseness=5.0) as bank:
        bank.wait_for(1)
        network = load_mini(SHIPPED / "model.safetensors")
        runs = [evaluate(network, bank, 2, 64, 0, tmp_path / "sheet.jpg") for _ in range(2)]
    assert runs[0] == runs[1]
