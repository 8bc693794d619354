"""The benchmark of the metrics: it runs, and what it compares with computes the same."""

import json
import subprocess
import sys

import pytest
from study import ROOT


def test_the_plain_loop_gives_the_values_of_the_library(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks/metrics.py"), "--device", "cpu"]
    scene = "--views 4 --neighbors 2 --width 64 --height 96 --loop-pairs 3 --threads 1"
    done = subprocess.run(
        [*command, *scene.split(), "--json", str(tmp_path / "metrics.json")],
        env={"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "times as fast as the loop" in done.stdout
    result = json.loads((tmp_path / "metrics.json").read_text())
    assert result["scene"]["pairs"] == 8
    *ours, with_headline, _ = result["rows"]
    assert [row["pairs"] for row in ours] == [2, 4, 8]
    assert with_headline["what"] == "the same and the headline"
    assert with_headline["pairs"] == 8
    assert result["scene"]["mean_overlap"] > 0.3
    assert min(result["means"].values()) > 0
    off = result["rows"][-1]["largest_difference"]
    assert off["rmse"] < 1e-5
    assert off["ciede2000"] < 1e-4
    assert off["lpips"] < 1e-5
    assert result["times_faster"] == pytest.approx(
        result["rows"][-1]["seconds"] / ours[-1]["seconds"]
    )
