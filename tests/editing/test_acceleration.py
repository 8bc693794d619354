"""Truths about compiling the editor's networks."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from headstyle.editing import acceleration
from headstyle.editing.acceleration import (
    COMPILE_FROM,
    GRAPHS_UP_TO,
    SURE,
    Accelerator,
    Compiled,
    compile_options,
    fastest_attention,
    graphs_help,
)
from headstyle.editing.memory import exact_device
from headstyle.editing.registry import make_editor
from pix2pix_samples import INSTRUCTION, exact, make_view, settings
from tiny_pipeline import write_tiny_pipeline
from torch.nn.attention import SDPBackend, sdpa_kernel

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.parametrize(
    ("setting", "device", "views", "compiled"),
    [
        ("auto", CUDA, COMPILE_FROM, True),
        ("auto", CUDA, COMPILE_FROM - 1, False),
        ("auto", CPU, 10 * COMPILE_FROM, False),
        ("always", CUDA, 1, True),
        ("max", CPU, 1, True),
        ("never", CUDA, 10 * COMPILE_FROM, False),
    ],
)
def test_networks_are_compiled_on_a_gpu_when_many_views_are_expected(
    setting, device, views, compiled
):
    accelerator = Accelerator(device, setting)
    accelerator.expected_views = views
    assert accelerator.compiling is compiled


def test_an_editor_is_told_how_many_views_to_expect(folder):
    editor = make_editor(settings(folder, compile="auto"), "cpu")
    editor.expect(30)
    editor.expect(40)
    assert editor.accelerator.expected_views == 70


def test_compiled_networks_see_one_shape_and_edit_the_same(folder, monkeypatch):
    shapes = {}

    class Recorded:
        failed = False

        def __init__(self, function, options):
            self.function = function

        def __call__(self, *tensors):
            seen = shapes.setdefault(self.function.__name__, set())
            seen.add(tensors[0].shape)
            return self.function(*tensors)

    monkeypatch.setattr(acceleration, "Compiled", Recorded)
    views = [make_view(str(i), i) for i in range(5)]
    expected = exact(make_editor(settings(folder), "cpu")).edit(views, INSTRUCTION)
    editor = exact(make_editor(settings(folder, compile="always"), "cpu"))
    for edited, alone in zip(editor.edit(views, INSTRUCTION), expected, strict=True):
        np.testing.assert_allclose(edited, alone, atol=1e-5)
    assert set(shapes) == {"_run_unet", "_encode", "_decode"}
    assert all(len(seen) == 1 for seen in shapes.values()), shapes


def test_a_network_that_cannot_be_compiled_is_used_as_it_is(monkeypatch, caplog):
    def failing(function, **options):
        def compiled(*arguments):
            raise RuntimeError("no compiler here\nand a long story")

        return compiled

    monkeypatch.setattr(torch, "compile", failing)
    double = Compiled(lambda x: 2 * x, compile_options(graphs=False, thorough=False))
    assert double(torch.tensor(3)) == 6
    assert "compiling failed (no compiler here); running without it" in caplog.text
    caplog.clear()
    assert double(torch.tensor(4)) == 8
    assert not caplog.text


def test_a_network_that_compiles_only_with_the_surest_attention_stays_compiled(monkeypatch, caplog):
    chosen = []

    def choosy(function, *, options, **_):
        def compiled(*arguments):
            if torch._C._get_cudnn_sdp_enabled():
                raise RuntimeError("no plan for this attention")
            chosen.append(options["triton.cudagraphs"])
            return function(*arguments)

        return compiled

    monkeypatch.setattr(torch, "compile", choosy)
    double = Compiled(lambda x: 2 * x, compile_options(graphs=True, thorough=False))
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION, *SURE], set_priority=True):
        assert [double(torch.tensor(i)) for i in (1, 2)] == [2, 4]
    assert (chosen, double.failed) == ([False, False], False)
    assert caplog.text.count("trying again with the safest options") == 1


def test_the_compilers_options_can_be_changed(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "compile", lambda function, options, **_: asked.append(options))
    accelerator = Accelerator(CPU, "max")
    accelerator.options = {"freezing": True}
    accelerator.fast("network", lambda x: x)
    assert asked == [compile_options(graphs=False, thorough=True) | {"freezing": True}]


def test_a_device_is_asked_which_attentions_it_has():
    assert fastest_attention((1, 16, 2, 8), torch.float32, CPU) == (SDPBackend.FLASH_ATTENTION,)


def test_an_attention_that_is_wrong_is_left_out(monkeypatch, caplog):
    order = (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION)
    monkeypatch.setattr(acceleration, "FUSED", order)
    shape = (1, 18, 2, 8)
    assert set(fastest_attention(shape, torch.float32, CPU)) == set(order)
    fastest_attention.cache_clear()
    results = iter([torch.ones(2), torch.tensor([1.0, torch.nan])])
    monkeypatch.setattr(acceleration, "_attended", lambda *_: next(results))
    assert fastest_attention(shape, torch.float32, CPU) == (SDPBackend.MATH,)
    assert "FLASH_ATTENTION is wrong on this device" in caplog.text
    fastest_attention.cache_clear()


def test_graphs_are_for_few_views_in_the_main_thread():
    assert graphs_help(CUDA, GRAPHS_UP_TO)
    assert not graphs_help(CUDA, GRAPHS_UP_TO + 1)
    assert not graphs_help(CPU, 1)
    with ThreadPoolExecutor(1) as pool:
        assert not pool.submit(graphs_help, CUDA, 1).result()


def test_running_out_of_memory_is_no_failure_of_the_compiler(monkeypatch):
    def failing(function, **options):
        def compiled(*arguments):
            raise torch.OutOfMemoryError

        return compiled

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.raises(torch.OutOfMemoryError):
        Compiled(lambda x: x, compile_options(graphs=False, thorough=False))(torch.tensor(3))


def test_the_cpu_has_no_number():
    assert exact_device("cpu") == CPU
    assert exact_device("cuda:1") == torch.device("cuda", 1)


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("count", [1, 5])
def test_compiled_edits_on_the_gpu_are_the_eager_ones(folder, count):
    views = [make_view(str(i), i) for i in range(count)]
    edits = [
        make_editor(settings(folder, compile=c, dtype="float32"), "cuda").edit(views, INSTRUCTION)
        for c in ("never", "always")
    ]
    for eager, compiled in zip(*edits, strict=True):
        assert np.abs(eager - compiled).mean() < 1e-2


@pytest.mark.gpu
@gpu
@pytest.mark.parametrize(("tokens", "heads", "width"), [(4096, 8, 40), (6144, 8, 40), (64, 4, 32)])
def test_a_gpu_has_fused_attentions_that_agree(tokens, heads, width):
    order = fastest_attention((2, tokens, heads, width), torch.float16, exact_device("cuda"))
    assert order
    fused = torch.randn((2, tokens, 3, heads, width), device="cuda").half()
    parts = [part.transpose(1, 2) for part in fused.unbind(2)]
    attended = []
    for backend in (*order, SDPBackend.MATH):
        with sdpa_kernel([backend]):
            attended.append(torch.nn.functional.scaled_dot_product_attention(*parts))
    for one in attended[:-1]:
        torch.testing.assert_close(one, attended[-1], atol=5e-3, rtol=5e-2)


@pytest.mark.gpu
@gpu
def test_networks_in_half_precision_stay_compiled_on_the_gpu(folder):
    views = [make_view(str(i), i) for i in range(5)]
    changes = {"compile": "always", "dtype": "float16", "batch_size": 5}
    editor = make_editor(settings(folder, **changes), "cuda")
    assert all(np.isfinite(edited).all() for edited in editor.edit(views, INSTRUCTION))
    assert editor.describe_machine()["compiled"] == ["decoder", "encoder", "unet"]


@pytest.mark.gpu
@gpu
def test_the_batch_on_the_gpu_is_found_from_its_memory(folder):
    views = [make_view(str(i), i) for i in range(7)]
    editor = make_editor(settings(folder, batch_size=None, max_memory_gb=8), "cuda")
    changed = [dataclasses.replace(INSTRUCTION, noise_level=0.7 + i / 40) for i in range(7)]
    together = editor.edit(views, changed)
    assert editor.describe_machine()["batch_sizes"] == [7]
    assert 0 < editor.describe_machine()["peak_memory_bytes"] < 8 * 2**30
    for view, instruction, edited in zip(views, changed, together, strict=True):
        [alone] = editor.edit([view], instruction)
        assert np.abs(edited - alone).mean() < 1e-2
