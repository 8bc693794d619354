"""What a machine runs out of, or takes away, ends in one sentence; nothing half-made is left."""

import errno
import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from headstyle.base import files
from headstyle.base.errors import InputError
from headstyle.base.files import whole_file, whole_folder
from headstyle.base.locks import claim_folder
from headstyle.workflow.failures import describe_failures, sentence_of
from headstyle.workflow.running.lines import QUIET_STAGES
from headstyle.workflow.stage import stage
from job_files import Files
from own_process import SCRIPTS, SUPPORT
from study import Study
from tiny_study import TINIEST


class AcceleratorError(RuntimeError):
    """As PyTorch calls a device that is gone."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.ply"), "a.ply .* free some space"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk .* free some space"),
        (OSError(errno.EDQUOT, "Quota exceeded", "a.ply"), "your quota"),
        (OSError(errno.EROFS, "Read-only file system", "r"), "choose a results_dir"),
        (PermissionError(errno.EACCES, "Permission denied", "r"), "r .* the right to it"),
        (OSError(errno.EIO, "Input/output error", "r"), "check the disk"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (OSError(errno.ESTALE, "Stale file handle", "r"), "network share"),
        (MemoryError(), "not enough memory .* fewer jobs at once"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU has not"),
        (AcceleratorError("CUDA error: device lost"), "the GPU failed .* nvidia-smi"),
        (RuntimeError("CUDA error: an illegal memory access"), "the GPU failed"),
        (RuntimeError("No CUDA GPUs are available, no CUDA-capable device"), "the GPU failed"),
        (BrokenProcessPool("A process was terminated abruptly"), "ended from outside"),
    ],
)
def test_what_a_machine_runs_out_of_is_one_sentence(error, said):
    sentence = sentence_of(error)
    assert sentence is not None
    assert re.search(said, sentence), sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("a"), OSError("odd"), IndexError()])
def test_errors_of_the_program_keep_their_traceback(error):
    assert sentence_of(error) is None


def test_numpy_tells_a_lack_of_memory_as_python_does():
    with pytest.raises(MemoryError) as raised:
        np.empty(1 << 60, np.uint8)
    assert "not enough memory" in sentence_of(raised.value)


def test_a_job_that_was_killed_is_told_of_at_the_end(tmp_path):
    (tmp_path / "one.log").write_text("10:00:00 INFO 2 views\n10:00:01 INFO 5 of 9 masks\n")
    (tmp_path / "two.log").write_text("10:00:00 INFO 2 views\n10:00:01 INFO done in 2.0 s\n")
    told = describe_failures(tmp_path, {})
    assert "one.log: the job was ended from outside, often for lack of memory" in told
    assert "two.log" not in told


def test_contents_are_on_the_disk_before_a_file_gets_its_name(tmp_path, monkeypatch):
    steps = []
    monkeypatch.setattr(files.os, "fsync", lambda file: steps.append("to disk"))
    replace = os.replace
    monkeypatch.setattr(
        files.os, "replace", lambda *paths: (steps.append("renamed"), replace(*paths))
    )
    with whole_file(tmp_path / "a.txt") as partial:
        partial.write_text("a")
    assert steps == ["to disk", "renamed"]
    steps.clear()
    with whole_folder(tmp_path / "views") as folder:
        for name in "ab":
            with whole_file(folder / f"{name}.png") as partial:
                partial.write_text("a")
    assert steps == ["renamed", "renamed", "to disk", "to disk", "renamed"]


STAGE = """
import sys, types
from pathlib import Path
from job_files import Files
from headstyle.base.files import whole_file
from headstyle.workflow.stage import stage
folder, size, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
job = types.SimpleNamespace(input=Files(), output=Files(a=folder / "a.bin"), threads=1,
    log=[folder / "logs" / "a.log"], rule="write", resources={})
with stage(job), whole_file(job.output.a) as partial:
    content = bytearray(size)
    with partial.open("wb") as file:
        for _ in range(4):
            file.write(content[: size // 4])
"""


def write_in_stage(folder: Path, size: int, limit: int = 0) -> subprocess.CompletedProcess:
    """Run a stage that writes so many bytes, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", STAGE, str(folder), str(size), str(limit)],
        env={**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{SUPPORT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path):
    """A disk of half a megabyte; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("quiet", ["", "1"], ids=["messages", "bars"])
def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(small_disk, monkeypatch, quiet):
    monkeypatch.setenv(QUIET_STAGES, quiet)
    done = write_in_stage(small_disk, 2_000_000)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    # With bars, the log tells it, as there is room again for its line.
    told = (small_disk / "logs" / "a.log").read_text() if quiet else done.stderr
    assert "No space left on device" in told
    assert "free some space, and run the same command again" in told
    assert [path.name for path in small_disk.iterdir()] == ["logs"]
    assert write_in_stage(small_disk, 200_000).returncode == 0


def test_a_disk_that_cannot_be_written_ends_in_one_sentence(small_disk):
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True, capture_output=True)
    done = write_in_stage(small_disk, 1000)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Read-only file system); choose a results_dir that can be written" in done.stderr
    with pytest.raises(InputError, match="choose a results_dir"):
        claim_folder(small_disk / "results")


def test_too_little_memory_ends_in_one_sentence_and_leaves_nothing(tmp_path):
    done = write_in_stage(tmp_path, 3_000_000_000, limit=2_000_000_000)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "not enough memory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.slow
def test_a_project_may_lie_in_a_folder_with_spaces_and_letters_of_any_script(tmp_path):
    folder = tmp_path / "Köpfe 石頭 & (1)"
    folder.mkdir()
    study = Study.with_demo_settings(folder, TINIEST)
    study.snakemake("results/A/masks/masks.json")
    masks = json.loads((folder / "results/A/masks/masks.json").read_text())
    assert len(masks["views"]) == 9


@pytest.mark.slow
def test_results_from_before_the_clock_was_set_back_are_not_redone(copy):
    results = copy.folder / "results"
    for path in results.rglob("*"):
        moved = path.stat().st_mtime_ns + 86_400 * 10**9
        os.utime(path, ns=(moved, moved))
    assert "Nothing to be done" in copy.snakemake()


def test_what_a_log_has_no_room_for_goes_to_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv(QUIET_STAGES, "1")
    job = SimpleNamespace(
        **{"input": Files(), "output": Files(), "log": ["/dev/full"]},
        **{"rule": "write", "threads": 1, "resources": {}},
    )
    with pytest.raises(SystemExit), stage(job):
        raise OSError(errno.ENOSPC, "No space left on device", "a.ply")
    told = capsys.readouterr().err
    assert "a.ply cannot be used (No space left on device); free some space" in told
    assert "Traceback" not in told
    logging.getLogger().handlers.clear()
