"""What made a run fail: one sentence for what a machine runs out of, and what the logs tell."""

import errno
import re
from collections.abc import Mapping
from pathlib import Path

from headstyle.base.errors import first_line
from headstyle.base.locks import WITHOUT_LOCKS

_AGAIN = "run the same command again; finished work is kept"
_OUT_OF_MEMORY = (
    "lower the size of the images or max_splats, run fewer jobs at once (fewer --cores), or take a"
    " larger machine"
)
_OF_DISKS = {
    errno.ENOSPC: f"free some space, and {_AGAIN}",
    errno.EDQUOT: f"free some of your quota, and {_AGAIN}",
    errno.EROFS: "choose a results_dir that can be written",
    errno.EACCES: "give yourself the right to it, or choose a results_dir that can be written",
    errno.EPERM: "give yourself the right to it, or choose a results_dir that can be written",
    errno.EIO: f"check the disk and its cable, and {_AGAIN}",
    errno.ESTALE: f"check the network share, and {_AGAIN}",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and run the same command again",
    **dict.fromkeys(WITHOUT_LOCKS, "choose a results_dir on a file system that has locks"),
    errno.ENAMETOOLONG: "shorten the names of files and folders",
}


def sentence_of(error: BaseException) -> str | None:
    """One sentence for an error of the machine: disk, memory or GPU; None for any other error."""
    # By name, so that no stage imports PyTorch or OpenCV only to fail.
    names = {kind.__name__ for kind in type(error).__mro__}
    text = first_line(error)
    if "OutOfMemoryError" in names:
        return (
            f"the GPU has not enough memory ({text}); end other programs on it, lower the size of"
            " the images or max_splats, or see docs/stylization.md, Memory"
        )
    if "AcceleratorError" in names or "CUDA error" in text or "no CUDA-capable device" in text:
        return f"the GPU failed ({text}); look at it with nvidia-smi, and {_AGAIN}"
    if isinstance(error, MemoryError) or re.search(
        r"can't allocate memory|Insufficient memory|bad_alloc|Cannot allocate memory", text
    ):
        return f"the machine has not enough memory ({text}); {_OUT_OF_MEMORY}"
    if "BrokenProcessPool" in names:
        return f"a worker process was ended from outside, often for lack of memory; {_AGAIN}"
    if isinstance(error, OSError) and error.errno in _OF_DISKS:
        where = error.filename or "the disk"
        return f"{where} cannot be used ({error.strerror}); {_OF_DISKS[error.errno]}"
    return None


_RECORD = re.compile(r"\d\d:\d\d:\d\d ([A-Z]+) (.*)")


def written_at(logs: str | Path) -> dict[Path, int]:
    """When each log was written [ns since the epoch], so that `failures` can tell the new ones."""
    return {path: path.stat().st_mtime_ns for path in Path(logs).rglob("*.log")}


def failures(logs: str | Path, before: Mapping[Path, int]) -> dict[Path, str]:
    """The last error of each log that ends with one, by log.

    Args:
        logs: Folder of the logs that `stage` writes.
        before: What `written_at` said when the run began. A log that was not written since is not
            looked at. Times are only compared for equality: a clock may be set back, and that of a
            network share may differ from ours.

    Returns:
        The sentence of the error; for an unexpected one also the exception at its traceback's end.
        A log that just stops is of a job that was killed.
    """
    found = {}
    for path in sorted(Path(logs).rglob("*.log")):
        if path.stat().st_mtime_ns != before.get(path) and (sentence := error_of(path)):
            found[path] = sentence
    return found


def error_of(log: str | Path) -> str | None:
    """The sentence with which the log of a job ends; None if the job is done or never began."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    starts = [i for i, line in enumerate(lines) if _RECORD.fullmatch(line)]
    if not starts:
        return None
    record = _RECORD.fullmatch(lines[starts[-1]])
    assert record is not None, "`starts` are records"
    level, sentence = record.groups()
    if level == "ERROR":
        traceback = lines[starts[-1] + 1 :]
        return f"{sentence} ({traceback[-1]})" if traceback else sentence
    if sentence.startswith("done"):
        return None
    return f"the job was ended from outside, often for lack of memory; {_AGAIN}"


def describe_failures(logs: str | Path, before: Mapping[Path, int]) -> str:
    """One line per failed job that said why, naming its log; empty where none did."""
    lines = [f"  {path}: {sentence}\n" for path, sentence in failures(logs, before).items()]
    return "".join(["\nWhat stopped the run:\n", *lines]) if lines else ""
