"""Each job has GPUs of its own, and is told where a promised one is missing."""

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from headstyle.base.devices import PROMISED_GPUS, SIMULATED_GPUS, visible_gpus
from headstyle.base.errors import InputError
from headstyle.editing.registry import editor_device, gpus_of_avatars
from headstyle.rendering.devices import best_device
from headstyle.workflow.gpus import own_gpus
from snakemake_runs import run_snakemake
from study import ROOT

SCRIPTS = ROOT / "workflow_scripts"
# Stands in for a stage: it holds its GPUs for a known time and notes which and when.
HOLDER = """
import json, os, sys, time
from headstyle.rendering.devices import best_device
from headstyle.workflow.gpus import own_gpus
print("ready", flush=True)
sys.stdin.readline()
with own_gpus(int(sys.argv[1])) as gpus:
    start = time.monotonic()
    print("holds", flush=True)
    time.sleep(float(sys.argv[2]))
    print(json.dumps([gpus, start, time.monotonic()]), flush=True)
"""
STUDY = """
from headstyle.workflow.snakemake_internals import promise_gpus
promise_gpus(workflow)

rule all:
    input:
        expand("{job}.json", job=list("abcd")),

rule hold:
    output:
        "{job}.json",
    log:
        "{job}.log",
    resources:
        gpu=1,
    script:
        "hold.py"
"""
STAGE = """
import json, os, time
from headstyle.workflow.stage import stage
with stage(snakemake):
    gpu, start = os.environ.get("CUDA_VISIBLE_DEVICES"), time.monotonic()
    time.sleep(0.5)
    with open(snakemake.output[0], "w") as file:
        json.dump([[gpu], start, time.monotonic()], file)
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with two GPUs, whose locks are this test's own."""
    for name in ("CUDA_VISIBLE_DEVICES", PROMISED_GPUS, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(SIMULATED_GPUS, "2")
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    monkeypatch.setattr("tempfile.tempdir", None)


def holder(gpus: int, seconds: float) -> subprocess.Popen:
    """A process that has all it needs to start, and starts at a line of its input."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(gpus), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def start(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def assert_no_gpu_is_shared(held: list) -> None:
    """Of jobs that held the same GPU, one ended before the other started."""
    for (one, _, end), (other, begin, _) in itertools.combinations(
        sorted(held, key=lambda job: job[1]), 2
    ):
        assert not set(one) & set(other) or end <= begin


def test_jobs_keep_all_gpus_busy_and_share_none(monkeypatch):
    count, rounds, seconds = 4, 3, 1.0
    monkeypatch.setenv(SIMULATED_GPUS, str(count))
    jobs = [holder(1, seconds) for _ in range(count * rounds)]
    began = time.monotonic()
    for job in jobs:
        start(job)
    held = [json.loads(job.communicate(timeout=60)[0].splitlines()[-1]) for job in jobs]
    assert_no_gpu_is_shared(held)
    assert {gpu for gpus, *_ in held for gpu in gpus} == {"0", "1", "2", "3"}
    elapsed = max(end for *_, end in held) - began
    assert len(jobs) * seconds / elapsed >= 0.9 * count


def test_a_job_with_two_gpus_waits_for_both(monkeypatch):
    monkeypatch.setenv(SIMULATED_GPUS, "3")
    jobs = [holder(gpus, 0.3) for gpus in (1, 2, 2, 1)]
    for job in jobs:
        start(job)
    held = [json.loads(job.communicate(timeout=60)[0].splitlines()[-1]) for job in jobs]
    assert [len(gpus) for gpus, *_ in held] == [1, 2, 2, 1]
    assert_no_gpu_is_shared(held)


def test_a_killed_job_frees_its_gpu(monkeypatch):
    monkeypatch.setenv(SIMULATED_GPUS, "1")
    with holder(1, 600) as job:
        start(job)
        assert job.stdout.readline() == "holds\n"
        next_job = holder(1, 0)
        start(next_job)
        time.sleep(0.2)
        waits = next_job.poll() is None
        job.kill()
    assert waits
    assert next_job.communicate(timeout=10)[0].startswith("holds")


def test_a_job_sees_its_own_gpus_only_and_those_of_a_scheduler_are_respected(monkeypatch):
    with own_gpus(1) as first, own_gpus(0):
        assert first == ("0",)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8f2a,5")
    with own_gpus(2) as pair:
        assert pair == ("3", "GPU-8f2a")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-8f2a"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,GPU-8f2a,5"


def test_jobs_of_a_scheduler_count_their_gpus_each_for_itself(monkeypatch):
    # Slurm shows each of its jobs one GPU, by the number 0; they are different ones.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with own_gpus(1):
        monkeypatch.setenv("SLURM_JOB_ID", "2")
        with own_gpus(1) as gpus:
            assert gpus == ("0",)


@pytest.mark.parametrize(
    ("listed", "names"), [("", ()), ("-1", ()), ("NoDevFiles", ()), ("1, 0", ("1", "0"))]
)
def test_the_list_of_gpus_is_read_as_cuda_reads_it(listed, names, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == names


def test_without_a_gpu_a_job_runs_unless_one_was_promised(monkeypatch):
    monkeypatch.setenv(SIMULATED_GPUS, "0")
    with own_gpus(1) as gpus:
        assert gpus == ()
    monkeypatch.setenv(PROMISED_GPUS, "1")
    with pytest.raises(InputError, match=r"1 GPU promised .* and none found.*--resources gpu=0"):
        own_gpus(1).__enter__()
    # What asks for none needs none.
    with own_gpus(0) as gpus:
        assert gpus == ()


def test_fewer_gpus_than_promised_or_asked_for_are_told(monkeypatch):
    monkeypatch.setenv(PROMISED_GPUS, "4")
    with pytest.raises(InputError, match=r"4 GPUs promised .* and 2 found.*profile"):
        own_gpus(1).__enter__()
    monkeypatch.delenv(PROMISED_GPUS)
    with pytest.raises(InputError, match=r"asks for 3 GPUs, and 2 found.*editing\.device"):
        own_gpus(3).__enter__()


def test_a_promised_gpu_that_pytorch_does_not_find_is_told(monkeypatch):
    monkeypatch.delenv(SIMULATED_GPUS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert best_device() == "cpu"
    monkeypatch.setenv(PROMISED_GPUS, "1")
    with pytest.raises(InputError, match=r"GPU 0 was promised, but PyTorch .* does not find it"):
        best_device()


def test_an_editor_on_another_gpu_needs_a_second_one(monkeypatch):
    for device in (None, "cpu", "cuda", "cuda:0"):
        assert gpus_of_avatars({"device": device}) == 1
        assert editor_device({"device": device}, "cuda") == (device or "cuda")
    other = {"device": "cuda:3"}
    assert gpus_of_avatars(other) == 2
    with own_gpus(2):
        assert editor_device(other, "cuda") == "cuda:1"
    with own_gpus(1), pytest.raises(InputError, match=r"editing.device is cuda:3.*one GPU; give"):
        editor_device(other, "cuda")


def hold(folder: Path, *arguments: str, succeeds: bool = True, **environment: str) -> str:
    """Run four stand-in stages in real Snakemake."""
    (folder / "Snakefile").write_text(STUDY)
    (folder / "hold.py").write_text(STAGE)
    return run_snakemake(
        folder,
        *("--cores", "4", "--force", *arguments),
        environment={"PYTHONPATH": SCRIPTS, **environment},
        succeeds=succeeds,
    )


def test_the_profile_says_how_many_gpus_there_are_and_that_is_all(tmp_path):
    (tmp_path / "profiles" / "default").mkdir(parents=True)
    (tmp_path / "profiles" / "default" / "config.yaml").write_text("resources:\n  gpu: 2\n")
    hold(tmp_path)
    held = [json.loads(file.read_text()) for file in tmp_path.glob("?.json")]
    assert len(held) == 4
    assert {gpu for gpus, *_ in held for gpu in gpus} == {"0", "1"}
    assert_no_gpu_is_shared(held)
    told = hold(tmp_path, "a.json", succeeds=False, **{SIMULATED_GPUS: "1"})
    assert "2 GPUs promised by the profile or the scheduler, and 1 found here" in told


def test_no_gpu_is_used_where_the_profile_says_there_is_none(tmp_path):
    hold(tmp_path, "a.json", "--resources", "gpu=0")
    gpus, *_ = json.loads((tmp_path / "a.json").read_text())
    assert gpus == [""]
