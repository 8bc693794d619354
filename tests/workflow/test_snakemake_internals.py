"""The installed Snakemake still has every internal that `snakemake_internals` asks for.

Where one of these fails after an update of Snakemake, adapt that one module.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from headstyle.avatars.files import read_plan
from headstyle.workflow.snakemake_internals import (
    PlannedJob,
    SnakemakeChangedError,
    available_cores,
    planned_jobs,
    planned_logs,
    source_folder,
)
from headstyle.workflow.stylization_plan import PARAMS, write_plan
from snakemake_runs import add_cluster, add_hosted_clone, run_snakemake
from study import ROOT

RULES = """
import json
from pathlib import Path
from headstyle.workflow.snakemake_internals import (
    available_cores, is_asked_for, planned_jobs, planned_logs, source_folder
)

FOLDER, CORES = source_folder(workflow), available_cores(workflow)
Path("parsed.json").write_text(json.dumps([str(FOLDER), CORES]))


rule greet:
    output:
        text="out/{name}.txt",
        note="out/{name}.note",
    log:
        "logs/{name}.log",
    params:
        greeting=lambda wildcards: {"to": wildcards.name},
    shell:
        "touch {output}"


rule all:
    default_target: True
    input:
        expand("out/{name}.txt", name=["Ada", "Bo", "Cy"]),


onstart:
    jobs = [[job.wildcards, job.params, job.outputs] for job in planned_jobs(workflow, rules.greet)]
    Path("planned.json").write_text(json.dumps(jobs, default=dict))
    asked = [target for target in ("all", "greet") if is_asked_for(workflow, target)]
    Path("asked.json").write_text(json.dumps(asked))
    Path("logs.json").write_text(json.dumps(planned_logs(workflow)))
"""
MODULE = """
module polite:
    snakefile: {snakefile}

use rule * from polite as polite_*

onstart:
    polite.onstart()
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A working directory that is not the workflow's folder."""
    (tmp_path / "elsewhere" / "rules").mkdir(parents=True)
    (tmp_path / "elsewhere" / "rules" / "greet.smk").write_text(RULES)
    (tmp_path / "elsewhere" / "Snakefile").write_text('include: "rules/greet.smk"\n')
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def snakemake(folder: Path, snakefile: str | Path, *arguments: str) -> None:
    paths = f"{ROOT / 'workflow_scripts'}:{folder}"
    run_snakemake(
        folder, "all", "--snakefile", snakefile, *arguments, environment={"PYTHONPATH": paths}
    )


def parsed(folder: Path) -> list:
    return json.loads((folder / "parsed.json").read_text())


def test_the_jobs_that_a_run_executes_are_planned_with_all_that_they_are_given(folder):
    (folder / "out").mkdir()
    for name in ("Bo.txt", "Bo.note"):
        (folder / "out" / name).touch()
    snakemake(folder, "../elsewhere/Snakefile", "--cores", "1", "--rerun-triggers", "mtime")
    assert sorted(json.loads((folder / "planned.json").read_text()), key=str) == [
        [
            {"name": name},
            {"greeting": {"to": name}},
            {"text": f"out/{name}.txt", "note": f"out/{name}.note"},
        ]
        for name in ("Ada", "Cy")
    ]
    # The rule `all` does nothing itself.
    logs = [["greet", f"logs/{name}.log"] for name in ("Ada", "Cy")]
    assert sorted(json.loads((folder / "logs.json").read_text())) == logs
    assert json.loads((folder / "asked.json").read_text()) == ["all"]


def test_they_are_found_where_a_module_was_given_other_names(folder):
    (folder / "Snakefile").write_text(MODULE.format(snakefile='"../elsewhere/Snakefile"'))
    run_snakemake(
        folder, "--cores", "1", "polite_all", environment={"PYTHONPATH": ROOT / "workflow_scripts"}
    )
    assert len(json.loads((folder / "planned.json").read_text())) == 3


def test_the_folder_is_that_of_the_file_with_rules_not_of_the_workflow_that_runs(folder):
    rules = folder.parent / "elsewhere" / "rules"
    (folder / "Snakefile").write_text(
        MODULE.format(snakefile=repr(str(rules.parent / "Snakefile")))
    )
    run_snakemake(folder, "-n", "polite_all", environment={"PYTHONPATH": ROOT / "workflow_scripts"})
    assert Path(parsed(folder)[0]) == rules


def test_the_cores_are_those_of_the_command_line_and_one_where_a_cluster_gives_none(folder):
    snakemake(folder, "../elsewhere/Snakefile", "-n", "--cores", "3")
    assert parsed(folder)[1] == 3
    snakemake(folder, "../elsewhere/Snakefile", "-n", *add_cluster(folder))
    assert parsed(folder)[1] == 1


def test_a_hosted_repository_is_unpacked_as_its_tag_has_it(folder):
    cache = folder / "cache"
    add_hosted_clone(folder.parent / "elsewhere", "someone/polite", "v1", cache)
    hosted = 'github("someone/polite", path="Snakefile", tag="v1")'
    (folder / "Snakefile").write_text(MODULE.format(snakefile=hosted))
    environment = {"PYTHONPATH": ROOT / "workflow_scripts", "XDG_CACHE_HOME": cache}
    run_snakemake(folder, "-n", "polite_all", environment=environment)
    found = Path(parsed(folder)[0])
    assert found.name == "rules"
    assert found.is_relative_to(cache)
    assert (found / "greet.smk").read_text() == RULES


def test_a_snakemake_without_an_internal_is_told_with_its_version_and_the_module_to_adapt():
    for ask in (
        lambda: available_cores(SimpleNamespace()),
        lambda: planned_jobs(SimpleNamespace(dag=SimpleNamespace()), SimpleNamespace()),
        lambda: planned_logs(SimpleNamespace(dag=SimpleNamespace())),
        lambda: source_folder(SimpleNamespace()),
    ):
        with pytest.raises(SnakemakeChangedError, match=r"Snakemake \d.*snakemake_internals\.py"):
            ask()


def test_an_address_that_is_no_repository_is_refused_with_what_works():
    from snakemake.sourcecache import GenericSourceFile

    workflow = SimpleNamespace(
        current_basedir=GenericSourceFile("https://example.org/rules"),
        sourcecache=SimpleNamespace(cache_path="cache"),
    )
    with pytest.raises(ValueError, match=r"example\.org/rules: .* clone it"):
        source_folder(workflow)


def test_the_plan_of_avatars_is_read_back_in_the_studys_order_and_goes_without_jobs(tmp_path):
    def job(subject: str, prompt: str) -> PlannedJob:
        return PlannedJob(
            {"subject": subject, "prompt": prompt, "strength": "low"},
            {**dict.fromkeys(PARAMS, 1), "plan": "not written"},
            {"run": f"results/{subject}/avatars/{prompt}_low/run.json"},
        )

    plan = tmp_path / "plan.json"
    jobs = [job("A", "P2"), job("B", "P1"), job("A", "P1")]
    write_plan(plan, jobs, avatars=["P1_low", "P2_low"])
    orders, _ = read_plan(plan, "A")
    assert [order.name for order in orders] == ["P1_low", "P2_low"]
    assert orders[0].folder == Path("results/A/avatars/P1_low")
    assert orders[0].params == dict.fromkeys(PARAMS, 1)
    write_plan(plan, [], avatars=[])
    assert not plan.exists()
