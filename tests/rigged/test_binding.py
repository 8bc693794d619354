"""Splats bound to a mesh: where they are, what keeps them there, and what a training learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ball import section, settings
from headstyle.base.errors import InputError
from headstyle.base.settings import default_values
from headstyle.rendering.renderer import render
from headstyle.rendering.splats import write_ply
from headstyle.rigged.binding import (
    quaternions,
    to_local,
    to_world,
    triangle_frames,
    with_last_spared,
)
from headstyle.rigged.losses import position_loss, scale_loss
from headstyle.rigged.scene import frame_image, frames_of, read_scene, render_frames, write_scene
from headstyle.rigged.sequence import MeshSequence
from headstyle.rigged.settings import SETTINGS, BindingSettings, rigged_training
from headstyle.rigged.training import (
    TRIANGLES,
    RiggedTrainer,
    edited_timesteps,
    make_rigged_trainer,
    train_on_sequence,
)
from headstyle.training.baseline import score_views
from moving_ball import ball_cameras, colored_scene, moving_meshes, write_images
from scipy.spatial.transform import Rotation

BINDING = BindingSettings.from_config(default_values(SETTINGS))


def seen(splats, poses, cameras):
    with torch.no_grad():
        intrinsics = torch.from_numpy(cameras.intrinsics).float()
        return render(splats, torch.from_numpy(poses).float(), intrinsics, 32, 48).colors


def test_axes_are_a_rotation_and_quaternions_say_the_same():
    meshes = moving_meshes()
    frames = frames_of(meshes).at(1)
    gram = frames.rotations.transpose(-1, -2) @ frames.rotations
    torch.testing.assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-5, rtol=0)
    known = Rotation.from_quat(frames.quats.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(frames.rotations.numpy(), known, atol=1e-5)
    # The third axis leaves the ball.
    assert (frames.rotations[:, :, 2] * frames.centers).sum(dim=1).min() > 0


def test_the_scale_of_a_triangle_is_the_mean_of_edge_and_height():
    corners = torch.tensor([[0.0, 0, 0], [4, 0, 0], [1, 2, 0]])
    frames = triangle_frames(corners, torch.tensor([[0, 1, 2]]))
    assert frames.scales.tolist() == [3.0]
    np.testing.assert_allclose(frames.centers[0], [5 / 3, 2 / 3, 0], atol=1e-6)


def test_quaternions_of_half_turns_have_no_real_part():
    for axis in range(3):
        turn = -torch.eye(3)
        turn[axis, axis] = 1
        assert quaternions(turn).abs().tolist() == [0.0, *(1.0 * (i == axis) for i in range(3))]


@pytest.mark.parametrize("sh_degree", [0, 1, 2, 3])
def test_a_rigid_motion_of_mesh_and_cameras_leaves_the_image_as_it_is(sh_degree):
    meshes, cameras = moving_meshes(1), ball_cameras(2)
    scene = colored_scene(meshes, sh_degree)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", [0.5, 1, 2]).as_matrix()
    motion[:3, 3] = 0.25, -0.5, 1
    moved = MeshSequence(
        (meshes.vertices @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32), meshes.faces
    )
    before = seen(scene.at(frames_of(meshes).at(0)), cameras.world_to_camera, cameras)
    poses = cameras.world_to_camera @ np.linalg.inv(motion)
    after = seen(scene.at(frames_of(moved).at(0)), poses, cameras)
    assert before.std() > 0.1
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)
    # The cameras at rest see another image.
    assert (seen(scene.at(frames_of(moved).at(0)), cameras.world_to_camera, cameras) != after).any()


def test_a_mesh_at_rest_shows_the_static_scene():
    meshes, cameras = moving_meshes(1), ball_cameras(2)
    frames = frames_of(meshes).at(0)
    scene = colored_scene(meshes, 2)
    static = scene.at(frames)
    bound = to_local(dict(static.items()), frames, scene.triangles)
    back = to_world(bound, frames, scene.triangles)
    for name, value in static.items():
        torch.testing.assert_close(back[name], value.data, atol=1e-5, rtol=1e-5)
    images = [seen(each, cameras.world_to_camera, cameras) for each in (static, back)]
    torch.testing.assert_close(*images, atol=1e-4, rtol=0)


def test_a_splat_grows_with_its_triangle():
    meshes = moving_meshes(1)
    larger = replace(meshes, vertices=2 * meshes.vertices)
    scene = colored_scene(meshes)
    small, large = (scene.at(frames_of(each).at(0)) for each in (meshes, larger))
    torch.testing.assert_close(large["means"].data, 2 * small["means"].data)
    torch.testing.assert_close(large["scales"].exp(), 2 * small["scales"].exp())


def test_gradients_reach_every_bound_number():
    meshes = moving_meshes(1)
    scene = colored_scene(meshes, 3)
    world = to_world(dict(scene.splats.items()), frames_of(meshes).at(0), scene.triangles)
    sum((value * torch.rand_like(value)).sum() for value in world.values()).backward()
    for name, value in scene.splats.items():
        assert value.grad is not None, name
        assert torch.isfinite(value.grad).all(), name
        assert (value.grad != 0).any(), name


def test_losses_are_zero_up_to_their_thresholds():
    means = torch.tensor([[0.0, 0, 0], [0, 0.6, 0.8], [0, 3, 0]], requires_grad=True)
    loss = position_loss(means)
    loss.backward()
    assert loss.item() == pytest.approx(2 / 3)
    assert means.grad[:, 1].tolist() == pytest.approx([0, 0, 1 / 3])
    scales = torch.log(torch.tensor([[0.1, 0.6, 0.5], [0.9, 1.0, 0.6]])).requires_grad_()
    loss = scale_loss(scales)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 / 2, abs=1e-6)
    assert torch.isfinite(scales.grad).all()


def test_the_last_splat_of_a_triangle_stays_the_most_opaque_of_those_that_would_go():
    triangles = torch.tensor([0, 0, 1, 1, 1, 2])
    opacities = torch.tensor([-9.0, 3, -8, -7, -9, -9])
    doomed = torch.tensor([True, False, True, True, True, False])
    kept = with_last_spared(doomed, opacities, triangles)
    assert kept.tolist() == [True, False, True, False, True, False]


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    meshes = moving_meshes(3)
    scene = colored_scene(meshes)
    return write_images(tmp_path_factory.mktemp("ball"), meshes, scene, ball_cameras())


def test_every_triangle_keeps_a_splat_and_new_splats_their_triangle(sequence):
    """A threshold that removes nearly all splats, and one that splits or clones nearly all."""
    refine = {"start": 1, "every": 2, "stop": 9, "cull_opacity": 0.9, "densify_gradient": 1e-9}
    trainer = train_on_sequence(
        sequence, settings(iterations=10, refine=refine, max_splats=120), BINDING, 0
    )
    triangles = trainer.scene.triangles
    assert triangles.unique().tolist() == list(range(80))
    assert len(triangles) == len(trainer.splats["means"])
    eager = settings(iterations=10, refine=refine | {"cull_opacity": 1e-6}, max_splats=120)
    trainer = train_on_sequence(sequence, eager, BINDING, 0)
    assert len(trainer.splats["means"]) == 120
    # New splats lie beside their triangle, not beside another one.
    assert trainer.splats["means"].norm(dim=1).max() < 3
    assert len(trainer.strategy_state["scene_scale"]) == 120


def test_a_training_learns_an_expression_that_it_has_not_seen(sequence):
    chosen = settings(iterations=150)
    # Ten times the study's step sizes, for a training of a hundredth of its length.
    rates = replace(chosen.learning_rates, means=1e-3, scales=5e-2, sh0=2.5e-2)
    trainer = train_on_sequence(sequence, replace(chosen, learning_rates=rates), BINDING, 0)
    frames = sequence.of_split("test")
    rendered = {f.name: i for f, i, _, _ in render_frames(trainer.scene, frames, trainer.frames)}
    cameras = ball_cameras()
    renamed = replace(cameras, names=tuple(frame.name for frame in frames))
    images = [frame_image(frame) for frame in frames]
    scores = score_views(renamed, images, rendered, 0)
    assert scores["psnr"] > 26
    # Its splats where they are at another timestep show something else.
    earlier = [replace(frame, timestep=0) for frame in frames]
    still = {f.name: i for f, i, _, _ in render_frames(trainer.scene, earlier, trainer.frames)}
    assert score_views(renamed, images, still, 0)["psnr"] < scores["psnr"] - 3


def test_a_batch_of_several_timesteps_has_the_mean_of_their_losses(sequence):
    frames = sequence.of_split("train")[:1] + sequence.of_split("train")[-1:]
    assert frames[0].timestep != frames[1].timestep

    def trainer():
        chosen = settings(background="black").without_refinement()
        names = tuple(frame.name for frame in frames)
        cameras = replace(ball_cameras(2), names=names)
        targets = {frame.name: frame_image(frame) for frame in frames}
        scene = colored_scene(sequence.meshes, seed=1)
        steps = [frame.timestep for frame in frames]
        no_losses = replace(BINDING, position_weight=0, scale_weight=0)
        return make_rigged_trainer(
            *(scene, frames_of(sequence.meshes), cameras, steps, targets, chosen, no_losses, 0)
        )

    apart = [float(trainer().step([view])) for view in (0, 1)]
    assert float(trainer().step([0, 1])) == pytest.approx(np.mean(apart), abs=1e-6)


def test_an_interrupted_training_goes_on_to_the_same_splats(sequence, tmp_path, monkeypatch):
    refine = {"start": 1, "every": 1, "densify_gradient": 1e-4}
    chosen = replace(settings(iterations=12, refine=refine), checkpoint_every_s=1e-9)
    whole = train_on_sequence(sequence, chosen, BINDING, 0)

    step = RiggedTrainer.step

    def killed(self, views):
        if self.iteration == 10:
            raise KeyboardInterrupt
        return step(self, views)

    monkeypatch.setattr(RiggedTrainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        train_on_sequence(sequence, chosen, BINDING, 0, checkpoints=tmp_path / "c")
    monkeypatch.undo()
    resumed = train_on_sequence(sequence, chosen, BINDING, 0, checkpoints=tmp_path / "c")
    assert len(resumed.history) == len(whole.history)
    assert len(whole.splats["means"]) > 80
    for name, value in whole.splats.items():
        assert torch.equal(value, resumed.splats[name]), name
    assert torch.equal(whole.strategy_state[TRIANGLES], resumed.strategy_state[TRIANGLES])
    assert not (tmp_path / "c").exists()


def test_a_scene_comes_back_from_its_file(sequence, tmp_path):
    scene = colored_scene(sequence.meshes, 1)
    write_scene(tmp_path / "splats.ply", scene)
    found = read_scene(tmp_path / "splats.ply", sequence.meshes)
    assert torch.equal(found.triangles, scene.triangles)
    assert torch.equal(found.splats["shN"], scene.splats["shN"])
    smaller = replace(sequence.meshes, faces=sequence.meshes.faces[:7])
    with pytest.raises(InputError, match="triangle 79, but the mesh has 7"):
        read_scene(tmp_path / "splats.ply", smaller)
    write_ply(tmp_path / "static.ply", scene.splats)
    with pytest.raises(InputError, match="no splats bound to a mesh"):
        read_scene(tmp_path / "static.ply", sequence.meshes)


def test_settings_are_the_baselines_with_what_a_sequence_decides():
    rigged = default_values(SETTINGS)
    rigged["training"] |= {"iterations": 7, "max_splats": 90}
    found = rigged_training(section(exposure_rate=1e-3, holdout="splits"), rigged)
    assert (found.iterations, found.max_splats, found.holdout, found.exposure_rate) == (7, 90, 0, 0)
    with pytest.raises(InputError, match=r"baseline\.strategy is mcmc"):
        rigged_training(section(strategy="mcmc", max_splats=9), rigged)


def test_edited_timesteps_are_spread_over_those_there_are():
    assert edited_timesteps([5, 0, 0, 3, 9, 4], 3) == [0, 4, 9]
    assert edited_timesteps([5, 0, 3], None) == [0, 3, 5]
    assert edited_timesteps([5, 0, 3], 1) == [0]
