"""The frozen benchmark: its checksums tell its own pictures from others."""

import json
import shutil

import pytest
from headstyle.base.errors import InputError, given_by
from headstyle.base.images import read_rgba, write_image
from headstyle.base.tables.rows import read_rows
from headstyle.commands.main import main
from headstyle.leaderboard import benchmark
from study import ROOT

RIG = {
    **{"long_side_px": 48, "grid_rows": 1, "grid_columns": 2, "line_views": 0},
    **{"focal_length_mm": 22, "sensor_long_side_mm": 22.3},
    **{"samples_per_side": 1, "jpeg_quality": 95},
}
TINY = {
    "version": 1,
    "subjects": {"A": {"seed": 1, "pronoun": "him"}},
    "prompts": {"P3": {"name": "stone statue", "text": "Turn to stone", "operator": "stone"}},
    "splits": {"development": ["A"], "test": []},
    "rig": RIG,
    "coarseness": 4.0,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "made"
    benchmark.make(TINY, folder)
    return folder


def test_what_was_made_again_is_the_same_and_a_changed_picture_is_told(made, tmp_path):
    manifest = benchmark.frozen(TINY, made)
    assert benchmark.check(manifest, made).same == ("A/photographs", "A/P3")
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    path = next((copy / "A" / "true_edits" / "P3").glob("*.png"))
    image = read_rgba(path)
    rounded, spotted = image.copy(), image.copy()
    rounded[24, 16, 0] += 1 / 255
    write_image(path, rounded)
    found = benchmark.check(manifest, copy)
    assert (found.same, found.near) == (("A/photographs",), ("A/P3",))
    spotted[24, 16] = (1, 0, 0, 1)
    write_image(path, spotted)
    assert benchmark.check(manifest, copy).different == ("A/P3",)
    path.unlink()
    with pytest.raises(InputError, match=path.name):
        benchmark.check(manifest, copy)


def test_a_changed_definition_is_told(made, tmp_path):
    manifest = benchmark.frozen(TINY, made)
    manifest["definition"]["splits"] = {"development": [], "test": ["A"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="another definition than the one that was frozen"):
        benchmark.read_manifest(tmp_path / "manifest.json")


def test_the_shipped_manifest_is_of_the_studys_heads_prompts_and_captions():
    manifest = benchmark.read_manifest()
    definition = manifest["definition"]
    origin = given_by("the test")
    subjects = {row["subject"]: row for row in read_rows(ROOT / "config/subjects.tsv", origin)}
    prompts = {row["prompt"]: row for row in read_rows(ROOT / "config/prompts.tsv", origin)}
    assert {s: str(row["seed"]) for s, row in definition["subjects"].items()} == {
        s: row["seed"] for s, row in subjects.items()
    }
    for name, row in definition["prompts"].items():
        assert row == {key: prompts[name][key] for key in row}
    assert len(definition["prompts"]) == 8
    halves = [benchmark.split_of(definition, split) for split in ("development", "test")]
    assert sorted([*halves[0], *halves[1]]) == sorted(subjects)
    assert len(manifest["checksums"]) == len(subjects) * 9


def test_a_set_made_on_this_machine_is_that_of_the_manifest(tmp_path):
    manifest = benchmark.read_manifest()
    definition = manifest["definition"]
    one = {
        **definition,
        "subjects": {"A": definition["subjects"]["A"]},
        "prompts": {},
    }
    benchmark.make(one, tmp_path / "made")
    part = {**manifest, "definition": one}
    part["checksums"] = {"A/photographs": manifest["checksums"]["A/photographs"]}
    assert benchmark.check(part, tmp_path / "made").different == ()


def test_the_command_says_what_it_checked(made, monkeypatch, capsys):
    manifest = benchmark.frozen(TINY, made)
    monkeypatch.setattr(benchmark, "read_manifest", lambda: manifest)
    assert main(["benchmark", str(made)]) == 0
    assert "2 sets of pictures are equal in every bit" in capsys.readouterr().out
    manifest["checksums"]["A/P3"] = {"sha256": "0", "mean": [0, 0, 0, 0]}
    assert main(["benchmark", str(made)]) == 1
    assert "1 are others: A/P3" in capsys.readouterr().out
