"""Editing a library module reruns the stages that use it, and no others."""

import pytest
from headstyle.workflow.provenance import library_digest


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


def test_a_changed_constant_changes_the_digest(scripts):
    before = library_digest(scripts / "stage.py")
    (scripts / "headstyle" / "inner" / "deep.py").write_text("y = 1.5\n")
    assert library_digest(scripts / "stage.py") != before


def test_comments_and_docstrings_do_not(scripts):
    before = library_digest(scripts / "stage.py")
    (scripts / "headstyle" / "inner" / "deep.py").write_text(
        '"""Deep."""\n\ny = 1  # one\n"""y"""\n'
    )
    assert library_digest(scripts / "stage.py") == before


def test_another_default_of_a_setting_changes_the_digest_and_another_meaning_does_not(scripts):
    deep = scripts / "headstyle" / "inner" / "deep.py"
    declared = 'SETTINGS = (Setting("deep.y", {}, {{}}, meaning="{}"),)\n'
    deep.write_text(declared.format(1, "One."))
    before = library_digest(scripts / "stage.py")
    deep.write_text(declared.format(1, "The same, said better."))
    assert library_digest(scripts / "stage.py") == before
    deep.write_text(declared.format(2, "One."))
    assert library_digest(scripts / "stage.py") != before


def test_what_only_type_checkers_import_does_not(scripts):
    deep = scripts / "headstyle" / "inner" / "deep.py"
    deep.write_text("from typing import TYPE_CHECKING\ny = 1\n")
    before = library_digest(scripts / "stage.py")
    deep.write_text(
        "from typing import TYPE_CHECKING\ny = 1\n"
        "if TYPE_CHECKING:\n    from headstyle.unused import z\n"
    )
    assert library_digest(scripts / "stage.py") == before


def test_moving_a_module_does_not(scripts):
    before = library_digest(scripts / "stage.py")
    library = scripts / "headstyle"
    (library / "room").mkdir()
    (library / "room" / "__init__.py").write_text('"""A room."""\n')
    (library / "inner" / "deep.py").rename(library / "room" / "deep.py")
    (library / "used.py").write_text("from headstyle.room import deep\n")
    (library / "room" / "__init__.py").write_text("from headstyle.inner.sibling import x\n")
    (library / "inner" / "__init__.py").write_text("")
    assert library_digest(scripts / "stage.py") == before


def test_taking_a_name_from_another_module_changes_the_digest(scripts):
    used = scripts / "headstyle" / "used.py"
    (scripts / "headstyle" / "other.py").write_text("y = 2\n")
    used.write_text("from headstyle.inner.deep import y\nimport headstyle.other\n")
    before = library_digest(scripts / "stage.py")
    used.write_text("from headstyle.other import y\nimport headstyle.inner.deep\n")
    assert library_digest(scripts / "stage.py") != before


def test_a_second_package_beside_the_script_is_followed(scripts):
    (scripts / "second").mkdir()
    (scripts / "second" / "__init__.py").write_text("")
    (scripts / "second" / "part.py").write_text("a = 1\n")
    (scripts / "stage.py").write_text("from second.part import a\n")
    before = library_digest(scripts / "stage.py")
    (scripts / "second" / "part.py").write_text("a = 2\n")
    assert library_digest(scripts / "stage.py") != before


def test_a_name_taken_through_a_door_is_followed_and_others_are_not(scripts):
    room = scripts / "headstyle" / "room"
    room.mkdir()
    (room / "__init__.py").write_text(
        "import lazy_loader\n__getattr__, __dir__, __all__ = lazy_loader.attach(\n"
        '    __name__, submod_attrs={"first": ["one"], "second": ["two"]}\n)\n'
    )
    (room / "first.py").write_text("one = 1\n")
    (room / "second.py").write_text("two = 2\n")
    (scripts / "stage.py").write_text("from headstyle.room import one\n")
    before = library_digest(scripts / "stage.py")
    (room / "second.py").write_text("two = 3\n")
    assert library_digest(scripts / "stage.py") == before
    (room / "first.py").write_text("one = 3\n")
    assert library_digest(scripts / "stage.py") != before
