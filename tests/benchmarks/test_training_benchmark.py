"""The benchmark of the training: it runs on a small head, and its numbers belong together."""

import json
import subprocess
import sys
from argparse import Namespace

import pytest
from study import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))


@pytest.mark.slow
def test_a_plain_and_our_training_are_scored_on_the_same_views(tmp_path):
    from head_views import make_views

    make_views(tmp_path / "views", size_px=72, grid=(2, 4, 1), coarseness=8.0)
    names = ["plain", "plain_fused", "ours", "selection", "mcmc30k", "unexposed", "batch2"]
    options = f"--device cpu --iterations 60 --variants {','.join(names)} --adjacency"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks/train_splats.py"), *options.split()),
            *("--views", str(tmp_path / "views"), "--json", str(tmp_path / "rows.json")),
            *("--adjacency-splats", "500", "--adjacency-size", "40", "60", "--repeats", "2"),
        ],
        env={"PYTHONPATH": str(ROOT / "workflow_scripts"), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "7 training and 2 held-out views of [(48, 72)] px" in done.stdout
    result = json.loads((tmp_path / "rows.json").read_text())
    assert list(result["variants"]) == names
    for name, row in result["variants"].items():
        iterations = 30 if name == "batch2" else 60
        assert row["end"]["iteration"] == iterations
        assert 10 < row["end"]["heldout_psnr"] < 50
        assert row["milliseconds"] == pytest.approx(1000 * row["seconds"] / iterations)
        assert ("heldout_psnr_exposed" in row["end"]) == (
            name not in ("plain", "plain_fused", "unexposed")
        )
    assert 0 < result["variants"]["selection"]["chosen_iteration"] <= 60
    assert [row["what"].split(",")[0] for row in result["adjacency"]] == [
        "iteration of 9 views",
        "iteration of 1 views",
    ]


def test_a_part_that_fails_keeps_no_other_out_of_the_file(tmp_path, monkeypatch):
    import train_splats

    def measured(name, *_):
        if name == "plain":
            raise RuntimeError("no memory")
        # What was measured before is in the file already.
        assert "plain" in json.loads(options.json.read_text())["failed"]
        return {"seconds": 1.0, "milliseconds": 1.0}

    monkeypatch.setattr(train_splats, "measured", measured)
    monkeypatch.setattr(train_splats, "views_of", lambda *_: None)
    options = Namespace(
        variants=["plain", "ours"], adjacency=False, profile=False, json=tmp_path / "rows.json"
    )
    train_splats.measure_all(options, {"variants": {}, "failed": {}}, "")
    written = json.loads(options.json.read_text())
    assert written["failed"] == {"plain": "RuntimeError: no memory"}
    assert list(written["variants"]) == ["ours"]
