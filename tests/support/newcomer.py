"""A scratch copy of the repository, in which a newcomer adds something and runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from study import ROOT

COPIED = ("Snakefile", "rules", "config", "report", "envs", "workflow_scripts", "docs")
"""What a newcomer's tasks need of the repository."""

_SETTINGS = """
from pathlib import Path
import yaml
from headstyle.workflow.configuration import check_config, fill_in_declared

def completed(changes):
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    for section, more in changes.items():
        config[section].update(more)
    check_config(config, "config/schemas/config.schema.yaml")
    fill_in_declared(config)
    return config
"""


class Scratch:
    """The copy, and the files that the newcomer added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.added: list[Path] = []
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)

    def add(self, path: str, text: str) -> None:
        """Write a file that the repository does not have; the path starts in its root."""
        target = self.folder / path
        assert not target.exists(), path
        target.write_text(dedent(text), encoding="utf-8")
        self.added.append(target)

    def run(self, code: str, changes: dict[str, Any]) -> Any:
        """Run code in the copy and return what it puts into `result`.

        Args:
            code: Python that finds `changes`, and `completed(changes)`: the configuration with
                these changes, checked and with defaults.
            changes: Keys of the configuration by their sections, which replace the study's.
        """
        done = self._python("-c", _program(code, changes))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    def refusal(self, changes: dict[str, Any]) -> str:
        """What is said when these changes of the configuration are refused."""
        done = self._python("-c", _program("completed(changes)", changes))
        assert done.returncode != 0, "the configuration was accepted"
        assert "InputError" in done.stderr, done.stderr[-4000:]
        return done.stderr

    def dry_run(self, changes: dict[str, Any], succeeds: bool = True) -> str:
        """What Snakemake prints when it plans the study with these changes."""
        settings = self.folder / "settings.yaml"
        settings.write_text(json.dumps(changes), encoding="utf-8")
        done = self._python(
            *("-m", "snakemake", "--cores", "1", "--dry-run", "--workflow-profile", "none"),
            *("--configfile", "config/demo.yaml", settings.name),
        )
        assert (done.returncode == 0) == succeeds, (done.stdout + done.stderr)[-4000:]
        return done.stdout + done.stderr

    def _python(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder / "workflow_scripts")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def _program(code: str, changes: dict[str, Any]) -> str:
    given = f"import json\nchanges = json.loads({json.dumps(changes)!r})\n"
    return _SETTINGS + given + dedent(code) + "\nprint(json.dumps(locals().get('result')))\n"
