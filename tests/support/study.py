"""Running real Snakemake on a scratch study."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml
from loaded_snakemake import Run, loaded

ROOT = Path(__file__).parents[2]


# Edits and metrics that take no time.
CONTROL_EDITS = {
    "prompts_table": "config/control_prompts.tsv",
    "study": {"prompts": ["recolor", "painterly"]},
    "editing": {
        "editor": "control",
        "control": {
            "operations": {"recolor": "recolor", "painterly": "painterly"},
            "per_view_randomness": 0.3,
        },
    },
    "metrics": {"names": ["rmse", "ciede2000"]},
    "summary": {"strength_prompts": ["recolor", "painterly"]},
}


class Study:
    """A scratch folder in which real Snakemake runs the project's Snakefile."""

    def __init__(self, folder: Path, settings: dict) -> None:
        self.folder = folder
        self.settings = settings
        self.write_settings()

    @classmethod
    def with_demo_settings(cls, folder: Path, changes: dict) -> "Study":
        """A new study with the demo's settings and control edits, `changes` laid over them."""
        (folder / "config").mkdir()
        for table in (ROOT / "config").glob("*.tsv"):
            shutil.copy(table, folder / "config" / table.name)
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        demo = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
        quick = merged({**demo, "results_dir": "results"}, CONTROL_EDITS)
        return cls(folder, merged(quick, changes))

    @classmethod
    def copy_of(cls, study: "Study", folder: Path) -> "Study":
        """A copy of a study in another folder. Its files keep their times."""
        shutil.copytree(study.folder, folder, dirs_exist_ok=True, copy_function=shutil.copy2)
        return cls(folder, deepcopy(study.settings))

    def write_settings(self) -> None:
        """Put the settings where `snakemake` reads them."""
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(self.settings))

    def snakemake(self, *arguments: str, succeeds: bool = True) -> str:
        """Run Snakemake in the folder and return what it printed; an unexpected end fails."""
        with NamedTemporaryFile() as file:
            run = self._start(Path(file.name), *arguments)
            output, _ = run.communicate(timeout=1200)
        assert (run.returncode == 0) == succeeds, output[-6000:]
        return output

    def kill_after(self, seconds: float, *arguments: str) -> str | None:
        """Run Snakemake, and so many seconds after its first job began kill -9 it and its jobs.

        Returns:
            What it had printed, or None where it had ended by itself, which must be well.
        """
        output, logs = self.folder / "killed.txt", self.folder / ".snakemake" / "log"
        before = set(logs.glob("*"))
        run = self._start(output, *arguments)
        while run.poll() is None and not _has_a_job(set(logs.glob("*")) - before):
            time.sleep(0.1)
        try:
            run.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            return output.read_text()
        assert run.returncode == 0, output.read_text()[-6000:]
        return None

    def kill_in_the_middle(self, log: str, target: str) -> None:
        """Start making `target`; once `log` appears, kill -9 Snakemake and its jobs."""
        path = self.folder / log
        path.unlink(missing_ok=True)
        with NamedTemporaryFile() as file, self._start(Path(file.name), target) as run:
            deadline = time.monotonic() + 120
            while not path.exists():
                assert run.poll() is None, run.communicate()[0]
                assert time.monotonic() < deadline, f"{log} did not appear"
                time.sleep(0.05)
            os.killpg(run.pid, signal.SIGKILL)

    def _start(self, output: Path, *arguments: str) -> Run:
        command = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "settings.yaml"]
        return loaded().start([*command, "--cores", "2", *arguments], self.folder, output)


def _has_a_job(logs: Iterable[Path]) -> bool:
    """Whether one of Snakemake's logs tells that a job began."""
    return any("\nSelect jobs to execute..." in log.read_text() for log in logs)


def merged(base: dict, changes: dict) -> dict:
    """`base` with nested `changes` laid over it, as Snakemake merges configuration files."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if nested else value
    return result
