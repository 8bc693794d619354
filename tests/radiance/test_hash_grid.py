"""Truths about the hash grid: its features and gradients, on the CPU and in Triton."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from headstyle.base.devices import has_triton
from headstyle.radiance import hash_grid_cpu, hash_grid_torch
from headstyle.radiance.hash_grid import HashGrid, level_cells
from headstyle.radiance.settings import GridSettings

ROOT = Path(__file__).parents[2]
# The first levels have places for all grid points, the last ones are hashed.
SETTINGS = GridSettings(levels=4, log2_entries=9, coarsest=2, finest=40)


def inputs(count=300):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand((count, 3), generator=generator)
    # Corners of the cube lie in the last cells.
    points[:2] = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
    table = torch.randn((4, 512, 2), generator=generator)
    cells = torch.tensor(level_cells(SETTINGS), dtype=torch.int32)
    return points, table, cells, torch.randn((count, 8), generator=generator)


def check_kernels(kernels):
    """Features and gradients are those of the plain reference."""
    points, table, cells, gradient = inputs()
    found, expected = torch.empty(300, 8), torch.empty(300, 8)
    kernels.encode(points, table, cells, found)
    hash_grid_torch.encode(points, table, cells, expected)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    found, expected = torch.zeros_like(table), torch.zeros_like(table)
    kernels.add_gradient(points, gradient, cells, found)
    hash_grid_torch.add_gradient(points, gradient, cells, expected)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def check_triton():
    from headstyle.radiance import hash_grid_triton

    check_kernels(hash_grid_triton)


def test_the_levels_grow_from_the_coarsest_to_the_finest():
    assert level_cells(GridSettings(4, 9, 2, 16)) == [2, 4, 8, 16]
    assert level_cells(GridSettings(1, 9, 5, 16)) == [5]


def test_features_at_grid_points_are_the_entries_and_between_them_their_means():
    grid = HashGrid(GridSettings(1, 9, 2, 2), torch.Generator().manual_seed(0))
    table = grid.table.detach()[0]
    points = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.25, 0, 0], [1, 1, 1]])
    found = grid(points)
    torch.testing.assert_close(found[0], table[0])
    torch.testing.assert_close(found[1], table[1])
    torch.testing.assert_close(found[2], table[3])
    torch.testing.assert_close(found[3], (table[0] + table[1]) / 2)
    torch.testing.assert_close(found[4], table[26])


def test_the_cpu_kernels_agree_with_the_plain_reference():
    check_kernels(hash_grid_cpu)


def test_the_gradient_is_the_numerical_one():
    grid = HashGrid(SETTINGS, torch.Generator().manual_seed(0))
    points, _, _, weights = inputs(40)

    def value():
        return (grid(points).double() * weights).sum()

    (gradient,) = torch.autograd.grad(value(), grid.table)
    places = [(0, 0, 0), (1, 7, 1), *((3, int(i), 0) for i in gradient[3, :, 0].nonzero()[:3])]
    with torch.no_grad():
        for place in places:
            # Features are linear in the table, so a large step is exact and rounds little.
            before = value()
            grid.table[place] += 1
            assert float(value() - before) == pytest.approx(float(gradient[place]), abs=1e-4)
            grid.table[place] -= 1


@pytest.mark.skipif(not has_triton(), reason="needs Triton")
def test_the_triton_kernels_agree_with_the_plain_reference():
    folders = (ROOT / "workflow_scripts", ROOT / "tests" / "support", Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", "import headstyle, test_hash_grid as t; t.check_triton()"],
        env={
            **os.environ,
            "TRITON_INTERPRET": "1",
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(not has_triton(), reason="needs Triton")
@pytest.mark.parametrize("name", ["_encode", "_add_gradient"])
def test_the_triton_kernels_compile_for_a_gpu(name):
    import triton
    from headstyle.radiance import hash_grid_triton
    from triton.backends.compiler import GPUTarget

    kernel = getattr(hash_grid_triton, name)
    constants = {"LEVELS": 4, "ENTRIES": 512, "SIZE": 256}
    kinds = {"all_cells": "*i32", "count": "i32"}
    signature = {
        key: "constexpr" if key in constants else kinds.get(key, "*fp32")
        for key in kernel.arg_names
    }
    source = triton.compiler.ASTSource(kernel, signature, constants)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"]
