"""Truths about how many views are edited together."""

import numpy as np
import pytest
import torch
from headstyle.editing.memory import DeviceMemory, even_batch, fitting_batch, sent, sent_together

MB = 10**6


def linear(shared, each):
    return lambda count: shared + each * count


@pytest.mark.parametrize(
    ("free", "expected"), [(10_000, 37), (2_000, 12), (500, 2), (120, 1), (0, 1)]
)
def test_as_many_views_are_edited_as_fit_into_the_free_memory(free, expected):
    needed = linear(100 * MB, 125 * MB)
    found = fitting_batch(needed, free * MB, most=37)
    assert found == expected
    assert found == 1 or needed(found) <= 0.86 * free * MB


def test_views_that_need_nothing_are_all_edited_together():
    assert fitting_batch(linear(5, 0), 10 * MB, most=8) == 8


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(37, 9, 8), (37, 40, 37), (148, 40, 37), (3, 9, 3), (10, 9, 5)]
)
def test_batches_are_even(count, most, expected):
    assert even_batch(count, most) == expected


def test_the_cpus_memory_is_neither_measured_nor_limited():
    memory = DeviceMemory("cpu", max_gb=8)
    assert memory.free_bytes() is None
    assert memory.peak_bytes() is None
    memory.release()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_arrays_are_sent_together_as_they_are(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images = np.random.default_rng(0).random((3, 4, 5, 4), dtype=np.float32)
    # A part of an image is no whole piece of memory.
    for part in (slice(None), slice(3, None)):
        together = sent_together([image[..., part] for image in images], device)
        np.testing.assert_array_equal(together.cpu().numpy(), images[..., part])
        assert together.is_contiguous()
    assert sent(torch.arange(3), device).tolist() == [0, 1, 2]
