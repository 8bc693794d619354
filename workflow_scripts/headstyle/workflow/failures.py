"""What made a run fail, gathered from the logs of its jobs."""

import re
from pathlib import Path

_RECORD = re.compile(r"\d\d:\d\d:\d\d ([A-Z]+) (.*)")


def failures(logs: str | Path, since: float) -> dict[Path, str]:
    """The last error of each log that ends with one, by log.

    Args:
        logs: Folder of the logs that `stage` writes.
        since: Older logs are not looked at [s since the epoch].

    Returns:
        The sentence of the error; for an unexpected one also the exception at its traceback's end.
    """
    found = {}
    for path in sorted(Path(logs).rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        starts = [i for i, line in enumerate(lines) if _RECORD.fullmatch(line)]
        if not starts:
            continue
        record = _RECORD.fullmatch(lines[starts[-1]])
        assert record is not None, "`starts` are records"
        level, sentence = record.groups()
        if level == "ERROR":
            traceback = lines[starts[-1] + 1 :]
            found[path] = f"{sentence} ({traceback[-1]})" if traceback else sentence
    return found


def describe_failures(logs: str | Path, since: float) -> str:
    """One line per failed job that said why, naming its log; empty where none did."""
    lines = [f"  {path}: {sentence}\n" for path, sentence in failures(logs, since).items()]
    return "".join(["\nWhat stopped the run:\n", *lines]) if lines else ""
