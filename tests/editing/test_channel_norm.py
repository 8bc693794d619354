"""Truths about group normalization by channels."""

import numpy as np
import pytest
import torch
from headstyle.editing.channel_norm import ChannelNorm, channel_norm, replace_group_norms
from headstyle.editing.registry import make_editor
from pix2pix_samples import INSTRUCTION, make_view, settings
from tiny_pipeline import write_tiny_pipeline
from torch.nn.functional import group_norm


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 8, 5, 7), (3, 12, 10), (1, 8, 1, 1)])
@pytest.mark.parametrize("mean", [0.0, 300.0])
def test_the_norm_by_channels_is_the_norm_by_groups(shape, mean):
    images, weight, bias = random(*shape) + mean, random(shape[1], seed=1), random(shape[1], seed=2)
    expected = group_norm(images.double(), 4, weight.double(), bias.double(), 1e-5)
    found = channel_norm(images, 4, weight, bias, 1e-5)
    # The inputs themselves are rounded, by more the farther they are from zero.
    torch.testing.assert_close(found.double(), expected, atol=2e-5 * (1 + mean), rtol=1e-5)
    if len(shape) == 4:
        laid_out = images.contiguous(memory_format=torch.channels_last)
        again = channel_norm(laid_out, 4, weight, bias, 1e-5)
        torch.testing.assert_close(again, found, atol=1e-5 * (1 + mean), rtol=1e-5)
        assert again.is_contiguous(memory_format=torch.channels_last)


def test_the_norm_by_channels_is_for_compiled_networks_only():
    network = torch.nn.Sequential(torch.nn.GroupNorm(2, 4), torch.nn.GroupNorm(2, 4, affine=False))
    images = random(2, 4, 3, 3)
    expected = network(images)
    replace_group_norms(network, ChannelNorm)
    assert isinstance(network[0], ChannelNorm)
    assert not isinstance(network[1], ChannelNorm)
    assert network(images).equal(expected)
    graphs = []

    def backend(graph, inputs):
        graphs.append({str(node.target) for node in graph.graph.nodes})
        return graph.forward

    compiled = torch.compile(network, backend=backend)
    torch.testing.assert_close(compiled(images), expected)
    assert "rsqrt" in graphs[0]


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@gpu
def test_compiled_networks_that_normalize_by_channels_edit_the_same(folder):
    views = [make_view(str(i), i) for i in range(5)]
    changes = {"dtype": "float32", "batch_size": 5}
    expected = make_editor(settings(folder, **changes), "cuda").edit(views, INSTRUCTION)
    editor = make_editor(settings(folder, compile="always", **changes), "cuda")
    assert any(isinstance(module, ChannelNorm) for module in editor.unet.modules())
    for found, plain in zip(editor.edit(views, INSTRUCTION), expected, strict=True):
        assert np.abs(found - plain).mean() < 1e-2
