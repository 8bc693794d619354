"""Real Snakemake runs of `score_renders`, and the examples of the README."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foreign_folder import sphere_rig, write_scene, write_sphere_splats
from headstyle.base.files import read_json, write_json
from headstyle.consistency.scoring import score
from headstyle.importers.scenes import SceneFiles, read_scene
from own_process import in_own_process
from study import ROOT, Study

pytestmark = pytest.mark.slow

NAMES = ["rmse", "ciede2000"]


@pytest.fixture
def scratch(study) -> Study:
    """A scratch study with a scene of another method in `mine/`."""
    made = study(study={"subjects": ["A"]}, metrics={"names": NAMES})
    write_scene(made.folder / "mine")
    return made


def entry(**changes: object) -> dict:
    files = {"renders": "mine/renders", "cameras": "mine/transforms.json", "depths": "mine/depth"}
    return files | changes


def set_scenes(scratch: Study, **scenes: dict) -> None:
    scratch.settings["foreign"] = scenes
    scratch.write_settings()


def test_scenes_with_and_without_their_unedited_views_come_into_one_table(scratch):
    write_sphere_splats(scratch.folder / "mine/own.ply")
    set_scenes(scratch, mine=entry(unedited="mine/renders", splats="mine/own.ply"), plain=entry())
    scratch.snakemake("score_renders")
    folder = scratch.folder / "results/foreign"
    scores = pd.read_csv(folder / "scores.csv").set_index(["scene", "shown"])
    assert len(scores) == 3
    assert (scores["views"] == 5).all()
    assert scores.loc[("mine", "renders"), "rmse_excess"] == 0
    assert np.isnan(scores.loc[("plain", "renders"), "rmse_excess"])
    assert (scores["rmse"] == scores["rmse"].iloc[0]).all()
    html = (folder / "scores.html").read_text()
    assert "before the edit" in html
    assert not re.search(r"(src|href)=[\"']https?://", html)
    explorer = (folder / "explorer.html").read_text()
    contents = read_json(folder / "mine/explorer.json"), read_json(folder / "plain/explorer.json")
    own, none = (each["content"]["renders"]["splats"] for each in contents)
    assert own["count"] > 1000
    assert none is None
    assert '"name":"mine","unedited":true' in explorer
    assert '"name":"plain","unedited":false' in explorer
    assert "Nothing to be done" in scratch.snakemake("score_renders")
    files = SceneFiles(*(scratch.folder / "mine" / n for n in ("renders", "transforms.json")))
    scene = read_scene(SceneFiles(files.renders, files.cameras, scratch.folder / "mine/depth"))
    direct = score(scene.renders, scene.depths, scene.cameras, scene.pairs, device="cpu")
    pairs = pd.read_csv(folder / "mine/consistency/pairs.csv", keep_default_na=False)
    np.testing.assert_allclose(pairs["rmse"].astype(float), direct["rmse"], atol=1e-9)


def test_without_depth_splats_are_fitted_to_the_unedited_views(scratch):
    set_scenes(scratch, mine=entry(depths=None, unedited="mine/renders"))
    scratch.settings["baseline"] |= {"iterations": 300}
    scratch.write_settings()
    scratch.snakemake("score_renders")
    folder = scratch.folder / "results/foreign"
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores["depth"]) == {"splats fitted to the unedited views"}
    assert (scores["overlap"] > 0.1).all()
    assert read_json(folder / "mine/fit/metrics.json")["psnr"] > 18


def test_numbers_may_come_from_the_command_line(scratch):
    scratch.snakemake(
        "score_renders",
        "--config",
        "foreign={mine: {renders: mine/renders, cameras: mine/transforms.json,"
        " depths: mine/depth, depth_scale: 1.0}}",
    )
    assert (scratch.folder / "results/foreign/scores.csv").exists()


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (entry(camera_axes="opencv"), "set foreign.mine.camera_axes to opengl"),
        (entry(depths="mine/nowhere"), "foreign.mine.depths: mine/nowhere does not exist"),
        (entry(splats="mine/own.ply"), "foreign.mine.splats: mine/own.ply does not exist"),
        (entry(depths=None), "foreign.mine has neither depths nor unedited"),
        (entry(depth="mine/depth"), "foreign.mine.depth is an unknown key"),
        (entry(depth_scale=0), "foreign.mine.depth_scale is 0; allowed: a number above 0"),
        (None, "the config's section foreign is empty"),
    ],
)
def test_bad_input_ends_with_one_sentence(scratch, scene, said):
    set_scenes(scratch, **({} if scene is None else {"mine": scene}))
    output = scratch.snakemake("score_renders", succeeds=False)
    assert "Traceback" not in output
    assert any(said in line for line in output.rstrip().splitlines()[-6:]), output[-3000:]
    assert not (scratch.folder / "results/foreign/scores.csv").exists()


def test_names_of_any_kind_and_folders_come_through_snakemake(scratch):
    folder = scratch.folder / "mine"
    content = read_json(folder / "transforms.json")
    for old, new in (("v0", "left/{a} 1"), ("v1", "right/{a} 1"), ("v2", "right/B\u00fcste (2)")):
        for place, suffix in (("renders", ".png"), ("depth", ".npy")):
            target = folder / place / f"{new}{suffix}"
            target.parent.mkdir(exist_ok=True)
            (folder / place / f"{old}{suffix}").rename(target)
        [frame] = [f for f in content["frames"] if f["file_path"] == f"{old}.png"]
        frame["file_path"] = f"images/{new}.png"
    for place in ("renders", "depth"):
        for path in sorted((folder / place).glob("v*")):
            path.rename(path.parent / "left" / path.name)
        (folder / place / "left" / "._v3.png").write_bytes(b"of macOS")
    write_json(folder / "transforms.json", content)
    set_scenes(scratch, mine=entry())
    scratch.snakemake("score_renders")
    scores = pd.read_csv(scratch.folder / "results/foreign/scores.csv")
    assert scores["views"].tolist() == [5]
    assert scores["rmse"][0] < 0.1
    renders = scratch.folder / "results/foreign/mine/renders"
    shown = sorted(path.stem for path in renders.glob("*.png"))
    assert shown == ["left__a__1", "left_v3", "left_v4", "right_B\u00fcste__2_", "right__a__1"]
    assert "Nothing to be done" in scratch.snakemake("score_renders")


def readme_examples() -> tuple[str, str]:
    """The command and the Python of the README's section on renders of other methods."""
    section = (ROOT / "README.md").read_text().split("## Score your own renders")[1]
    section = section.split("\n## ")[0]
    [command] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return command, code


@pytest.fixture
def after_the_demo(scratch) -> Path:
    """A folder with what the examples take from the demo's results, of a sphere."""
    (scratch.folder / "config/demo.yaml").write_text((ROOT / "config/demo.yaml").read_text())
    subject = scratch.folder / "results/demo/A"
    write_scene(subject)
    avatar = subject / "avatars/P3_high"
    avatar.mkdir(parents=True)
    (subject / "views").mkdir()
    (subject / "transforms.json").rename(subject / "views/transforms.json")
    for name in ("renders", "depth"):
        (subject / name).rename(avatar / name)
    return scratch.folder


def test_the_command_in_the_readme_runs(after_the_demo):
    command, _ = readme_examples()
    snakemake = f"{sys.executable} -m snakemake --snakefile {ROOT / 'Snakefile'}"
    command = command.replace("snakemake", snakemake, 1)
    done = subprocess.run(
        ["bash", "-c", command], cwd=after_the_demo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = pd.read_csv(after_the_demo / "results/demo/foreign/scores.csv")
    assert list(scores["scene"]) == ["mine"]
    assert scores["rmse"][0] < 0.05


def test_the_python_in_the_readme_runs(after_the_demo, monkeypatch, capsys):
    monkeypatch.chdir(after_the_demo)
    exec(compile(readme_examples()[1], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["view", "neighbours", "rmse", "ciede2000"]
    assert len(lines) == 6


def write_colmap(folder: Path, name: str = "PINHOLE", distortion: tuple = ()) -> None:
    """A COLMAP model in text of the sphere's cameras, without points."""
    from scipy.spatial.transform import Rotation

    rig = sphere_rig()
    folder.mkdir()
    cameras, images = [], []
    for number, view in enumerate(rig.names, start=1):
        matrix, pose = rig.intrinsics[number - 1], rig.world_to_camera[number - 1]
        params = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *distortion]
        cameras.append(f"{number} {name} 72 96 {' '.join(map(str, params))}\n")
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        place = " ".join(map(str, (w, x, y, z, *pose[:3, 3])))
        images.append(f"{number} {place} {number} {view}.png\n\n")
    (folder / "cameras.txt").write_text("".join(cameras))
    (folder / "images.txt").write_text("".join(images))
    (folder / "points3D.txt").write_text("")


def read_with(folder: Path, cameras: Path) -> tuple[float, str]:
    """The agreement of the scene with these cameras, or what is said of them."""
    from headstyle.base.errors import InputError

    try:
        scene = read_scene(SceneFiles(folder / "renders", cameras, folder / "depth"))
    except InputError as error:
        return 0.0, str(error)
    return scene.explained, ""


def test_a_colmap_model_gives_the_cameras(tmp_path):
    write_scene(tmp_path / "mine")
    write_colmap(tmp_path / "colmap")
    write_colmap(tmp_path / "bent", "OPENCV", (0.1, 0, 0, 0))
    agreement, said = in_own_process(read_with, tmp_path / "mine", tmp_path / "colmap")
    assert agreement > 0.5, said
    _, said = in_own_process(read_with, tmp_path / "mine", tmp_path / "bent")
    assert not said  # It is undistorted, see test_distorted_scenes.py.
