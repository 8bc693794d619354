"""Editing a library module reruns the stages that use it, and no others."""

import json

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


def test_what_was_read_before_is_not_read_again(scripts, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = library_digest(scripts / "stage.py")
    with monkeypatch.context() as patch:
        patch.setattr("ast.parse", lambda text: pytest.fail(f"read again: {text!r}"))
        assert library_digest(scripts / "stage.py") == before
    # The same bytes mean another module where they lie in another package.
    (scripts / "headstyle" / "unused.py").write_text("from .sibling import x\n")
    (scripts / "headstyle" / "used.py").write_text("from headstyle import unused\n")
    (scripts / "headstyle" / "sibling.py").write_text("x = 3\n")
    with_sibling = library_digest(scripts / "stage.py")
    (scripts / "headstyle" / "sibling.py").write_text("x = 4\n")
    assert library_digest(scripts / "stage.py") != with_sibling


@pytest.mark.parametrize("damaged", ["", "[1]", "{", '{"KEY": 1}', '{"KEY": [1, [2], 3, 4]}'])
def test_damage_to_what_is_kept_changes_no_digest(scripts, tmp_path, monkeypatch, damaged):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = library_digest(scripts / "stage.py")
    [kept] = (tmp_path / "cache" / "headstyle").iterdir()
    key = next(iter(json.loads(kept.read_text())))
    kept.write_text(damaged.replace("KEY", key))
    assert library_digest(scripts / "stage.py") == before


def test_without_a_folder_to_keep_it_in_the_digest_is_the_same(scripts, tmp_path, monkeypatch):
    before = library_digest(scripts / "stage.py")
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert library_digest(scripts / "stage.py") == before
