"""Truths about the training of radiance fields, on a small ball."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from ball import make_ball
from ball import settings as ball_settings
from headstyle.base.errors import InputError
from headstyle.radiance.baseline import train_field_on_views
from headstyle.radiance.field import Box, RadianceField
from headstyle.radiance.files import read_field, write_field
from headstyle.radiance.rays import around_mask
from headstyle.radiance.scenes import make_avatar_trainer, restore_trainer, trainer_state
from headstyle.radiance.settings import NerfSettings
from headstyle.radiance.trainer import FieldTrainer
from headstyle.rendering.renderer import render_views
from headstyle.training.baseline import score_views
from headstyle.training.trainer import DivergedError
from small_field import SMALL


@pytest.fixture(scope="module")
def ball():
    return make_ball()


def trained(ball, seed=0, **changes):
    cameras, targets, points, _ = ball
    settings = replace(SMALL, **changes)
    images = [targets[name] for name in cameras.names]
    return train_field_on_views(cameras, images, points, settings, seed)


@pytest.fixture(scope="module")
def trainer(ball):
    return trained(ball, iterations=200)


def test_a_small_field_learns_a_small_scene(ball, trainer):
    cameras, targets, _, _ = ball
    renders = {name: image for name, image, *_ in render_views(trainer.scene, cameras)}
    scores = score_views(cameras, list(targets.values()), renders, 0)
    assert scores["psnr"] > 20
    # Alpha, too: the ball is opaque, and the space around it empty.
    for name, target in targets.items():
        assert np.abs(renders[name][..., 3] - target[..., 3]).mean() < 0.06


def test_depth_is_that_of_the_ball(ball, trainer):
    cameras, targets, points, _ = ball
    # The ball's 800 round splats reach one standard deviation beyond their centers: the distance
    # to their neighbors, sqrt(2 / (pi * 800 / (4 pi 0.8^2))).
    radius = np.linalg.norm(points, axis=1).mean() + 0.08
    for name, _, median, _ in render_views(trainer.scene, cameras):
        height, width = median.shape
        view = cameras.index(name)
        middle = median[height // 2 - 2 : height // 2 + 3, width // 2 - 2 : width // 2 + 3]
        distance = np.linalg.norm(cameras.centers[view])
        assert np.median(middle) == pytest.approx(distance - radius, abs=0.15), name
        assert targets[name][height // 2, width // 2, 3] > 0.9


def test_a_field_survives_its_file_and_the_file_has_the_same_bytes(tmp_path, ball, trainer):
    write_field(tmp_path / "a.safetensors", trainer.scene)
    field = read_field(tmp_path / "a.safetensors")
    write_field(tmp_path / "b.safetensors", field)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    cameras = ball[0].select(ball[0].names[:1])
    [(_, first, *_)], [(_, second, *_)] = (render_views(s, cameras) for s in (trainer.scene, field))
    assert np.array_equal(first, second)


def test_two_trainings_on_the_cpu_give_the_same_bytes(ball):
    first, second, other = (trained(ball, seed, iterations=6) for seed in (0, 0, 1))
    for name, value in first.scene.state_dict().items():
        assert torch.equal(value, second.scene.state_dict()[name]), name
    assert not torch.equal(first.scene.grid.table, other.scene.grid.table)


def test_a_damaged_file_is_told_in_a_sentence(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nothing of use")
    with pytest.raises(InputError, match=r"a\.safetensors is no radiance field .* train it again"):
        read_field(tmp_path / "a.safetensors")


def test_a_field_that_diverges_is_told_with_the_key(ball):
    cameras, targets, points, _ = ball
    field = RadianceField(Box.around(points, 0.2), SMALL, cameras.names, 0)
    with torch.no_grad():
        field.color.biases[0][0] = torch.nan
    trainer = FieldTrainer(field, cameras, targets, 10, 0)
    with pytest.raises(DivergedError, match=r"iteration 0 of 10: .* lower nerf\.learning_rate"):
        trainer.step()


def edited(ball, trainer, iterations):
    """An avatar's training on the ball in one color, by L1 on patches."""
    cameras, targets, _, _ = ball
    nerf = asdict(SMALL)
    avatar = make_avatar_trainer(
        *(trainer.scene, cameras, targets, ball_settings(iterations=iterations)),
        *(nerf, None, 5, "cpu"),
    )
    red = {
        name: image * np.array([0, 0, 0, 1]) + [0.9, 0.1, 0.1, 0] for name, image in targets.items()
    }
    avatar.replace_targets({name: image.astype(np.float32) for name, image in red.items()})
    return avatar


def test_an_avatar_takes_the_colors_of_its_edits(ball, trainer):
    avatar = edited(ball, trainer, 60)
    for _ in range(60):
        avatar.step([0])
    [(_, image, *_)] = render_views(avatar.scene, ball[0].select(ball[0].names[:1]))
    inside = image[..., 3] > 0.9
    assert np.allclose(image[inside][:, :3].mean(axis=0), [0.9, 0.1, 0.1], atol=0.1)


def test_an_interrupted_avatar_goes_on_as_if_it_had_not_been(ball, trainer):
    whole, half = edited(ball, trainer, 8), edited(ball, trainer, 8)
    for _ in range(4):
        whole.step()
        half.step()
    tensors, described = trainer_state(half)
    kept = {name: value.clone() for name, value in tensors.items()}
    resumed = edited(ball, trainer, 8)
    restore_trainer(resumed, kept, described)
    for each in (whole, resumed):
        for _ in range(4):
            each.step()
    assert torch.equal(whole.scene.grid.table, resumed.scene.grid.table)


def test_appearance_takes_up_what_differs_between_photographs(ball):
    cameras, targets, points, _ = ball
    dimmed = [
        targets[name] * np.array([0.5 if i else 1] * 3 + [1]) for i, name in enumerate(targets)
    ]
    images = [image.astype(np.float32) for image in dimmed]
    settings = replace(SMALL, appearance=4, iterations=120)
    found = train_field_on_views(cameras, images, points, settings, 0).scene
    assert found.appearance.shape == (4, 4)
    differ = found.appearance.detach() - found.appearance.detach().mean(dim=0)
    assert differ.norm(dim=1).argmax() == 0


def test_rays_start_within_the_mask_and_its_margin():
    alpha = np.zeros((20, 40))
    alpha[10, 20] = 1
    rows, columns = np.divmod(around_mask(alpha, 0.05), 40)
    far = np.hypot(rows - 10, columns - 20)
    # 0.05 of 40 px are 2 px; the disk is round.
    assert far.max() <= 2.3
    assert len(far) >= 13
    assert len(around_mask(np.zeros((4, 5)), 0.1)) == 20


def test_rays_that_fill_no_patches_are_told_with_the_key():
    config = asdict(SMALL)
    with pytest.raises(InputError, match=r"nerf\.edit_rays is 100, .* 64 rays of a patch"):
        NerfSettings.from_config(config | {"edit_rays": 100})
    turned = {"grid": config["grid"] | {"finest": 2}}
    with pytest.raises(InputError, match=r"nerf\.grid\.finest is 2, below coarsest \(4\)"):
        NerfSettings.from_config(config | turned)


def test_iterations_that_cannot_be_recorded_are_done_one_by_one(ball):
    cameras, targets, points, _ = ball
    field = RadianceField(Box.around(points, 0.2), SMALL, cameras.names, 0)
    plain, refused = (FieldTrainer(field, cameras, targets, 10, 0) for _ in range(2))

    def refuse(function):
        raise RuntimeError("not permitted when the stream is capturing")

    refused._graphs = refuse
    # Three of each kind of iteration warm up, those with and those without the proposals' learning.
    for _ in range(8):
        plain.step()
        refused.step()
    assert refused._graphs is None
    assert torch.equal(plain.scene.grid.table, refused.scene.grid.table)
