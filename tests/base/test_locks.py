"""A lock is held by one process at a time, and ends with it."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from headstyle.base.errors import InputError
from headstyle.base.locks import claim_folder, lock_of, try_lock

HOLDER = """
import os, sys, time
from headstyle.base.locks import claim_folder
claim = claim_folder(sys.argv[1])
child = os.fork() if sys.argv[2] == "forks" else None
# A child says so, too: before it runs, it has not let go of what it inherits. Each line is one
# write, so that the two do not mix.
os.write(1, f"{child}\\n".encode())
time.sleep(600)
"""


def test_a_folder_is_claimed_by_one_run_at_a_time(tmp_path):
    claim = claim_folder(tmp_path / "results")
    with pytest.raises(InputError, match="results is being computed by another run; wait"):
        claim_folder(tmp_path / "results")
    claim.release()
    claim_folder(tmp_path / "results").release()


@pytest.mark.parametrize("habit", ["alone", "forks"])
def test_a_claim_ends_with_a_process_that_is_killed(tmp_path, habit):
    command = [sys.executable, "-c", HOLDER, str(tmp_path), habit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        said = {holder.stdout.readline().strip() for _ in range(2 if habit == "forks" else 1)}
        [child] = said - {"0"}
        try:
            with pytest.raises(InputError, match="computed by another run"):
                claim_folder(tmp_path)
        finally:
            holder.kill()
        holder.wait()
        try:
            claim_folder(tmp_path).release()
        finally:
            if child != "None":
                os.kill(int(child), signal.SIGKILL)


def test_a_lock_whose_file_was_deleted_keeps_nobody_from_the_next_one(tmp_path):
    held = try_lock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    new = try_lock(tmp_path / "lock")
    assert new is not None
    held.release()
    assert try_lock(tmp_path / "lock") is None
    new.release()


def test_a_lock_is_waited_for(tmp_path):
    with lock_of(tmp_path / "lock"):
        assert try_lock(tmp_path / "lock") is None
    assert try_lock(tmp_path / "lock") is not None


def test_a_file_system_without_locks_is_told_in_one_sentence(tmp_path, monkeypatch):
    def no_locks(file, operation):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(InputError, match=r"cannot be claimed .*not implemented.*results_dir"):
        claim_folder(tmp_path)
