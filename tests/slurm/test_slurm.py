"""A study on a real Slurm: what a run on this machine gives, whatever happens to its jobs."""

import filecmp
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from headstyle.base.devices import SIMULATED_GPUS
from slurm_machine import NoSlurmError, slurm
from snakemake_runs import run_snakemake
from study import ROOT, Study
from tiny_study import TINIEST

pytestmark = pytest.mark.slow

PROFILE = ROOT / "profiles" / "slurm"
# The profile as it stands; only the waits are shorter, and this Slurm has no accounts.
ON_SLURM = (
    *("--workflow-profile", str(PROFILE), "--slurm-no-account", "--latency-wait", "5"),
    *("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"),
    *("--slurm-status-command", "squeue", "--cores", "1"),
)
TABLES = [f"results/tables/{name}.csv" for name in ("avatars", "views", "strengths")]
# Stand-ins of stages: each notes the GPU that it holds and when, or what its attempt was given.
STAND_INS = """
import sys
sys.path.insert(0, {library!r})
from headstyle.workflow.needs import with_attempt
from headstyle.workflow.snakemake_internals import promise_gpus
promise_gpus(workflow)

rule all:
    input:
        expand("hold{{job}}.json", job=range(4)), "cancelled.json", "greedy.json",

rule hold:
    output:
        "hold{{job}}.json",
    log:
        "hold{{job}}.log",
    resources:
        gpu=1,
        mem_mb=500,
        runtime=5,
    script:
        "hold.py"

rule suffer:
    output:
        "{{fault,cancelled|greedy}}.json",
    log:
        "{{fault}}.log",
    resources:
        mem_mb=with_attempt(600),
        runtime=with_attempt(5),
        given=with_attempt(1),
    script:
        "suffer.py"
"""
HOLD = """
import json, os, time
from headstyle.workflow.stage import stage
with stage(snakemake):
    gpu, start = os.environ.get("CUDA_VISIBLE_DEVICES"), time.monotonic()
    time.sleep(4)
    with open(snakemake.output[0], "w") as file:
        json.dump([gpu, start, time.monotonic()], file)
"""
# At its first attempt the one is cancelled by the scheduler, and the other takes a gigabyte.
SUFFER = """
import json, os, subprocess, time
if snakemake.resources.given == 1:
    if snakemake.wildcards.fault == "cancelled":
        subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]])
    else:
        taken = bytearray(os.urandom(1)) * 1_200_000_000
    time.sleep(120)
with open(snakemake.output[0], "w") as file:
    json.dump({key: snakemake.resources[key] for key in ("mem_mb", "runtime")}, file)
"""


@pytest.fixture(scope="module", autouse=True)
def scheduler(tmp_path_factory):
    try:
        with slurm(tmp_path_factory.mktemp("slurm")):
            yield
    except NoSlurmError as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def simulated(monkeypatch):
    """Training runs on the CPU, while jobs hold the stand-in GPUs."""
    monkeypatch.setenv(SIMULATED_GPUS, "2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def snakemake(study: Study, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--configfile", "settings.yaml", *arguments, "--", *TABLES),
        ],
        cwd=study.folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output[-6000:]


@pytest.mark.soak
def test_a_study_that_was_cancelled_and_went_on_is_the_one_of_a_local_run(tmp_path):
    (tmp_path / "local").mkdir()
    here = Study.with_demo_settings(tmp_path / "local", TINIEST)
    finish(snakemake(here, "--cores", "2"))
    # Slurm has the poses already, and makes everything else anew.
    shutil.copytree(here.folder, tmp_path / "slurm", copy_function=shutil.copy2)
    there = Study(tmp_path / "slurm", here.settings)
    made = there.folder / "results"
    for path in ("A/views", "A/baseline", "A/avatars", "A/floor", "tables", "logs/A"):
        shutil.rmtree(made / path)
    (made / "A/adjacency.csv").unlink()
    cancelled = snakemake(there, *ON_SLURM)
    log = made / "logs/A/train_baseline.log"
    deadline = time.monotonic() + 300
    while not log.exists():
        assert cancelled.poll() is None, cancelled.communicate()[0][-6000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(cancelled.pid, signal.SIGINT)
    cancelled.communicate(timeout=120)
    assert cancelled.returncode != 0
    before = (made / "A/views/cameras.json").stat().st_mtime_ns
    finish(snakemake(there, *ON_SLURM))
    assert (made / "A/views/cameras.json").stat().st_mtime_ns == before
    assert_same_results(made, here.folder / "results")


def assert_same_results(one: Path, other: Path) -> None:
    """All files but logs and measured times have the same bytes."""
    names = [
        sorted(
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.relative_to(folder).parts[0] not in ("logs", "benchmarks")
        )
        for folder in (one, other)
    ]
    assert names[0] == names[1]
    timed = ("timings.json", "metrics.json", ".stylization.json", ".plan.json", "history.tsv")
    differ = [
        name
        for name in names[0]
        # The checksums of measured times differ as the times do.
        if not name.removesuffix(".sha256").endswith(timed)
        and not filecmp.cmp(one / name, other / name, shallow=False)
    ]
    assert not differ


def test_gpu_jobs_share_no_device_and_killed_jobs_are_given_more(tmp_path):
    library = str(ROOT / "workflow_scripts")
    (tmp_path / "Snakefile").write_text(STAND_INS.format(library=library))
    (tmp_path / "hold.py").write_text(HOLD)
    (tmp_path / "suffer.py").write_text(SUFFER)
    run_snakemake(tmp_path, *ON_SLURM, environment={"PYTHONPATH": library})
    held = [json.loads(path.read_text()) for path in tmp_path.glob("hold?.json")]
    assert {gpu for gpu, *_ in held} == {"0", "1"}
    for (one, _, end), (other, begin, _) in itertools.combinations(
        sorted(held, key=lambda job: job[1]), 2
    ):
        assert one != other or end <= begin
    for fault in ("cancelled", "greedy"):
        given = json.loads((tmp_path / f"{fault}.json").read_text())
        assert given == {"mem_mb": 1_200, "runtime": 10}, fault
