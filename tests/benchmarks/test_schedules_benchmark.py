"""The comparison of editing schedules, on the tiny study that the tests share."""

import json
import shutil
import subprocess
import sys

import pytest
from study import ROOT

pytestmark = pytest.mark.slow


def test_schedules_start_from_one_baseline_and_a_refused_one_says_why(copy):
    subject = copy.folder / "results/A"
    # The truth of no edit at all: each avatar is farther from it than its baseline.
    (subject / "true_edits/recolor").mkdir(parents=True)
    for view in (subject / "views").glob("*.png"):
        shutil.copy(view, subject / "true_edits/recolor")
    written = copy.folder / "rows.json"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks/schedules.py")),
            *(str(subject / "avatars/recolor_low"), "--configfile", "settings.yaml"),
            *("--schedules", "once", "anchor", "--shorter", "250", "--size-px", "48"),
            *("--json", str(written)),
        ],
        cwd=copy.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    unedited, once, anchor = json.loads(written.read_text())["rows"]
    assert "the editor control takes none" in anchor["refused"]
    assert (once["schedule"], once["iterations"], once["edits_kept"]) == ("once", 10, 9)
    assert once["truth_flip"] > unedited["truth_flip"]
    assert once["headline"] > 0
    assert once["cpu_s"] > 0
    assert anchor["refused"] in done.stdout
