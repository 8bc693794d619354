"""Editing a library module reruns the stages that use it, and no others."""

import pytest
from headstyle.provenance import library_digest


@pytest.fixture
def scripts(tmp_path):
    library = tmp_path / "headstyle"
    (library / "inner").mkdir(parents=True)
    (library / "__init__.py").write_text("")
    (library / "used.py").write_text("from headstyle.inner import deep\n")
    (library / "inner" / "__init__.py").write_text("from .sibling import x\n")
    (library / "inner" / "deep.py").write_text("y = 1\n")
    (library / "inner" / "sibling.py").write_text("x = 1\n")
    (library / "unused.py").write_text("z = 1\n")
    (tmp_path / "stage.py").write_text("def f():\n    from headstyle import used\n")
    return tmp_path


@pytest.mark.parametrize("module", ["used.py", "inner/deep.py", "inner/sibling.py"])
def test_editing_a_module_in_use_changes_the_digest(scripts, module):
    before = library_digest(scripts / "stage.py")
    (scripts / "headstyle" / module).write_text("x = 2\n")
    assert library_digest(scripts / "stage.py") != before


def test_editing_another_module_does_not(scripts):
    before = library_digest(scripts / "stage.py")
    (scripts / "headstyle" / "unused.py").write_text("z = 2\n")
    assert library_digest(scripts / "stage.py") == before
