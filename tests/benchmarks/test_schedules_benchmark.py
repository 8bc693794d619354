"""The comparison of editing schedules, on a ball of splats."""

import json
import subprocess
import sys

import numpy as np
import yaml
from ball_avatars import ball_subject, control_editing
from headstyle.base.adjacency import write_adjacency
from headstyle.base.cameras import write_cameras
from headstyle.base.images import write_image
from headstyle.rendering.splats import write_ply
from study import ROOT

RUN = {
    **{"subject": "A", "prompt": "P4", "prompt_text": "Paint it", "strength": "low", "seed": 0},
    "edits": [{"cycle": 0, "text_guidance": 4.0, "image_guidance": 1.5}],
    "editor": {"editor": "control"},
}


def test_schedules_start_from_one_baseline_and_a_refused_one_says_why(tmp_path):
    subject, folder, avatar = ball_subject(), tmp_path / "A", tmp_path / "A/avatars/P4_low"
    # The truth of no edit at all: each avatar is farther from it than its baseline.
    for place in ("views", "true_edits/P4", "baseline", "avatars/P4_low"):
        (folder / place).mkdir(parents=True)
    for name, image in subject.photographs.items():
        write_image(folder / "views" / f"{name}.png", image)
        write_image(folder / "true_edits/P4" / f"{name}.png", image)
    write_cameras(folder / "views/cameras.json", subject.cameras)
    write_ply(folder / "baseline/splats.ply", subject.splats)
    near = np.array([[j in row for j in range(4)] for row in subject.neighbors])
    write_adjacency(folder / "adjacency.csv", subject.cameras.names, near)
    (avatar / "run.json").write_text(json.dumps(RUN))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({"editing": control_editing()}))
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks/schedules.py"), str(avatar)),
            *("--configfile", str(tmp_path / "settings.yaml"), "--shorter", "250"),
            *("--schedules", "once", "anchor", "--json", str(tmp_path / "rows.json")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    unedited, once, anchor = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (once["schedule"], once["iterations"], once["edits_kept"]) == ("once", 10, 4)
    assert once["truth_flip"] > unedited["truth_flip"]
    assert once["headline"] > 0
    assert once["cpu_s"] > 0
    assert "the editor control takes none" in anchor["refused"]
    assert anchor["refused"] in done.stdout
