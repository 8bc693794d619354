"""Stylized heads that move, their renders and their scores."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from ball_avatars import CONFIG, control_editing, order
from headstyle.avatars.files import OUTPUTS, AvatarFolder
from headstyle.avatars.job import Job
from headstyle.base.files import read_json, write_json
from headstyle.base.images import composite, read_rgba
from headstyle.base.settings import default_values
from headstyle.base.tables.rows import write_cells
from headstyle.evaluation.scores import Networks
from headstyle.evaluation.tables import summarize_evaluations
from headstyle.rigged.evaluation import HEAD, scene_facts, score_frames
from headstyle.rigged.scene import read_scene, write_all_frames, write_scene
from headstyle.rigged.sequence import read_sequence, write_sequence
from headstyle.rigged.settings import SETTINGS
from headstyle.rigged.stylization import neighbors_in_time, read_rigged_subject
from moving_ball import ball_cameras, colored_scene, moving_meshes, write_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The ball's sequence with another one's motion inside, and the scene without error."""
    made = tmp_path_factory.mktemp("moving")
    meshes = moving_meshes(3)
    scene = colored_scene(meshes)
    whole = write_images(made, meshes, scene, ball_cameras())
    still = replace(meshes, vertices=meshes.vertices[:1])
    driven = write_images(made, still, scene, ball_cameras(2))
    write_sequence(made / "sequence", whole, driven)
    write_scene(made / "splats.ply", scene)
    return made


@pytest.fixture(scope="module")
def made(folder):
    """An avatar by a control edit of one of two timesteps of the training."""
    rigged = default_values(SETTINGS)
    rigged["edited_timesteps"] = 1
    subject = read_rigged_subject(
        folder / "sequence", folder / "splats.ply", rigged, CONFIG["adjacency"], "cpu"
    )
    editing = control_editing()
    editing["control"]["per_view_randomness"] = 0.0
    chosen = order(folder, "high", editing, iterations=40, edit_every=40, refine_every=0)
    Job(subject, "inputs", {}, "cpu").make(chosen)
    files = AvatarFolder(chosen.folder, chosen.task("inputs"))
    files.deliver({key: chosen.folder / name for key, name in OUTPUTS.items()})
    return subject, chosen.folder


def test_only_the_chosen_timesteps_are_edited_and_all_frames_rendered(folder, made):
    subject, avatar = made
    assert {frame.timestep for frame in subject.frames} == {0}
    names = sorted(path.stem for path in (avatar / "edits" / "cycle0").iterdir())
    assert names == ["000_00", "000_01", "000_02"]
    sequence = read_sequence(folder / "sequence")
    for split in ("train", "val", "test"):
        expected = [f"{frame.name}.png" for frame in sequence.of_split(split)]
        assert sorted(path.name for path in (avatar / "renders" / split).iterdir()) == expected
        assert len(list((avatar / "depth" / split).iterdir())) == len(expected)
    assert len(list((avatar / "renders" / "driven").iterdir())) == 2


def test_the_edit_of_one_timestep_reaches_an_expression_that_was_not_edited(folder, made):
    subject, avatar = made
    sequence = read_sequence(folder / "sequence")

    def mean_color(image):
        return composite(image)[image[..., 3] > 0.5].mean(axis=0)

    edits = avatar / "edits" / "cycle0"
    wanted = np.mean(
        [
            mean_color(read_rgba(edits / f"{v}.png")) - mean_color(subject.photographs[v])
            for v in ("000_00", "000_01", "000_02")
        ],
        axis=0,
    )
    seen = np.mean(
        [
            mean_color(read_rgba(avatar / "renders" / "test" / f"{frame.name}.png"))
            - mean_color(read_rgba(frame.image))
            for frame in sequence.of_split("test")
        ],
        axis=0,
    )
    assert np.linalg.norm(wanted) > 0.1
    np.testing.assert_allclose(seen, wanted, atol=0.3 * np.linalg.norm(wanted))


def test_an_avatar_is_bound_to_the_same_triangles(folder, made):
    _, avatar = made
    meshes = read_sequence(folder / "sequence").meshes
    start = read_scene(folder / "splats.ply", meshes)
    found = read_scene(avatar / "splats.ply", meshes)
    assert torch.equal(found.triangles, start.triangles)
    assert not torch.equal(found.splats["sh0"], start.splats["sh0"])
    assert read_json(avatar / "run.json")["views"] == ["000_00", "000_01", "000_02"]


def test_neighbors_are_cameras_of_the_same_timestep(folder):
    frames = read_sequence(folder / "sequence").frames
    found = neighbors_in_time(frames, 2, 60)
    assert all(found)
    for frame, others in zip(frames, found, strict=True):
        assert {frames[i].timestep for i in others} == {frame.timestep}
        assert frame.name not in {frames[i].name for i in others}


def test_renders_of_the_true_scene_score_as_the_truth(folder, tmp_path):
    sequence = read_sequence(folder / "sequence")
    scene = read_scene(folder / "splats.ply", sequence.meshes)
    write_all_frames(scene, sequence, None, tmp_path / "renders", tmp_path / "depth")
    networks = Networks.with_mini_only("cpu")
    rows = score_frames("A", sequence, tmp_path / "renders", ["black"], networks, 0)
    write_cells(tmp_path / "evaluation.csv", [HEAD, *rows])
    facts = scene_facts(scene, folder / "splats.ply", sequence)
    write_json(tmp_path / "evaluation.json", facts)
    table = summarize_evaluations([tmp_path]).query("subject == 'A' and region == 'masked'")
    assert dict(zip(table["split"], table["views"], strict=True)) == {
        "novel_view": 2,
        "self_reenactment": 4,
    }
    # Equal but for the rounding to 8 bits.
    assert (table["psnr"] > 45).all()
    assert (table["lpips_mini"] < 1e-3).all()
    assert (table["splats"] == 160).all()
    assert (table["fps"] > 0).all()
    assert not pd.isna(table["spz_bytes"]).any()
