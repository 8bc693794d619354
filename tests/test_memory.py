"""Truths about how many views are edited together."""

import pytest
from headstyle.editing.memory import DeviceMemory, even_batch, fitting_batch

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
