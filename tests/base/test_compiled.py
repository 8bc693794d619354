"""Truths about how the CPU kernels are compiled and kept."""

import importlib

import numba
import numpy as np
import pytest
from ball import make_ball, settings
from headstyle.base import compiled
from headstyle.capture.head import synthesize_head
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import splats_from_points
from headstyle.training.trainer import SplatTrainer
from headstyle.workflow.compile_kernels import compile_capture, compile_training
from numba.core.dispatcher import Dispatcher
from own_process import in_own_process


def test_every_module_with_kernels_names_the_folder_that_keeps_them():
    library = compiled.Path(compiled.__file__).parents[1]
    users = {
        path.relative_to(library).as_posix()
        for path in library.rglob("*.py")
        if path.name != "compiled.py"
        and any(word in path.read_text() for word in ("headstyle.base.compiled import", "llvmlite"))
    }
    assert users == set(compiled.SOURCES)


@pytest.mark.parametrize(
    "changed", ["rendering/cpu/lanes.py", "base/compiled.py", "losses/ssim_window.py"]
)
def test_a_changed_source_gets_a_folder_of_its_own(tmp_path, monkeypatch, changed):
    for name in compiled.INGREDIENTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("pass\n")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "base" / "compiled.py"))
    before = compiled.cache_folder.__wrapped__()
    (tmp_path / changed).write_text("pass  # changed\n")
    assert compiled.cache_folder.__wrapped__() != before


def test_kernels_are_kept_there_and_nothing_else_is():
    @compiled.kernel
    def double(values):
        return values * 2

    assert double(np.ones(1))[0] == 2
    assert str(compiled.cache_folder()) in double.stats.cache_path
    assert str(compiled.cache_folder()) != numba.config.CACHE_DIR


def specializations():
    """In how many forms each kernel of the library was compiled or loaded."""
    modules = [name.removesuffix(".py").replace("/", ".") for name in compiled.SOURCES]
    return {
        (module, name): len(value.signatures)
        for module in modules
        for name, value in vars(importlib.import_module(f"headstyle.{module}")).items()
        if isinstance(value, Dispatcher)
    }


def compile_and_then_work():
    """What compiling loads, and what a head and a training load."""
    compile_capture()
    compile_training()
    before = specializations()
    synthesize_head(2, 12.0)
    cameras, targets, points, colors = make_ball()
    splats = splats_from_points(points, colors, 1, 0)
    trainer = SplatTrainer(splats, cameras, targets, settings(exposure_rate=1e-3), 0)
    for views in ([0], [0, 1]):
        trainer.step(views)
    list(render_views(trainer.splats, cameras))
    return before, specializations()


def test_compiling_beforehand_leaves_nothing_to_compile():
    before, after = in_own_process(compile_and_then_work)
    assert sum(before.values()) > 10
    assert before == after
