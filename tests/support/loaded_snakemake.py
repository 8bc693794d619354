"""Snakemake, loaded once for all runs of a test process.

Loading it takes longer than most of what the tests let it do. So one process loads it, and forks
for each run. A run is a process of its own, which leads a process group, with the test's
environment, in the folder that it is given.
"""

import atexit
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import stage_forks

LOADED = ("snakemake.cli", "jsonschema", "numpy", "PIL.Image", "yaml", *stage_forks.LOADED)
"""What every run or many stages need. Nothing of headstyle: tests run changed copies of it."""


_OWN = {str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
SEARCHED = [path for path in sys.path if path not in _OWN]
"""Where any Python looks for modules, whatever its environment."""


class Run:
    """A run of Snakemake, with those methods of `subprocess.Popen` that the tests use."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.pid = 0
        self.returncode: int | None = None
        self.has_begun, self.has_ended = threading.Event(), threading.Event()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: object) -> None:
        self.wait()

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end and return its exit status, as `subprocess.Popen.wait`."""
        if not self.has_ended.wait(timeout):
            raise subprocess.TimeoutExpired("snakemake", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Wait for its end and return what it printed."""
        self.wait(timeout)
        return self.output.read_text(encoding="utf-8"), None


class Loaded:
    """The process that has Snakemake loaded."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._close)

    def start(
        self, arguments: Sequence[str], folder: Path, output: Path, **environment: str
    ) -> Run:
        """Begin a run in a folder. What it prints goes to the file `output`.

        It has this process's environment, changed by `environment`.
        """
        run, number = Run(output), len(self._runs)
        self._runs[number] = run
        request = {
            "number": number,
            "arguments": list(arguments),
            "folder": str(folder),
            "output": str(output.absolute()),
            "environment": {**os.environ, **environment},
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        run.has_begun.wait()
        return run

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, what, value = line.split()
            run = self._runs[int(number)]
            if what == "pid":
                run.pid = int(value)
                run.has_begun.set()
            else:
                run.returncode = int(value)
                run.has_ended.set()
        for run in self._runs.values():
            # The process is gone, and with it who would tell of their ends.
            if run.returncode is None:
                run.returncode = -signal.SIGKILL
            run.has_begun.set()
            run.has_ended.set()

    def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@cache
def loaded() -> Loaded:
    """The process of these tests; it starts when it is first asked for."""
    return Loaded()


def serve() -> None:
    """Fork for each request on stdin, and tell on stdout which process it is and how it ends."""
    # As `headstyle` and the stages have it, which come too late: libraries read it as they load.
    os.environ |= {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}
    for name in LOADED:
        __import__(name)
    # Nobody waits for the forks, which wait for the runs.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            _watch(json.loads(line))


def _watch(request: dict[str, Any]) -> None:
    """Begin a run, tell its process, wait for it, and tell its end. Only the run returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        _run(request)
    _tell(f"{request['number']} pid {process}")
    _, status = os.waitpid(process, 0)
    _tell(f"{request['number']} end {os.waitstatus_to_exitcode(status)}")
    os._exit(0)


def _run(request: dict[str, Any]) -> NoReturn:
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)
    random.seed()
    if stage_forks.OWN_INTERPRETERS not in os.environ:
        stage_forks.fork_stages(SEARCHED)
    cli = sys.modules["snakemake.cli"]
    sys.argv = [str(Path(str(cli.__file__)).with_name("__main__.py")), *request["arguments"]]
    # As `python -m snakemake` has it.
    sys.path[0] = request["folder"]
    sys.exit(cli.main())


def _tell(line: str) -> None:
    # One write of a short line is whole, however many processes write.
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    serve()
