"""What several test files share: running real Snakemake on a scratch study."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


class Study:
    """A scratch folder in which real Snakemake runs the project's Snakefile."""

    def __init__(self, folder: Path, settings: dict) -> None:
        self.folder = folder
        self.settings = settings
        for name in ("subjects.tsv", "prompts.tsv"):
            (folder / "config").mkdir(exist_ok=True)
            shutil.copy(ROOT / "config" / name, folder / "config" / name)
        shutil.copytree(ROOT / "profiles", folder / "profiles")

    def snakemake(self, *arguments: str, succeeds: bool = True) -> str:
        """Run Snakemake in the folder and return what it printed; an unexpected end fails."""
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(self.settings))
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--cores", "2", "--configfile", "settings.yaml", *arguments),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")}
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=1200,
        )
        assert (result.returncode == 0) == succeeds, result.stdout[-6000:]
        return result.stdout


@pytest.fixture
def study(tmp_path) -> Callable[..., Study]:
    """Make a scratch study with the demo's settings, some of them replaced."""

    def make(**settings) -> Study:
        demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
        demo["results_dir"] = "results"
        return Study(tmp_path, merged(demo, settings))

    return make


def merged(base: dict, changes: dict) -> dict:
    """`base` with nested `changes` laid over it, as Snakemake merges configuration files."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result
