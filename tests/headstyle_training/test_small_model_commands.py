"""Truths about the command line of the small models: its options are the settings."""

import ast
from dataclasses import fields
from pathlib import Path

import headstyle_training
import headstyle_training.matting.train
import headstyle_training.train_all
import pytest
from headstyle.base.errors import InputError
from headstyle_training.command_line import SETTINGS, field_docs, main, parser

ROOMS = {
    "pictures": set(),
    "heads": {"pictures"},
    "loop": set(),
    "matting": {"pictures", "heads", "loop"},
    "perceptual": {"pictures", "heads", "loop"},
    "editor": {"pictures", "heads", "loop"},
}
"""Rooms of the package, with those that each may import."""


@pytest.mark.parametrize("model", SETTINGS)
def test_every_setting_of_a_training_is_an_option_with_its_default(model):
    options = vars(parser().parse_args([model, "--out", "folder", "--device", "cpu"]))
    kind = SETTINGS[model]
    found = {field.name: options[field.name] for field in fields(kind)}
    assert kind(**found) == kind(workers=options["workers"])
    assert set(options) - set(found) == {"run", "model", "out", "checkpoint", "date"}


@pytest.mark.parametrize("name", ["minutes", "averaging", "heads", "seed", "checkpoint_every_s"])
def test_the_help_says_what_a_setting_means(name):
    for kind in SETTINGS.values():
        assert field_docs(kind)[name].endswith(".")


def test_a_settings_own_text_replaces_the_one_it_inherits():
    assert "autoencoder and the denoiser" in field_docs(SETTINGS["editor"])["minutes"]
    assert "autoencoder" not in field_docs(SETTINGS["matting"])["minutes"]


def test_options_reach_the_training(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        headstyle_training.matting.train, "train_matting", lambda *given: calls.append(given)
    )
    words = "--iterations 3 --batch 2 --learning-rate 0.1 --replay --seed 7 --date today"
    main(["matting", "--out", str(tmp_path / "new"), *words.split()])
    [(settings, out, date, checkpoint)] = calls
    assert (settings.iterations, settings.batch, settings.learning_rate) == (3, 2, 0.1)
    assert (settings.replay, settings.seed) == (True, 7)
    assert (out, date, checkpoint) == (tmp_path / "new", "today", None)
    assert out.is_dir()


def test_several_widths_are_a_tuple():
    options = parser().parse_args(["editor", "--out", "folder", "--widths", "32", "48"])
    assert options.widths == (32, 48)


def test_all_models_share_heads_seed_and_device(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(headstyle_training.train_all, "train_all", lambda *a: calls.append(a))
    main(["all", "--out", str(tmp_path), "--heads", "5", "--seed", "2", "--only", "matting"])
    [(settings, out, _, only)] = calls
    for one in (settings.editor, settings.matting, settings.perceptual):
        assert (one.heads, one.seed, one.device) == (5, 2, settings.editor.device)
    assert (out, only) == (tmp_path, ("matting",))


def test_bad_input_ends_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="judge that an editor's scores need"):
        main(["evaluate", "editor", str(tmp_path)])

    def fail(*_):
        raise InputError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(headstyle_training.matting.train, "train_matting", fail)
        with pytest.raises(SystemExit, match="headstyle_training: no"):
            main(["matting", "--out", str(tmp_path)])


def test_no_room_imports_a_later_one():
    folder = Path(headstyle_training.__file__).parent
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(ROOMS)
    for room, allowed in ROOMS.items():
        for path in (folder / room).glob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text()))
            names = [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)]
            inside = {n.split(".")[1] for n in names if n.startswith("headstyle_training.")}
            assert inside <= allowed | {room}, path
