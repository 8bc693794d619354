"""LPIPS computed in the window that an overlap reaches equals LPIPS of the whole frame."""

import warnings

import lpips
import pytest
import torch
from headstyle.consistency.pairs import bounding_box
from headstyle.consistency.parts.lpips_windows import WindowedLpips
from torch import Tensor

FRAMES = [(64, 80), (97, 131), (66, 200)]


@pytest.fixture(scope="module", params=["squeeze", "alex", "vgg"])
def network(request) -> lpips.LPIPS:
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        return lpips.LPIPS(
            net=request.param, pretrained=False, pnet_rand=True, verbose=False
        ).eval()


def pairs(size: tuple[int, int], places: list[tuple[int, int, int, int]]) -> list[Tensor]:
    """Random images and overlaps with holes at these places: targets, warped, overlaps."""
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(2, len(places), *size, 3, generator=draw)
    overlaps = torch.zeros(len(places), *size, dtype=torch.bool)
    for overlap, (top, bottom, left, right) in zip(overlaps, places, strict=True):
        part = overlap[top:bottom, left:right]
        part.copy_(torch.rand(part.shape, generator=draw) > 0.3)
    return [*images, overlaps]


def whole_frame(network: lpips.LPIPS, target: Tensor, warped: Tensor, overlap: Tensor) -> Tensor:
    black = [(image * overlap[..., None]).permute(0, 3, 1, 2) for image in (target, warped)]
    with torch.no_grad():
        return network(*black, normalize=True).flatten().double()


@pytest.mark.parametrize("size", FRAMES)
def test_the_window_gives_the_value_of_the_whole_frame(network, size):
    height, width = size
    places = [
        (0, height, 0, width),
        (20, 40, 30, 50),
        (0, 15, 0, 20),
        (height - 9, height, width - 13, width),
        (30, 31, 40, 41),
    ]
    batch = pairs(size, places)
    batch[2][4, 30, 40] = True
    expected = whole_frame(network, *batch)
    windowed = WindowedLpips(network)
    torch.testing.assert_close(windowed(*batch), expected, atol=1e-6, rtol=1e-5)
    alone = [windowed(*(part[i : i + 1] for part in batch)) for i in range(len(places))]
    torch.testing.assert_close(torch.cat(alone), expected, atol=1e-6, rtol=1e-5)
    assert (expected.abs() > 1e-9).all()


def test_frames_of_several_sizes_in_turn_do_not_mix(network):
    windowed = WindowedLpips(network)
    for size in (*FRAMES, FRAMES[0]):
        batch = pairs(size, [(10, 50, 10, 60)])
        torch.testing.assert_close(
            windowed(*batch), whole_frame(network, *batch), atol=1e-6, rtol=1e-5
        )


def test_identical_pairs_are_exactly_alike_and_no_overlap_is_no_distance(network):
    target, warped, overlap = pairs((64, 80), [(10, 50, 10, 60), (5, 6, 5, 6)])
    windowed = WindowedLpips(network)
    assert (windowed(target, target.clone(), overlap) == 0).all()
    assert (windowed(target, warped, torch.zeros_like(overlap)) == 0).all()


def test_the_bounds_hold_every_pixel_of_every_pair():
    overlap = torch.zeros(2, 10, 12, dtype=torch.bool)
    assert bounding_box(overlap.any(dim=0)) is None
    overlap[0, 3, 4] = overlap[1, 7, 2] = True
    assert bounding_box(overlap.any(dim=0)) == (3, 8, 2, 5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_gives_the_values_of_the_cpu(network):
    batch = pairs((64, 80), [(10, 50, 10, 60), (0, 64, 0, 80)])
    expected = WindowedLpips(network)(*batch)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = WindowedLpips(network.cuda())(*(part.cuda() for part in batch)).cpu()
    network.cpu()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
