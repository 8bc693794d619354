"""Truths about the stylization's schedule, seeds and loop, on a tiny scene."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from headstyle.cameras import Cameras
from headstyle.editing import make_editor
from headstyle.editing.control import ControlEditor
from headstyle.errors import InputError
from headstyle.losses import photometric_loss
from headstyle.rendering import render_views
from headstyle.seeds import avatar_seed
from headstyle.splats import splats_from_points
from headstyle.stylization import (
    ThesisSchedule,
    avatar_settings,
    describe_run,
    make_instructions,
    make_schedule,
    read_neighbors,
    stylize,
    views_to_edit,
)
from headstyle.training import SplatTrainer, TrainingSettings
from tiny_pipeline import write_tiny_pipeline

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config" / "config.yaml").read_text())
# Steps ten times as large as the study's, for trainings a hundred times as short.
BASELINE = CONFIG["baseline"] | {
    "learning_rates": CONFIG["baseline"]["learning_rates"] | {"sh0": 2.5e-2}
}
STYLIZATION = CONFIG["stylization"] | {"iterations": 60, "refine_every": 20}
EDITING = {
    "noise_level": [0.70, 0.98],
    "text_guidance_increment": 0.5,
    "image_guidance_increment": 0.2,
}
LOW = {"text_guidance": 5.0, "image_guidance": 2.0}


def instructions(prompt="P4", text="Give him red hair", cycles=2, seed=1):
    return make_instructions(prompt, text, LOW, EDITING, cycles, seed)


@pytest.fixture(scope="module")
def scene():
    """An opaque ball of 300 splats of smoothly varying color."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 3))
    points *= 0.5 / np.linalg.norm(points, axis=1, keepdims=True)
    splats = splats_from_points(points, 0.5 + points, sh_degree=0, seed=0)
    splats["opacities"].data.fill_(3.0)
    return splats


@pytest.fixture(scope="module")
def cameras():
    """Four cameras in an arc, three upright and one lying, that look at the ball from 3 units."""
    angles = np.deg2rad([-30, -10, 10, 30])
    poses = np.tile(np.eye(4), (4, 1, 1))
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, 2, 3] = 3
    sizes = np.array([(24, 32), (24, 32), (24, 32), (32, 24)])
    intrinsics = np.tile(np.diag([60.0, 60.0, 1.0]), (4, 1, 1))
    intrinsics[:, :2, 2] = sizes / 2
    return Cameras(("a", "b", "c", "d"), sizes, intrinsics, poses)


@pytest.fixture(scope="module")
def photographs(scene, cameras):
    """What the cameras see of the scene: a baseline without error."""
    return {name: image for name, image, *_ in render_views(scene, cameras)}


def test_guidance_grows_by_its_increments_from_cycle_to_cycle():
    made = instructions(cycles=3)
    assert [i.text_guidance for i in made] == pytest.approx([5.0, 5.5, 6.0])
    assert [i.image_guidance for i in made] == pytest.approx([2.0, 2.2, 2.4])
    assert [i.cycle for i in made] == [0, 1, 2]


def test_noise_levels_are_drawn_per_cycle_from_their_range():
    levels = np.array([i.noise_level for i in instructions(cycles=200)])
    assert levels.min() >= 0.70
    assert levels.max() <= 0.98
    assert 0.82 < levels.mean() < 0.86
    assert len(set(levels)) == 200


def test_further_cycles_change_nothing_about_the_first_ones():
    assert instructions(cycles=2) == instructions(cycles=5)[:2]


def test_another_seed_draws_other_noise_levels():
    assert instructions(seed=1)[0].noise_level != instructions(seed=2)[0].noise_level


def test_an_avatars_seed_depends_on_all_its_names_and_stays_the_same_for_ever():
    seed = avatar_seed(0, "A", "P4", "low")
    others = [(1, "A", "P4", "low"), (0, "B", "P4", "low"), (0, "A", "P6", "low")]
    others += [(0, "A", "P4", "high"), (0, "AP4", "", "low")]
    assert seed not in {avatar_seed(*names) for names in others}
    assert seed == 98219430474619


@pytest.mark.parametrize(
    ("iterations", "edit_every", "starts"),
    [(5000, 2500, {0: 0, 2500: 1}), (5, 2, {0: 0, 2: 1, 4: 2}), (3, 10, {0: 0})],
)
def test_all_views_are_edited_every_so_many_iterations(iterations, edit_every, starts):
    schedule = ThesisSchedule(iterations, edit_every)
    found = {i: schedule.cycle_starting_at(i) for i in range(iterations)}
    assert {i: cycle for i, cycle in found.items() if cycle is not None} == starts
    assert schedule.cycles == len(starts)


def test_a_batch_is_a_view_and_its_neighbors_and_views_take_turns():
    neighbors = [[1], [0, 2], [1]]
    schedule = ThesisSchedule(6, 3)
    batches = [schedule.batch(i, neighbors) for i in range(4)]
    assert batches == [[0, 1], [1, 0, 2], [2, 1], [0, 1]]


def test_an_unknown_schedule_is_an_error():
    with pytest.raises(InputError, match=r"stylization\.schedule is 'other'"):
        make_schedule({"schedule": "other", "iterations": 1, "edit_every": 1})


def test_neighbors_follow_the_cameras_order_and_never_hold_the_view_itself(tmp_path):
    table = tmp_path / "adjacency.csv"
    table.write_text("view,c,a,b\nc,1,1,0\na,1,0,1\nb,0,1,0\n")
    assert read_neighbors(table, ["a", "b", "c"]) == [[1, 2], [0], [0]]


def test_a_view_that_the_adjacency_lacks_is_named(tmp_path):
    table = tmp_path / "adjacency.csv"
    table.write_text("view,a\na,0\n")
    with pytest.raises(InputError, match="has no view 'b'"):
        read_neighbors(table, ["a", "b"])


def test_a_file_that_is_no_adjacency_table_is_an_error(tmp_path):
    table = tmp_path / "adjacency.csv"
    for content in ("", "view,a,b\na,0\nb,1,0\n", "view,a,b\na,0,yes\nb,1,0\n"):
        table.write_text(content)
        with pytest.raises(InputError, match="is not an adjacency table"):
            read_neighbors(table, ["a", "b"])


def test_the_loss_of_a_batch_is_the_mean_of_single_losses():
    generator = torch.Generator().manual_seed(0)
    rendered, target = torch.rand((2, 5, 24, 24, 3), generator=generator)
    singles = [photometric_loss(rendered[i : i + 1], target[i : i + 1], 0.2) for i in range(5)]
    torch.testing.assert_close(photometric_loss(rendered, target, 0.2), torch.stack(singles).mean())


ARC = [[1], [0, 2], [1, 3], [2]]


@pytest.fixture
def trainer(scene, cameras, photographs):
    return SplatTrainer(scene, cameras, photographs, avatar_settings(BASELINE, STYLIZATION), seed=1)


def run(trainer, photographs, editor, schedule):
    """Stylize and return the edits of each cycle."""
    cycles = []
    stylize(
        trainer,
        editor,
        schedule,
        instructions(cycles=schedule.cycles),
        photographs,
        ARC,
        on_edits=lambda instruction, edits: cycles.append((instruction.cycle, edits)),
    )
    return cycles


def test_every_iteration_trains_on_the_latest_edits(trainer, photographs, monkeypatch):
    events = []
    monkeypatch.setattr(trainer, "replace_targets", lambda edits: events.append(edits))
    monkeypatch.setattr(trainer, "step", lambda batch: events.append(batch) or torch.zeros(()))
    cycles = run(trainer, photographs, ControlEditor({"P4": "recolor"}), ThesisSchedule(5, 2))
    assert [cycle for cycle, _ in cycles] == [0, 1, 2]
    (_, first), (_, second), (_, third) = cycles
    assert events == [first, [0, 1], [1, 0, 2], second, [2, 1, 3], [3, 2], third, [0, 1]]
    assert list(first) == ["a", "b", "c", "d"]


def test_a_view_to_edit_pairs_the_photograph_with_the_render_from_its_camera(
    scene, cameras, photographs
):
    views = views_to_edit(scene, cameras, photographs)
    assert [view.name for view in views] == list(cameras.names)
    for view in views:
        assert view.photograph is photographs[view.name]
        np.testing.assert_array_equal(view.render, photographs[view.name])


def test_an_avatar_keeps_its_baselines_settings_except_those_of_stylization():
    settings = avatar_settings(BASELINE, STYLIZATION | {"refine_every": 7})
    baseline = TrainingSettings.from_config(BASELINE)
    assert settings.iterations == STYLIZATION["iterations"]
    assert settings.learning_rates == baseline.learning_rates
    assert (settings.refine.start, settings.refine.every) == (0, 7)
    assert settings.refine.stop == settings.iterations < settings.refine.reset_opacity_every
    assert settings.refine.densify_gradient == baseline.refine.densify_gradient
    assert avatar_settings(BASELINE, STYLIZATION | {"refine_every": 0}).refine is None


def distance(image, other):
    """Root mean square difference of two views on black."""
    difference = image[..., :3] * image[..., 3:] - other[..., :3] * other[..., 3:]
    return float(np.sqrt(np.square(difference).mean()))


def test_the_record_of_a_run_is_json_without_times():
    made = instructions(text='say "hi"\nи пока')
    editor = ControlEditor({"P4": "recolor"})
    record = describe_run(made, ThesisSchedule(60, 30), editor, "cpu")
    assert json.loads(json.dumps(record)) == record
    assert record["prompt_text"] == 'say "hi"\nи пока'
    assert [cycle["iteration"] for cycle in record["cycles"]] == [0, 30]
    assert record["cycles"][1]["text_guidance"] == pytest.approx(5.5)
    assert "seconds" not in json.dumps(record)


@pytest.mark.parametrize("operation", ["recolor", "painterly"])
def test_the_splats_move_to_the_edits_in_every_view(trainer, photographs, operation):
    (_, _), (_, edits) = run(
        trainer, photographs, ControlEditor({"P4": operation}, 0.1), ThesisSchedule(60, 30)
    )
    for view in views_to_edit(trainer.splats, trainer.cameras, photographs):
        edit = edits[view.name]
        assert distance(view.render, edit) < 0.9 * distance(photographs[view.name], edit)


def test_a_rerun_gives_the_same_bytes(scene, cameras, photographs):
    results = []
    for _ in range(2):
        trainer = SplatTrainer(
            scene, cameras, photographs, avatar_settings(BASELINE, STYLIZATION), seed=1
        )
        run(trainer, photographs, ControlEditor({"P4": "painterly"}, 0.5), ThesisSchedule(6, 3))
        results.append(trainer.splats)
    for name, values in results[0].items():
        assert torch.equal(values, results[1][name]), name


def test_all_of_the_scenes_harmonics_are_in_use_from_the_start(cameras, photographs):
    splats = splats_from_points(np.eye(4, 3), np.ones((4, 3)), sh_degree=2, seed=0)
    settings = avatar_settings(BASELINE, STYLIZATION)
    trainer = SplatTrainer(splats, cameras, photographs, settings, seed=1)
    assert trainer.active_sh_degree == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_avatar_on_the_gpu_moves_to_the_edits_of_a_half_precision_pipeline(
    scene, cameras, photographs, tmp_path
):
    pipeline = write_tiny_pipeline(tmp_path / "tiny")
    editing = {
        **{"editor": "instruct_pix2pix", "model": str(pipeline), "revision": None},
        **{"negative_prompt": "bad", "diffusion_steps": 3, "background": [0.0, 0.0, 0.0]},
        **{"batch_size": 4, "dtype": "float16"},
    }
    first_edits = {}
    for device in ("cpu", "cuda"):
        settings = avatar_settings(BASELINE, STYLIZATION)
        trainer = SplatTrainer(scene, cameras, photographs, settings, 1, device)
        before = {name: image for name, image, *_ in render_views(trainer.splats, cameras)}
        cycles = run(trainer, photographs, make_editor(editing, device), ThesisSchedule(60, 30))
        after = {name: image for name, image, *_ in render_views(trainer.splats, cameras)}
        first_edits[device] = cycles[0][1]
        for name, edit in cycles[-1][1].items():
            assert distance(after[name], edit) < distance(before[name], edit), name
    for name, edit in first_edits["cuda"].items():
        assert np.abs(edit - first_edits["cpu"][name]).mean() < 1e-2, name
