"""Truths about the perceptual term of an avatar's loss."""

import pytest
import torch
from ball_avatars import ball_subject, control_editing, order
from headstyle.avatars import runs as avatar_runs
from headstyle.avatars.files import AvatarFolder
from headstyle.avatars.runs import AvatarRun, make_together
from headstyle.base.errors import InputError
from headstyle.editing.registry import make_editor
from headstyle.losses.lpips_networks import package_network
from headstyle.losses.perceptual import PATCH_PX, PatchLpips, make_perceptual_loss


@pytest.fixture(scope="module")
def network():
    random = package_network("squeeze").eval().requires_grad_(False)
    # As in the real network, no feature counts against a distance.
    for weights in random.lins.parameters():
        weights.abs_()
    return random


def images(seed, views=2, height=48, width=40):
    return torch.rand((views, height, width, 3), generator=torch.Generator().manual_seed(seed))


def test_equal_images_cost_nothing_and_different_ones_something(network):
    loss = PatchLpips(network, 0.5, seed=0)
    assert float(loss(images(0), images(0), 3)) == pytest.approx(0, abs=1e-6)
    assert float(loss(images(0), images(1), 3)) > 0.01


def test_the_term_grows_with_its_weight(network):
    one, three = (PatchLpips(network, w, 0)(images(0), images(1), 3) for w in (1.0, 3.0))
    torch.testing.assert_close(three, 3 * one)


def test_the_places_come_from_seed_and_iteration(network):
    values = {
        (seed, iteration): float(PatchLpips(network, 1.0, seed)(images(0), images(1), iteration))
        for seed in (0, 1)
        for iteration in (0, 1)
    }
    assert len(set(values.values())) == 4
    assert float(PatchLpips(network, 1.0, 1)(images(0), images(1), 1)) == values[1, 1]


def test_only_patches_get_a_gradient(network):
    rendered = images(0, height=200, width=200).requires_grad_()
    PatchLpips(network, 1.0, 0)(rendered, images(1, height=200, width=200), 0).backward()
    touched = (rendered.grad.abs().sum(dim=-1) > 0).float().mean()
    assert 0 < touched <= 16 * PATCH_PX**2 / (2 * 200 * 200)


def test_views_smaller_than_a_patch_are_taken_whole(network):
    small = {"views": 1, "height": 24, "width": 20}
    assert torch.isfinite(PatchLpips(network, 1.0, 0)(images(0, **small), images(1, **small), 0))


def test_without_a_weight_no_network_is_looked_for():
    settings = {"lpips_weight": 0, "lpips_net": "vgg", "lpips_weights": "/nowhere"}
    assert make_perceptual_loss(settings, 0, "cpu") is None


def test_a_missing_backbone_is_named():
    settings = {"lpips_weight": 1, "lpips_net": "vgg", "lpips_weights": "/nowhere/vgg.pth"}
    with pytest.raises(InputError, match=r"/nowhere/vgg\.pth is missing"):
        make_perceptual_loss(settings, 0, "cpu")


def test_an_avatar_is_trained_with_the_term(network, tmp_path, monkeypatch):
    calls = []

    def counted(settings, seed, device):
        loss = PatchLpips(network, settings["lpips_weight"], seed)
        return lambda *arguments: calls.append(arguments[2]) or loss(*arguments)

    monkeypatch.setattr(avatar_runs, "make_perceptual_loss", counted)
    made = order(tmp_path, lpips_weight=0.1, iterations=3, edit_every=3)
    editor = make_editor(control_editing(), "cpu")
    files = AvatarFolder(made.folder, made.task("inputs"))
    assert make_together([AvatarRun(made, ball_subject(), editor, files)]) == {}
    # Portrait and landscape views are rendered apart.
    assert set(calls) == {0, 1, 2}
