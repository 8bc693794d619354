"""Truths about the editor that the user brings."""

import hashlib

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.editing.registry import check_editing, editor_note, make_editor
from pix2pix_samples import INSTRUCTION, make_view

SOURCE = """
import numpy as np

class Dimmer:
    license = "CC0-1.0"

    def __init__(self, settings, device):
        self.share = settings["share"]

    def edit(self, views, instructions):
        return [np.clip(view.photograph * self.share, 0, 1) for view in views]

class Shrinker(Dimmer):
    def edit(self, views, instructions):
        return [view.photograph[1:] for view in views]

class Lazy(Dimmer):
    def edit(self, views, instructions):
        return []

class Idle:
    def __init__(self, settings, device):
        pass
"""
VIEWS = [make_view("a", 0), make_view("wide", 1, height=24, width=32)]


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    (tmp_path / "brought_by_a_user.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "brought_by_a_user.py"


def editing(name, **settings):
    entry = name if name is None or ":" in name else f"brought_by_a_user:{name}"
    custom = {"entry": entry, "settings": settings}
    return {"editor": "custom", "custom": custom, "noise_level": [0.7, 0.98]}


def test_a_class_of_the_user_edits_and_the_alpha_is_restored():
    edited = make_editor(editing("Dimmer", share=0.5), "cpu").edit(VIEWS, INSTRUCTION)
    for view, image in zip(VIEWS, edited, strict=True):
        np.testing.assert_allclose(image[..., :3], 0.5 * view.photograph[..., :3])
        np.testing.assert_array_equal(image[..., 3], view.photograph[..., 3])


def test_its_source_settings_and_license_are_recorded(package):
    about = make_editor(editing("Dimmer", share=0.5), "cpu").describe()
    assert about["settings"] == {"share": 0.5}
    assert about["license"] == "CC0-1.0"
    assert about["source_sha256"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert "brought_by_a_user:Dimmer, which is no part" in editor_note(editing("Dimmer"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Shrinker", r"Shrinker gave an image of shape \(31, 24, 4\) for the view a, which has"),
        ("Lazy", "Lazy gave 0 images for 2 views"),
        ("Idle", "Idle has no method edit"),
        ("Missing", "Missing cannot be made .AttributeError"),
    ],
)
def test_a_class_that_does_not_fit_is_told(name, told):
    with pytest.raises(InputError, match=told):
        make_editor(editing(name, share=0.5), "cpu").edit(VIEWS, INSTRUCTION)


@pytest.mark.parametrize(
    ("name", "told"),
    [(None, r"custom\.entry is null"), ("nowhere_at_all:Editor", "no package nowhere_at_all")],
)
def test_a_missing_class_is_told_before_any_job(name, told):
    check_editing(editing("Dimmer"), ["P1"])
    with pytest.raises(InputError, match=told):
        check_editing(editing(name), ["P1"])
