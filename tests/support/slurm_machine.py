"""A real Slurm on this machine alone: one node, two stand-in GPUs, stopped at the end.

Debian's packages are installed if they are absent. Slurm listens on the loopback only.
"""

import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
SLURM_CONF = """\
# Written by headstyle's tests, which delete it at their end.
ClusterName=headstyle
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
MinJobAge=600
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# Kills a job that takes more memory than it asked for.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
GresTypes=gpu
# More cores and memory than there may be: the tests need room for jobs, not speed.
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurmError(RuntimeError):
    """Slurm cannot run here. Says why."""


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run Slurm with its state in `folder`, which is deleted neither before nor after.

    Raises:
        NoSlurmError: it cannot be installed here, or this machine has a Slurm of its own.
    """
    _install()
    if (CONFIG / "slurm.conf").exists():
        raise NoSlurmError(f"this machine has a Slurm of its own: {CONFIG}/slurm.conf exists")
    daemons: list[subprocess.Popen] = []
    try:
        _write_config(folder)
        # Each stays in the foreground, as our child.
        daemons.append(_start(["munged", "--foreground", "--force", *_munge_files(folder)], folder))
        _wait(lambda: (folder / "munge.socket").exists(), "munged", folder)
        daemons.append(_start(["slurmctld", "-D"], folder))
        daemons.append(_start(["slurmd", "-D"], folder))
        _wait(lambda: _state() == "idle", "the node", folder)
        yield
    finally:
        if len(daemons) > 1:
            subprocess.run(["scancel", "--user=root"], check=False)
            time.sleep(1)
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in daemons:
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for name in ("slurm.conf", "gres.conf"):
            (CONFIG / name).unlink(missing_ok=True)


def _install() -> None:
    if os.geteuid() != 0:
        raise NoSlurmError("a Slurm for the tests needs root")
    if all(map(shutil.which, PROGRAMS)):
        return
    if not shutil.which("apt-get"):
        raise NoSlurmError("slurm-wlm and munge are missing, and there is no apt-get")
    # A package must not start its own services.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update"], ["install", "--yes", "slurm-wlm", "munge"]):
        command = ["apt-get", "--quiet", *words]
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoSlurmError(f"slurm-wlm and munge cannot be installed: {done.stderr[-300:]}")


def _write_config(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    # munge trusts no folder that others may write to.
    for path in (folder, *folder.parents):
        if path.stat().st_mode & stat.S_IWOTH and not path.stat().st_mode & stat.S_ISVTX:
            raise NoSlurmError(f"others may write to {path}")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    gpus = [folder / f"gpu{number}" for number in range(2)]
    try:
        for gpu in gpus:
            os.mknod(gpu, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError as error:
        raise NoSlurmError(f"no stand-in for a GPU can be made: {error}") from None
    CONFIG.mkdir(exist_ok=True)
    (CONFIG / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
    host = socket.gethostname().split(".")[0]
    (CONFIG / "slurm.conf").write_text(SLURM_CONF.format(host=host, folder=folder))


def _munge_files(folder: Path) -> list[str]:
    return [
        f"--key-file={folder}/munge.key",
        f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munge.pid",
        f"--seed-file={folder}/munge.seed",
        f"--log-file={folder}/munge.log",
    ]


def _start(command: list[str], folder: Path) -> subprocess.Popen:
    with (folder / f"{command[0]}.out").open("w") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _state() -> str:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _wait(is_there, name: str, folder: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text()[-1500:] for path in folder.glob("*.[lo][ou][gt]"))
            raise NoSlurmError(f"{name} did not come up in {seconds:.0f} s:\n{logs}")
        time.sleep(0.2)
