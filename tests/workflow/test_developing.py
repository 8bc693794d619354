"""A subject whose photographs are a video: a rule makes them, and the masks are made of those."""

import shutil

import pytest
from films import picture, write_video
from headstyle.base.files import read_json
from study import Study

pytestmark = pytest.mark.slow


def test_a_video_becomes_photographs_that_are_masked(tmp_path):
    changes = {
        "study": {"subjects": ["V"]},
        "photographs": {"video_frames": 4},
        "masks": {"steps": ["chroma_key"]},
    }
    study = Study.with_demo_settings(tmp_path, changes)
    write_video(tmp_path / "my head.mp4", [picture(step) for step in range(12)])
    table = "subject\tsource\tphotographs\nV\tphotographs\tmy head.mp4\n"
    (tmp_path / "config" / "subjects.tsv").write_text(table)
    study.snakemake("results/V/masks/masks.json")
    masks = read_json(tmp_path / "results" / "V" / "masks" / "masks.json")
    developed = read_json(tmp_path / "results" / "V" / "developed" / "developed.json")
    assert list(masks["views"]) == list(developed["views"])
    assert len(masks["views"]) == 4
    # Another video is another capture.
    shutil.move(tmp_path / "my head.mp4", tmp_path / "other.mp4")
    said = study.snakemake("--dry-run", "results/V/masks/masks.json", succeeds=False)
    assert "photographs my head.mp4 does not exist" in said
