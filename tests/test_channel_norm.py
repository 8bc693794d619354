"""Truths about layers that compute the same as diffusers' with fewer bytes."""

import numpy as np
import pytest
import torch
from diffusers.models.activations import GEGLU
from headstyle.editing import make_editor
from headstyle.editing.faster_layers import (
    REFINEMENTS,
    ChannelNorm,
    GatedLinear,
    channel_norm,
    use_channel_norms,
    use_gated_layers,
)
from headstyle.triton_kernels import has_triton
from test_instruct_pix2pix import INSTRUCTION, make_view, settings
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
    use_channel_norms(network)
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


@pytest.mark.skipif(not has_triton(), reason="needs Triton")
def test_gated_layers_that_the_kernel_fits_are_replaced():
    layers = [GEGLU(320, 1280), GEGLU(1280, 5120), GEGLU(48, 128), GEGLU(64, 128, bias=False)]
    use_gated_layers(torch.nn.ModuleList(layers))
    assert [isinstance(layer, GatedLinear) for layer in layers] == [True, False, False, False]
    tokens = random(2, 3, 320)
    assert layers[0](tokens).equal(GEGLU.forward(layers[0], tokens))


@pytest.mark.parametrize("names", [["texts"], ["matrices"], ["norms"], list(REFINEMENTS)])
def test_refined_networks_edit_the_same(folder, names):
    views = [make_view(str(i), i) for i in range(2)]
    expected = make_editor(settings(folder), "cpu").edit(views, INSTRUCTION)
    editor = make_editor(settings(folder), "cpu")
    editor.refine(names)
    for refined, plain in zip(editor.edit(views, INSTRUCTION), expected, strict=True):
        np.testing.assert_allclose(refined, plain, atol=2e-5)


def test_fused_projections_give_the_same_keys_of_a_text(folder):
    editor = make_editor(settings(folder), "cpu")
    editor.refine(["texts"])
    apart = editor.embed("a prompt")
    editor.unet.fuse_qkv_projections()
    editor.refine(["texts"])
    torch.testing.assert_close(editor.embed("a prompt"), apart)


def test_keys_of_a_text_are_computed_once_for_all_steps_and_views(folder, monkeypatch):
    editor = make_editor(settings(folder), "cpu")
    editor.refine(["texts"])
    layers = [m for m in editor.unet.modules() if getattr(m, "is_cross_attention", False)]
    calls = []
    for layer in layers:
        monkeypatch.setattr(
            layer.to_k, "forward", lambda states, f=layer.to_k.forward: calls.append(1) or f(states)
        )
    editor.edit([make_view(str(i), i) for i in range(3)], INSTRUCTION)
    # Of the prompt and of the negative prompt.
    assert len(calls) == 2 * len(layers)


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("compile", ["never", "always"])
def test_refined_networks_edit_the_same_on_the_gpu(folder, compile):
    views = [make_view(str(i), i) for i in range(5)]
    changes = {"compile": compile, "dtype": "float32", "batch_size": 5}
    expected = make_editor(settings(folder, **changes), "cuda").edit(views, INSTRUCTION)
    editor = make_editor(settings(folder, **changes), "cuda")
    editor.refine(list(REFINEMENTS))
    for refined, plain in zip(editor.edit(views, INSTRUCTION), expected, strict=True):
        assert np.abs(refined - plain).mean() < 1e-2
