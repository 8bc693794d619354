"""The benchmark of radiance fields: it runs small, and its numbers belong together."""

import json
import subprocess
import sys

import pytest
from study import ROOT


@pytest.mark.slow
def test_a_field_is_scored_beside_splats_and_edited_by_each_preset(tmp_path):
    written = tmp_path / "nerf.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/nerf.py"), "--toy", "--json", str(written)],
        env={"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "9 views of [(48, 72)] px, every 8th held out" in done.stdout
    rows = json.loads(written.read_text())
    for scene in ("nerf", "splats"):
        assert 5 < rows[scene]["heldout_psnr"] < 50
        assert rows[scene]["seconds"] > 0
    for preset, lpips in (("in2n", True), ("in2n-small", True), ("in2n-tiny", False)):
        row = rows[preset]
        assert row["lpips"] == lpips
        assert 0 < row["share_of_edits"] < 1
        assert row["published_s"] == pytest.approx(10 * row["milliseconds"])
        assert row["edit_milliseconds"] == pytest.approx(
            row["share_of_edits"] * row["milliseconds"]
        )
