"""A study planned part by part has the jobs of one plan, and its tables are made by the rest."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from headstyle.base.errors import InputError
from headstyle.commands.run import words_of_part
from headstyle.workflow.planning.parts import subjects_of_part
from snakemake_runs import jobs, run_snakemake
from study import ROOT, Study

NAMES = [f"S{number}" for number in range(7)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_each_subject_is_in_one_part(count):
    parts = [subjects_of_part(NAMES, f"{number}/{count}") for number in range(1, count + 1)]
    assert [name for part in parts for name in part] == NAMES
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_whole_and_the_rest_have_all_subjects():
    assert subjects_of_part(NAMES, None) == subjects_of_part(NAMES, "rest") == NAMES


def test_a_part_that_does_not_exist_is_told():
    with pytest.raises(InputError, match="the last of 3 parts is 3/3"):
        subjects_of_part(NAMES, "4/3")


def test_a_part_joins_the_settings_of_the_command():
    # Of several --config Snakemake takes the last alone.
    assert words_of_part(["--cores", "2"], "1/2") == ["--cores", "2", "--config", "part=1/2"]
    assert words_of_part(["-C", "seed=3", "-n"], "rest") == ["-C", "part=rest", "seed=3", "-n"]


def headstyle_run(study: Study, *words: str) -> str:
    """What `headstyle run` prints as it makes a study in two parts."""
    # Behind --configfile every word would be one more file.
    given = [
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--configfile",
        "settings.yaml",
        "--cores",
        "2",
    ]
    return subprocess.run(
        [sys.executable, "-m", "headstyle", "run", "--parts", "2", "--", *given, *words],
        cwd=study.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout


@pytest.mark.slow
def test_all_parts_and_the_rest_plan_the_jobs_of_one_run(tmp_path):
    def planned(*settings: str) -> Counter:
        study = "study={subjects: [A, B, C], prompts: [P1], strengths: [low]}"
        return Counter(
            jobs(
                run_snakemake(
                    tmp_path,
                    *("-n", "--quiet", "rules", "--cores", "1", "--snakefile", ROOT / "Snakefile"),
                    *("--config", study, *settings),
                )
            )
        )

    whole, first, second = planned(), planned("part=1/2"), planned("part=2/2")
    of_parts = first + second
    assert first["stylize_avatar"] == 1
    assert second["stylize_avatar"] == 2
    # A part without subjects has nothing to make.
    assert planned("part=1/4") == {"check_models": 1}
    # Each run looks for the models first.
    assert of_parts.pop("check_models") == 2
    of_study = whole - of_parts
    assert whole == of_parts + of_study
    # What is left belongs to no single subject.
    assert set(of_study.values()) == {1}
    assert {"all", "check_models", "summarize", "write_overview"} <= set(of_study)


@pytest.mark.slow
def test_the_rest_makes_the_tables_from_what_the_parts_made_and_nothing_of_a_subject(copy):
    tables = Path(copy.folder, "results/tables")
    wanted = {path.name: path.read_bytes() for path in tables.glob("*.csv")}
    for name in wanted:
        (tables / name).unlink()
    told = headstyle_run(copy, "results/tables/avatars.csv")
    assert told.count("Nothing to be done") == 2
    made = {path.name: path.read_bytes() for path in tables.glob("*.csv")}
    assert "avatars.csv" in made
    assert made.items() <= wanted.items()
    (copy.folder / "results/A/baseline/consistency/views.csv").unlink()
    (tables / "avatars.csv").unlink()
    told = copy.snakemake("--config", "part=rest", succeeds=False)
    assert "results/A/baseline/consistency/views.csv" in told
