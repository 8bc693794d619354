"""Truths about how the CPU kernels are compiled and kept."""

import numba
import numpy as np
from headstyle import compiled


def test_every_module_with_kernels_names_the_folder_that_keeps_them():
    library = compiled.Path(compiled.__file__).parent
    users = {
        path.relative_to(library).as_posix()
        for path in library.rglob("*.py")
        if path.name != "compiled.py"
        and any(word in path.read_text() for word in ("headstyle.compiled import", "llvmlite"))
    }
    assert users == set(compiled.SOURCES)


def test_a_changed_source_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    for name in compiled.SOURCES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("pass\n")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    before = compiled.cache_folder.__wrapped__()
    (tmp_path / "lanes.py").write_text("pass  # changed\n")
    assert compiled.cache_folder.__wrapped__() != before


def test_kernels_are_kept_there_and_nothing_else_is():
    @compiled.kernel
    def double(values):
        return values * 2

    assert double(np.ones(1))[0] == 2
    assert str(compiled.cache_folder()) in double.stats.cache_path
    assert str(compiled.cache_folder()) != numba.config.CACHE_DIR
