"""A prompt may start from the avatar of another one: what is planned, and what is refused."""

import json
import re

import numpy as np
import pytest
from ball_avatars import ball_subject, control_editing, order
from headstyle.avatars.files import AvatarFolder
from headstyle.avatars.job import read_subject
from headstyle.avatars.runs import AvatarRun, make_together
from headstyle.avatars.settings import check_chains
from headstyle.base.adjacency import write_adjacency
from headstyle.base.cameras import write_cameras
from headstyle.base.errors import InputError
from headstyle.base.files import read_json
from headstyle.base.images import read_rgba
from headstyle.editing.editors.control import ControlEditor
from snakemake_runs import jobs
from study import Study
from tiny_study import TINIEST


def table(**after):
    return {
        prompt: {"prompt": prompt, "text": "x", "after": name} for prompt, name in after.items()
    }


def test_a_chain_needs_all_its_prompts_and_must_not_be_a_circle():
    check_chains(table(a="", b="a", c="b"), ["a", "b", "c"], "prompts.tsv")
    with pytest.raises(
        InputError, match=r"prompt b: the column after names 'a', which study\.prompts"
    ):
        check_chains(table(a="", b="a"), ["b"], "prompts.tsv")
    with pytest.raises(InputError, match="a after b after a is a circle"):
        check_chains(table(a="b", b="a"), ["a", "b"], "prompts.tsv")


def test_an_avatar_of_an_avatar_waits_for_it_and_is_made_by_its_own_job(tmp_path):
    study = Study.with_demo_settings(tmp_path, TINIEST)
    study.settings["study"]["prompts"] = ["first", "second"]
    study.settings["prompts_table"] = "mine.tsv"
    study.settings["editing"] = {"editor": "control"}
    operations = {"first": "recolor", "second": "painterly"}
    study.settings["editing"]["control"] = {"operations": operations}
    study.write_settings()
    rows = ["prompt\ttext\tafter", "first\tRed hair\t", "second\tA painting\tfirst"]
    (tmp_path / "mine.tsv").write_text("\n".join(rows) + "\n")
    target = "results/A/avatars/second_low/splats.ply"
    assert jobs(study.snakemake("--dry-run", target))["stylize_avatar"] == 2
    graph = study.snakemake(target, "--dag")
    number = {
        prompt: re.search(rf"(\d+)\[.*stylize_avatar.*prompt: {prompt}", graph)[1]
        for prompt in ("first", "second")
    }
    assert f"{number['first']} -> {number['second']}" in graph


def test_its_photographs_and_its_start_are_the_earlier_avatar(tmp_path):
    subject = ball_subject()
    first = make(order(tmp_path / "first", editing=control_editing("recolor")), subject)
    write_cameras(tmp_path / "cameras.json", subject.cameras)
    neighbors = np.array([[j in near for j in range(4)] for near in subject.neighbors])
    write_adjacency(tmp_path / "adjacency.csv", subject.cameras.names, neighbors)
    later = read_subject(
        *(tmp_path / "cameras.json", first / "splats.ply", tmp_path / "adjacency.csv"),
        "cpu",
        first / "renders",
    )
    assert (later.photographs["a"] == read_rgba(first / "renders" / "a.png")).all()
    made = order(tmp_path / "second", editing=control_editing("identity"))
    made.params["after"] = "P4"
    second = make(made, later)
    assert read_json(second / "run.json")["after"] == "P4"
    assert "after" not in json.loads((first / "run.json").read_text())
    edit = read_rgba(second / "edits" / "cycle0" / "a.png")
    assert abs(edit - read_rgba(first / "renders" / "a.png"))[..., :3].mean() < 0.05


def make(made, subject):
    operation = made.params["editing"]["control"]["operations"]["P4"]
    files = AvatarFolder(made.folder, made.task("inputs"))
    assert make_together([AvatarRun(made, subject, ControlEditor({"P4": operation}), files)]) == {}
    return files.finished
