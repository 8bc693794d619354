"""The workflow run from another folder: with `-s` and `-d`, as a module, and from GitHub."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from foreign_folder import sphere_rig
from headstyle.base.cameras import write_cameras
from headstyle.workflow.configuration import find_table
from snakemake_runs import add_cluster, add_hosted_clone, copy_repository, jobs, run_snakemake
from study import ROOT

pytestmark = pytest.mark.slow

SNAKEFILE = ROOT / "workflow" / "Snakefile"
# The module's rules under other names, with some settings of the user's own.
MODULE = """
module headstyle:
    snakefile: {snakefile}
    config: {{"results_dir": "out", "study": {{"subjects": ["A"]}}}}

use rule * from headstyle as headstyle_*

onstart:
    headstyle.onstart()
"""
REFERENCE = "results/reference/tables/thresholds.csv"


def write_calibrated_views(folder: Path) -> None:
    """What `camera_adjacency` reads of one subject."""
    rig = sphere_rig()
    write_cameras(folder / "views" / "cameras.json", rig)
    (folder / "capture").mkdir()
    cells = [f"{name}\t0\t{column}\n" for column, name in enumerate(rig.names)]
    (folder / "capture" / "rig.tsv").write_text("".join(["view\trow\tcolumn\n", *cells]))


def assert_adjacency_was_made(folder: Path) -> None:
    """Each camera of the row is beside the next one."""
    with (folder / "adjacency.csv").open() as file:
        rows = [list(map(int, row[1:])) for row in list(csv.reader(file))[1:]]
    assert rows == [[int(abs(a - b) == 1) for b in range(5)] for a in range(5)]


def make_adjacency(
    here: Path, results: str, *arguments: str | Path, rule: str, **environment
) -> None:
    """Make the adjacency from calibrated views, and the report that shows it."""
    write_calibrated_views(here / results / "A")
    target = f"{results}/A/adjacency.csv"
    for report in ([], ["--report", "report.html"]):
        run_snakemake(
            here, *arguments, target, "--cores", "1", *report, "--allowed-rules", rule,
            environment=environment or None,
        )  # fmt: skip
    assert_adjacency_was_made(here / results / "A")
    # The caption, which lies beside the workflow, with the workflow's settings in it.
    assert "with the nearest viewing directions, at most 60" in (here / "report.html").read_text()


def test_from_another_folder_the_workflows_own_tables_settings_and_scripts_are_found(tmp_path):
    make_adjacency(tmp_path, "results", "-s", SNAKEFILE, rule="camera_adjacency")
    assert not (tmp_path / "config").exists()


def test_what_lies_beside_the_workflow_is_an_input_too(tmp_path):
    here = tmp_path / "here"
    run_snakemake(tmp_path, "-s", SNAKEFILE, "-d", here, REFERENCE, "--cores", "1")
    # As published, for the avatars of the best quality.
    assert "\n4,lpips,0.0150" in (here / REFERENCE).read_text()


def test_a_table_in_the_working_directory_goes_before_the_workflows_own(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "subjects.tsv").write_text("subject\tsource\tseed\nZoe\tprocedural\t5\n")
    (tmp_path / "zoe.yaml").write_text("study: {subjects: [Zoe], prompts: [P1], strengths: [low]}")
    planned = run_snakemake(
        tmp_path, "-s", SNAKEFILE, "-n", "--cores", "1", "--configfile", "zoe.yaml"
    )
    assert "Photographing the procedural head Zoe" in planned
    assert "Photographing the procedural head A" not in planned


def test_a_table_is_looked_for_here_then_beside_the_workflow(tmp_path, monkeypatch):
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        (folder / "config").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert find_table("config/own.tsv", home) == "config/own.tsv"
    (home / "config" / "own.tsv").touch()
    assert find_table("config/own.tsv", home) == str(home / "config" / "own.tsv")
    (here / "config" / "own.tsv").touch()
    assert find_table("config/own.tsv", home) == "config/own.tsv"
    assert find_table("/nowhere/own.tsv", home) == "/nowhere/own.tsv"


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_both_snakefiles_plan_the_whole_study(snakefile, tmp_path):
    planned = run_snakemake(tmp_path, "-s", ROOT / snakefile, "-n", "--cores", "1")
    assert jobs(planned)["stylize_avatar"] == 64


def test_a_cluster_without_a_number_of_cores_is_planned(tmp_path):
    cluster = add_cluster(tmp_path)
    planned = run_snakemake(
        tmp_path, "-s", SNAKEFILE, "-n", *cluster, environment={"PYTHONPATH": tmp_path}
    )
    assert jobs(planned)["stylize_avatar"] == 64


def test_a_module_plans_and_makes_with_the_settings_that_it_is_given(tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=repr(str(SNAKEFILE))))
    planned = run_snakemake(tmp_path, "-n", "--cores", "1")
    assert jobs(planned)["headstyle_stylize_avatar"] == 16
    assert "Photographing the procedural head B" not in planned
    make_adjacency(tmp_path, "out", rule="headstyle_camera_adjacency")


def test_a_modules_start_claims_the_results_and_plans_the_avatars(tmp_path):
    (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=repr(str(SNAKEFILE))))
    # The claim is the file; the first job fails, as its log cannot be written.
    (tmp_path / "out" / "logs").mkdir(parents=True)
    (tmp_path / "out" / "logs" / "A").touch()
    run_snakemake(tmp_path, "--cores", "1", "--until", "headstyle_stylize_avatar", succeeds=False)
    assert (tmp_path / "out" / ".lock").exists()
    orders = json.loads((tmp_path / "out" / ".stylization.json").read_text())
    assert len(orders) == 16


def test_a_module_comes_from_github_without_a_clone_of_the_users_own(tmp_path):
    copy_repository(tmp_path / "source")
    cache = tmp_path / "cache"
    add_hosted_clone(tmp_path / "source", "someone/headstyle", "v1", cache)
    shutil.rmtree(tmp_path / "source")
    hosted = 'github("someone/headstyle", path="workflow/Snakefile", tag="v1")'
    here = tmp_path / "here"
    here.mkdir()
    (here / "Snakefile").write_text(MODULE.format(snakefile=hosted))
    make_adjacency(here, "out", rule="headstyle_camera_adjacency", XDG_CACHE_HOME=cache)
