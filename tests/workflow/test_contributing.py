"""The worked examples of CONTRIBUTING.md: each is done in a scratch copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from study import ROOT

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED = ("config", "envs", "profiles", "report", "rules", "workflow_scripts", "tests/support")
LINKED = ("Snakefile", "pyproject.toml", "resources", "tests/conftest.py")
EXAMPLES = re.findall(r"^## Add (.*)$", GUIDE, re.MULTILINE)


def section(title: str) -> str:
    """The text of an example, up to the next heading."""
    return GUIDE.split(f"\n## Add {title}\n")[1].split("\n## ")[0]


def files(title: str) -> dict[str, str]:
    """The example's files: code blocks whose first line is a comment with the path."""
    blocks = re.findall(r"^```\w+\n# (\S+\.\w+)\n(.*?)^```$", section(title), re.M | re.S)
    return dict(blocks)


def asked_for(title: str) -> list[str]:
    """The arguments of the example's call of snakemake."""
    return re.search(r"^snakemake (.*)$", section(title), re.MULTILINE)[1].split()


@pytest.fixture
def copy(tmp_path) -> Path:
    """A scratch copy of the repository."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    # Not linked, as it finds the rules beside itself.
    (tmp_path / "Snakefile").unlink()
    shutil.copy(ROOT / "Snakefile", tmp_path)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    """What a command prints, run in the copy on the copy's library; its failure is the test's."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "workflow_scripts")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def test_the_guide_has_the_examples_that_it_should():
    assert {"a metric", "a stage"} <= set(EXAMPLES)


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_works_as_written(title, copy):
    written = files(title)
    for name, text in written.items():
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    tests = [name for name in written if name.startswith("tests/")]
    assert tests
    assert " passed" in run(copy, "pytest", "-q", "-p", "no:cacheprovider", *tests)
    # The configuration is accepted, and the workflow knows what is asked for.
    plan = run(copy, "snakemake", "--dry-run", *asked_for(title))
    assert "total" in plan
    if stages := [Path(name).stem for name in written if name.count("/") == 1 and ".py" in name]:
        assert all(stage in plan for stage in stages)


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_keeps_the_rules_of_the_house(title, copy):
    python = [name for name in files(title) if name.endswith(".py")]
    for name in python:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(files(title)[name], encoding="utf-8")
    run(copy, "ruff", "check", *python)
    run(copy, "ruff", "format", "--check", *python)


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_adds_few_files(title):
    product = [name for name in files(title) if not name.startswith(("tests/", "config/"))]
    assert 1 <= len(product) <= 2
