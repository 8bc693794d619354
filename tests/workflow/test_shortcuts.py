"""Planning with shortcuts plans the same jobs, and asks for what is fixed once per rule."""

import re
from pathlib import Path

import pytest
from headstyle.workflow.planning.shortcuts import SHORTCUTS, take_shortcuts
from snakemake_runs import jobs, run_snakemake

RULES = """
import json
from headstyle.workflow.planning import shortcuts

shortcuts.take_shortcuts() if config["shortcuts"] else None


def opened(source_file, original=workflow.sourcecache.open):
    with open("opened.txt", "a") as log:
        print(source_file.get_filename(), file=log)
    return original(source_file)


workflow.sourcecache.open = opened


rule all:
    input:
        expand("out/{name}.{kind}", name=["Ada", "Bo", "Cy"], kind=["txt", "md"]),


rule greet:
    output:
        text="out/{name}.txt",
    conda:
        "env.yaml"
    params:
        to=lambda wildcards: wildcards.name,
    script:
        "greet.py"


rule write:
    input:
        text="out/{name}.txt",
    output:
        text="out/{name}.md",
    message:
        "Writing " + ("{output.text} " if config["long"] else "") + "for {wildcards.name!r}"
    params:
        kind=lambda wildcards: "Ada" if wildcards.name == "Ada" else "other",
    script:
        "write_{params.kind}.py"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(RULES)
    (tmp_path / "env.yaml").write_text("channels: [conda-forge]\ndependencies: [python]\n")
    for name in ("greet", "write_Ada", "write_other"):
        text = "from pathlib import Path\nPath(snakemake.output[0]).write_text('{}')\n"
        (tmp_path / f"{name}.py").write_text(text.format(name))
    return tmp_path


def test_every_shortcut_finds_its_place_in_the_installed_snakemake() -> None:
    assert take_shortcuts() == list(SHORTCUTS)
    assert take_shortcuts() == list(SHORTCUTS)


def test_shortcuts_change_what_is_asked_but_not_what_is_planned(folder: Path) -> None:
    asked, planned = {}, {}
    for shortcuts in (0, 1):
        planned[shortcuts] = run_snakemake(
            folder, "--dry-run", "--cores", "1", "--config", f"shortcuts={shortcuts}", "long=0"
        )
        asked[shortcuts] = (folder / "opened.txt").read_text().split()
        (folder / "opened.txt").unlink()
    assert _said_of_jobs(planned[1]) == _said_of_jobs(planned[0]) != []
    assert jobs(planned[1]) == {"all": 1, "greet": 3, "write": 3}
    # Once for the rule instead of once for each of its three jobs.
    assert asked[1].count("greet.py") == asked[0].count("greet.py") - 2 > 0
    # A script whose name depends on parameters is not the same for all jobs.
    assert asked[1].count("write_Ada.py") == asked[0].count("write_Ada.py") > 0
    assert asked[1].count("write_other.py") == asked[0].count("write_other.py") > 0


@pytest.mark.parametrize("long", [0, 1])
def test_messages_are_the_same(folder: Path, long: int) -> None:
    said = [
        run_snakemake(
            folder,
            "--dry-run",
            "--cores",
            "1",
            "--config",
            f"shortcuts={with_them}",
            f"long={long}",
        )
        for with_them in (0, 1)
    ]
    found = [set(re.findall(r"Job \d+: (.*)", text)) for text in said]
    files = [f"out/{name}.md for " if long else "for " for name in ("Ada", "Bo", "Cy")]
    names = ("Ada", "Bo", "Cy")
    assert found[1] == found[0] == {f"Writing {f}{n!r}" for f, n in zip(files, names, strict=True)}


NESTED = """
from headstyle.workflow.planning import shortcuts

shortcuts.take_shortcuts()


rule all:
    input:
        "out", "{file}",


rule folder:
    output:
        directory("out"), "out/index.txt",
    shell:
        "mkdir -p out; touch {{output}}"


rule other:
    output:
        "{file}",
    shell:
        "touch {{output}}"
"""


@pytest.mark.parametrize(("file", "fits"), [("outside/a.txt", True), ("out/deep/a.txt", False)])
def test_a_file_in_a_folder_of_another_job_is_still_told(
    tmp_path: Path, file: str, fits: bool
) -> None:
    (tmp_path / "Snakefile").write_text(NESTED.format(file=file))
    told = run_snakemake(tmp_path, "--dry-run", "--cores", "1", succeeds=fits)
    assert fits or "ChildIOException" in told


def _said_of_jobs(text: str) -> list[list[str]]:
    """What a dry run says of each job: its files, reason, wildcards and resources, in any order."""
    lines = re.findall(r"^(?:rule|    (?!jobid)\w+:) .*", text, re.MULTILINE)
    return sorted(sorted(re.split("[ ,]+", line)) for line in lines)
