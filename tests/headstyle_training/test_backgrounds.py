"""What stands behind heads in training: colors of all kinds, told by the generator."""

import pytest
import torch
from headstyle_training.pictures.backgrounds import KINDS, _Chance, random_backgrounds

SIZE = (40, 56)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("make", [make for make, _ in KINDS], ids=lambda make: make.__name__)
def test_every_kind_gives_different_pictures_of_the_size_asked_for(make):
    pictures = make(_Chance(6, *SIZE, generator()))
    assert pictures.shape == (6, 3, *SIZE)
    assert torch.isfinite(pictures).all()
    shown = pictures.clamp(0, 1)
    distances = torch.cdist(shown.flatten(1), shown.flatten(1)) + 1e3 * torch.eye(6)
    assert distances.min() > 0.5


def test_backgrounds_are_colors_and_the_seed_tells_them():
    first, again, other = (random_backgrounds(20, *SIZE, generator(s)) for s in (0, 0, 1))
    assert first.shape == (20, 3, *SIZE)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_background_can_be_drawn():
    assert random_backgrounds(1, *SIZE, generator()).shape == (1, 3, *SIZE)


def test_shares_are_those_of_the_kinds():
    assert sum(share for _, share in KINDS) == pytest.approx(1)
    # Of a hundred pictures, the flat ones: every pixel has the color of the first.
    pictures = random_backgrounds(100, *SIZE, generator(3))
    flat = (pictures == pictures[:, :, :1, :1]).flatten(1).all(dim=1).sum()
    assert 11 <= flat <= 13


def test_some_are_dark_some_bright_some_smooth_some_busy():
    pictures = random_backgrounds(100, *SIZE, generator(4))
    brightness = pictures.mean(dim=(1, 2, 3))
    assert brightness.min() < 0.15
    assert brightness.max() > 0.75
    busy = pictures.diff(dim=3).abs().mean(dim=(1, 2, 3))
    assert busy.min() < 0.002
    assert busy.max() > 0.08
