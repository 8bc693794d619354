"""Results in a store: each stage gets what it declares, and what it makes is brought back."""

import json
import shutil
from pathlib import Path

import pytest
from study import Study
from tiny_study import TINIEST

pytestmark = pytest.mark.slow

CAMERAS = "results/A/adjacency.csv"


def test_in_a_store_the_stages_make_the_same_files_from_what_they_declare(tmp_path):
    pytest.importorskip("snakemake_storage_plugin_fs")
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed, by which the plugin copies")
    made = {}
    for name in ("plain", "stored"):
        (tmp_path / name).mkdir()
        study = Study.with_demo_settings(tmp_path / name, TINIEST)
        study.write_settings()
        store = tmp_path / name if name == "plain" else tmp_path / "store"
        options = ["--default-storage-provider", "fs", "--default-storage-prefix", str(store)]
        study.snakemake(CAMERAS, *(options if name == "stored" else []))
        made[name] = _contents(store / "results" / "A")
    assert made["stored"].keys() == made["plain"].keys()
    differ = {path for path in made["plain"] if made["stored"][path] != made["plain"][path]}
    # It names the photographs by their places.
    assert differ <= {"masks/masks.json"}
    masks = json.loads(made["stored"]["masks/masks.json"])["views"]
    assert masks.keys() == json.loads(made["plain"]["masks/masks.json"])["views"].keys()
    # Copies are deleted when no job needs them any more.
    assert not list((tmp_path / "stored").rglob("views/*.png"))


def _contents(folder: Path) -> dict[str, bytes]:
    """The files that stages make, without the hidden ones, by their place in the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
