"""The command `headstyle`."""

import subprocess
import sys

import pytest
import torch
from headstyle.commands.main import main
from headstyle.rendering.splat_files import read_splats
from headstyle.rendering.splats import write_ply
from splat_reference import make_scene
from study import ROOT


def test_export_writes_and_says_where(tmp_path, capsys):
    write_ply(tmp_path / "a.ply", torch.nn.ParameterDict(make_scene(20, 1)))
    assert main(["export", str(tmp_path / "a.ply"), "spz"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a.spz")
    assert len(read_splats(tmp_path / "a.spz")["means"]) == 20


def test_bad_input_ends_in_one_sentence_and_status_1(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none"), "spz"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("Error: ")
    assert told.err.count("\n") == 1
    assert not told.out


def test_the_help_names_every_format(capsys):
    with pytest.raises(SystemExit) as end:
        main(["export", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "nerfstudio" in shown
    assert "depth as EXR, float32" in shown


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "headstyle", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("headstyle ")
