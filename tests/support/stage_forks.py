"""Stages of a run of Snakemake, forked from a process that has loaded what most of them need.

A stage is a Python script, and loading PyTorch takes longer than most of what the tests let it do.
Each stage still is a process of its own, in the run's process group, with the environment that
Snakemake gives it. It shares the seed of Python's hashes with the other stages of the test process;
where that matters, a test sets the variable HEADSTYLE_OWN_INTERPRETERS, and each stage starts
afresh.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import types
from typing import Any, NoReturn

OWN_INTERPRETERS = "HEADSTYLE_OWN_INTERPRETERS"
LOADED = ("torch", "pandas", "scipy.ndimage", "cv2")
"""What stages share. Not pycolmap, which must be loaded last, and nothing of headstyle."""
_SCRIPT = re.compile(rf"{re.escape(sys.executable)} (\S+/\.snakemake/scripts/\S+\.py)$")
# An environment fits, and messages stay whole.
_LARGEST_MESSAGE = 2**17


class ForkedStage:
    """A stage, with those methods of `subprocess.Popen` that Snakemake uses."""

    stdout = None

    def __init__(self, server: socket.socket, script: str, environment: dict[str, str]) -> None:
        told, tell = os.pipe()
        stage = {"script": script, "environment": environment, "folder": os.getcwd()}
        message = json.dumps(stage).encode()
        assert len(message) < _LARGEST_MESSAGE, "the environment is too large for one message"
        socket.send_fds(server, [message], [tell])
        os.close(tell)
        self._told = os.fdopen(told, encoding="utf-8")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit status."""
        if self.returncode is None:
            # Nothing is told where the process that watches it was killed too.
            self.returncode = int(self._told.readline() or -signal.SIGKILL)
            self._told.close()
        return self.returncode

    def kill(self) -> None:
        """Kill it."""
        self._send(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)


def fork_stages(searched: list[str]) -> None:
    """Let the Snakemake of this process fork its stages; call it before there are threads.

    Args:
        searched: The folders in which any Python of these tests looks for modules.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _serve(theirs, searched)
    theirs.close()

    def start(command: str, **options: Any) -> Any:
        found = _SCRIPT.search(command)
        if found and options.get("stdout") is not subprocess.PIPE:
            return ForkedStage(ours, found[1], options["env"])
        return subprocess.Popen(command, **options)

    shell = sys.modules["snakemake.shell"]
    shell.sp = types.SimpleNamespace(**{**vars(subprocess), "Popen": start})


def _serve(requests: socket.socket, searched: list[str]) -> None:
    """Fork for each request, until Snakemake has ended. Only a stage raises, at its end."""
    # Nobody waits for the processes that watch the stages.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, (*files,), *_ = socket.recv_fds(requests, _LARGEST_MESSAGE, 1)
        if not message:
            os._exit(0)
        (tell,) = files
        if os.fork() == 0:
            requests.close()
            _watch(json.loads(message), tell, searched)
        os.close(tell)


def _watch(request: dict[str, Any], tell: int, searched: list[str]) -> None:
    """Begin a stage, tell its process, and tell its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        os.close(tell)
        os.chdir(request["folder"])
        _run(request["script"], request["environment"], searched)
    os.write(tell, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    os.write(tell, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(script: str, environment: dict[str, str], searched: list[str]) -> NoReturn:
    """Run a script as `python SCRIPT` does."""
    os.environ.clear()
    os.environ.update(environment)
    own = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [os.path.dirname(script), *own, *searched]
    sys.argv = [script]
    main = types.ModuleType("__main__")
    main.__file__ = script
    sys.modules["__main__"] = main
    with open(script, encoding="utf-8") as file:
        code = compile(file.read(), script, "exec")
    exec(code, main.__dict__)
    sys.exit(0)
