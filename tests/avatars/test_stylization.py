"""Truths about the stylization's loop, instructions and seeds, on a tiny scene."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from ball_avatars import ARC, BASELINE, CONFIG, ball_subject, diffusion_editing
from headstyle.avatars.schedules import all_edits
from headstyle.avatars.schedules.igs2gs import Igs2gsSchedule
from headstyle.avatars.schedules.in2n import In2nSchedule
from headstyle.avatars.schedules.thesis import ThesisSchedule
from headstyle.avatars.stylization import (
    Recipe,
    avatar_settings,
    describe_run,
    render_images,
    stylize,
)
from headstyle.base.seeds import avatar_seed
from headstyle.editing.base import View
from headstyle.editing.editors.control import ControlEditor
from headstyle.editing.registry import make_editor
from headstyle.losses.photometric import photometric_loss
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import splats_from_points
from headstyle.training.trainer import SplatTrainer, TrainingSettings
from tiny_pipeline import write_tiny_pipeline

NAMES = ("a", "b", "c", "d")


def recipe(prompt="P4", text="Give him red hair", seed=1):
    return Recipe.from_config(prompt, text, CONFIG["strengths"]["low"], CONFIG["editing"], seed)


def instructions(schedule, **changes):
    """Of all edits of a run, one list per edit."""
    made = recipe(**changes)
    return [made.instructions(edit, NAMES) for edit in all_edits(schedule, len(NAMES))]


@pytest.fixture(scope="module")
def subject():
    return ball_subject()


@pytest.mark.parametrize("kind", [ThesisSchedule, Igs2gsSchedule])
def test_guidance_grows_by_its_increments_from_cycle_to_cycle(kind):
    made = instructions(kind(30, 10))
    assert [i[0].text_guidance for i in made] == pytest.approx([5.0, 5.5, 6.0])
    assert [i[0].image_guidance for i in made] == pytest.approx([2.0, 2.2, 2.4])
    assert [i[0].cycle for i in made] == [0, 1, 2]
    assert all(len({x.text_guidance for x in i}) == 1 for i in made)


def test_guidance_stays_where_single_views_are_edited():
    made = instructions(In2nSchedule(2000, 10))
    assert {i[0].text_guidance for i in made} == {5.0}
    assert {i[0].image_guidance for i in made} == {2.0}


def test_noise_levels_are_drawn_per_cycle_from_their_range():
    levels = np.array([i[0].noise_level for i in instructions(ThesisSchedule(200, 1))])
    assert levels.min() >= 0.70
    assert levels.max() <= 0.98
    assert 0.82 < levels.mean() < 0.86
    assert len(set(levels)) == 200


def test_in_the_thesis_all_views_and_cycles_share_one_noise():
    made = instructions(ThesisSchedule(20, 10), seed=7)
    assert {x.seed for i in made for x in i} == {7}
    assert all(len({x.noise_level for x in i}) == 1 for i in made)


@pytest.mark.parametrize("schedule", [Igs2gsSchedule(20, 10), In2nSchedule(80, 10)])
def test_in_its_ancestors_every_edit_has_its_own_noise_and_noise_level(schedule):
    made = [x for i in instructions(schedule) for x in i]
    assert len(made) == 8
    assert len({x.seed for x in made}) == len({x.noise_level for x in made}) == 8


@pytest.mark.parametrize("kind", [ThesisSchedule, Igs2gsSchedule])
def test_further_cycles_change_nothing_about_the_first_ones(kind):
    assert instructions(kind(20, 10)) == instructions(kind(50, 10))[:2]


def test_another_seed_draws_other_noise_levels():
    schedule = ThesisSchedule(1, 1)
    first, second = (instructions(schedule, seed=seed)[0][0] for seed in (1, 2))
    assert first.noise_level != second.noise_level


def test_an_avatars_seed_depends_on_all_its_names_and_stays_the_same_for_ever():
    seed = avatar_seed(0, "A", "P4", "low")
    others = [(1, "A", "P4", "low"), (0, "B", "P4", "low"), (0, "A", "P6", "low")]
    others += [(0, "A", "P4", "high"), (0, "AP4", "", "low")]
    assert seed not in {avatar_seed(*names) for names in others}
    assert seed == 98219430474619


def test_the_loss_of_a_batch_is_the_mean_of_single_losses():
    generator = torch.Generator().manual_seed(0)
    rendered, target = torch.rand((2, 5, 24, 24, 3), generator=generator)
    singles = [photometric_loss(rendered[i : i + 1], target[i : i + 1], 0.2) for i in range(5)]
    torch.testing.assert_close(photometric_loss(rendered, target, 0.2), torch.stack(singles).mean())


def make_trainer(subject, iterations=60, refine_every=20):
    settings = avatar_settings(BASELINE, refine_every, iterations)
    return SplatTrainer(
        subject.splats, subject.cameras, subject.photographs, settings, 1, subject.device
    )


def run(trainer, subject, editor, schedule, **changes):
    """Stylize and return the edits of each cycle."""
    loop, made, edits, cycles = stylize(trainer, schedule, ARC), recipe(**changes), None, []
    while True:
        try:
            edit = loop.send(edits)
        except StopIteration:
            return cycles
        names = [NAMES[view] for view in edit.views]
        renders = dict(render_images(trainer.splats, subject.cameras.select(names)))
        views = [View(name, subject.photographs[name], renders[name]) for name in names]
        images = editor.edit(views, made.instructions(edit, NAMES))
        edits = dict(zip(names, images, strict=True))
        cycles.append((edit.cycle, edits))


def test_every_iteration_trains_on_the_latest_edits(subject, monkeypatch):
    trainer, events = make_trainer(subject), []
    monkeypatch.setattr(trainer, "replace_targets", lambda edits: events.append(edits))
    monkeypatch.setattr(trainer, "step", lambda batch: events.append(batch) or torch.zeros(()))
    cycles = run(trainer, subject, ControlEditor({"P4": "recolor"}), ThesisSchedule(5, 2))
    assert [cycle for cycle, _ in cycles] == [0, 1, 2]
    (_, first), (_, second), (_, third) = cycles
    assert events == [first, [0, 1], [1, 0, 2], second, [2, 1, 3], [3, 2], third, [0, 1]]
    assert list(first) == ["a", "b", "c", "d"]


def test_the_loop_goes_on_from_the_iterations_that_are_done(subject, monkeypatch):
    trainer, batches = make_trainer(subject), []
    trainer.iteration = 3
    monkeypatch.setattr(trainer, "step", lambda batch: batches.append(batch) or torch.zeros(()))
    cycles = run(trainer, subject, ControlEditor({"P4": "recolor"}), ThesisSchedule(5, 4))
    assert [cycle for cycle, _ in cycles] == [1]
    assert batches == [[3, 2], [0, 1]]


def test_the_images_to_edit_are_those_that_are_measured(subject):
    measured = {name: image for name, image, *_ in render_views(subject.splats, subject.cameras)}
    for name, image in render_images(subject.splats, subject.cameras):
        np.testing.assert_array_equal(image, measured[name])


def test_an_avatar_keeps_its_baselines_settings_except_those_of_stylization():
    settings = avatar_settings(BASELINE, 7, 60)
    baseline = TrainingSettings.from_config(BASELINE)
    assert settings.iterations == 60
    assert baseline.learning_rates.decay < 1
    assert settings.learning_rates == replace(baseline.learning_rates, decay=1.0)
    assert settings.exposure_rate == 0
    assert (settings.refine.start, settings.refine.every) == (0, 7)
    assert settings.refine.stop == settings.iterations < settings.refine.reset_opacity_every
    assert settings.refine.densify_gradient == baseline.refine.densify_gradient
    assert avatar_settings(BASELINE, 0, 60).refine is None


def distance(image, other):
    """Root mean square difference of two views on black."""
    difference = image[..., :3] * image[..., 3:] - other[..., :3] * other[..., 3:]
    return float(np.sqrt(np.square(difference).mean()))


@pytest.mark.parametrize(
    ("schedule", "entries"),
    [(ThesisSchedule(60, 30), 2), (Igs2gsSchedule(60, 30), 2), (In2nSchedule(60, 10), 6)],
)
def test_the_record_of_a_run_is_json_without_times(schedule, entries):
    editor = ControlEditor({"P4": "recolor"})
    made = recipe(text='say "hi"\nи пока')
    record = describe_run(made, schedule, NAMES, editor, "cpu")
    assert json.loads(json.dumps(record)) == record
    assert record["prompt_text"] == 'say "hi"\nи пока'
    assert len(record["edits"]) == entries
    assert "seconds" not in json.dumps(record)


def test_the_record_tells_guidance_noise_levels_and_seeds():
    editor = ControlEditor({"P4": "recolor"})
    first, second = describe_run(recipe(), ThesisSchedule(60, 30), NAMES, editor, "cpu")["edits"]
    assert (first["iteration"], second["iteration"]) == (0, 30)
    assert second["text_guidance"] == pytest.approx(5.5)
    assert second["noise_seed"] == 1
    [edit, *_] = describe_run(recipe(), Igs2gsSchedule(60, 30), NAMES, editor, "cpu")["edits"]
    assert set(edit["noise_level"]) == set(edit["noise_seed"]) == set(NAMES)


@pytest.mark.parametrize("operation", ["recolor", "painterly"])
@pytest.mark.parametrize(
    "schedule", [ThesisSchedule(60, 30), Igs2gsSchedule(160, 80), In2nSchedule(200, 10)]
)
def test_the_splats_move_to_the_edits_in_every_view(subject, operation, schedule):
    trainer = make_trainer(subject, schedule.iterations)
    cycles = run(trainer, subject, ControlEditor({"P4": operation}, 0.1), schedule)
    edits = {name: image for _, cycle in cycles for name, image in cycle.items()}
    for name, image in render_images(trainer.splats, trainer.cameras):
        before = distance(subject.photographs[name], edits[name])
        assert distance(image, edits[name]) < 0.9 * before, name


@pytest.mark.parametrize("kind", [ThesisSchedule, Igs2gsSchedule, In2nSchedule])
def test_a_rerun_gives_the_same_bytes(subject, kind):
    results = []
    for _ in range(2):
        trainer = make_trainer(subject)
        run(trainer, subject, ControlEditor({"P4": "painterly"}, 0.5), kind(6, 3))
        results.append(trainer.splats)
    for name, values in results[0].items():
        assert torch.equal(values, results[1][name]), name


def test_all_of_the_scenes_harmonics_are_in_use_from_the_start(subject):
    splats = splats_from_points(np.eye(4, 3), np.ones((4, 3)), sh_degree=2, seed=0)
    settings = avatar_settings(BASELINE, 20, 60)
    trainer = SplatTrainer(splats, subject.cameras, subject.photographs, settings, seed=1)
    assert trainer.active_sh_degree == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_avatar_on_the_gpu_moves_to_the_edits_of_a_half_precision_pipeline(tmp_path):
    editing = diffusion_editing(write_tiny_pipeline(tmp_path / "tiny"))
    first_edits = {}
    for device in ("cpu", "cuda"):
        subject = ball_subject(device)
        trainer = make_trainer(subject)
        before = dict(render_images(trainer.splats, subject.cameras))
        cycles = run(trainer, subject, make_editor(editing, device), ThesisSchedule(60, 30))
        after = dict(render_images(trainer.splats, subject.cameras))
        first_edits[device] = cycles[0][1]
        for name, edit in cycles[-1][1].items():
            assert distance(after[name], edit) < distance(before[name], edit), name
    for name, edit in first_edits["cuda"].items():
        assert np.abs(edit - first_edits["cpu"][name]).mean() < 1e-2, name
