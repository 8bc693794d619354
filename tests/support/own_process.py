"""Running functions and stage scripts in a process of their own, where pycolmap may be loaded."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parent
SCRIPTS = SUPPORT.parents[1] / "workflow_scripts"

_RUNNER = """
import json, runpy, sys, types
from job_files import Files
class Params(dict):
    __getattr__ = dict.__getitem__
script, job = sys.argv[1], json.loads(sys.argv[2])
snakemake = types.SimpleNamespace(
    input=Files(**job["input"]), output=Files(**job["output"]), params=Params(job["params"]),
    threads=job["threads"], log=[job["log"]], rule=job["rule"], wildcards=Params(),
    resources=Params(),
)
runpy.run_path(script, init_globals={"snakemake": snakemake}, run_name="__main__")
"""


def in_own_process(function: Callable, *arguments: Any) -> Any:
    """The result of a module's function, computed in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result(timeout=120)


def run_stage(
    rule: str,
    input: dict[str, Any],
    output: dict[str, Any],
    params: dict[str, Any],
    folder: Path,
    threads: int = 1,
    succeeds: bool = True,
) -> str:
    """Run a stage script as Snakemake would, and return what its log says."""
    log = folder / f"{rule}.log"
    job = {
        "rule": rule,
        "input": input,
        "output": output,
        "params": params,
        "threads": threads,
        "log": str(log),
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, str(SCRIPTS / f"{rule}.py"), json.dumps(job, default=str)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SCRIPTS), str(SUPPORT)])},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stderr[-4000:]
    return log.read_text(encoding="utf-8")
