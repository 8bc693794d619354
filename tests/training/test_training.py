"""Truths about the losses, the trainer and the files of a baseline."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from ball import HEIGHT, VIEWS, WIDTH, make_ball, settings
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.losses import photometric as losses
from headstyle.losses.photometric import (
    color_corrected,
    foreground_scores,
    photometric_loss,
    psnr,
    ssim_map,
)
from headstyle.rendering.renderer import render
from headstyle.rendering.splats import read_ply, splats_from_points, write_ply
from headstyle.training.baseline import (
    prepare_training,
    read_points,
    score_views,
    train_on_views,
    write_renders,
    write_splat_history,
)
from headstyle.training.checkpoints import restore, state_of
from headstyle.training.densification import CappedStrategy, add_gradients
from headstyle.training.optimizers import adam, adam_step
from headstyle.training.resident_views import ResidentViews
from headstyle.training.selection import split_views
from headstyle.training.trainer import (
    CHECK_EVERY,
    LEFT_OUT,
    SplatTrainer,
    random_order,
    scene_extent,
)
from headstyle.training.trainers import make_trainer as trainer_on
from skimage.metrics import structural_similarity
from splat_reference import make_cameras


def images(seed=0, height=40, width=50):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 1, height, width, 3, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def ball():
    return make_ball()


def make_trainer(ball, chosen, seed=0):
    cameras, targets, points, colors = ball
    splats = splats_from_points(points, colors, chosen.sh_degree, 0)
    return SplatTrainer(splats, cameras, targets, chosen, seed)


@pytest.mark.parametrize(("background", "value"), [("white", 1.0), ("black", 0.0)])
def test_iterations_are_on_the_background_of_the_settings(ball, monkeypatch, background, value):
    def colors_behind(trainer):
        seen, loss = [], trainer.image_loss

        def watched(rendering, batch, behind):
            seen.append(behind.tolist())
            return loss(rendering, batch, behind)

        monkeypatch.setattr(trainer, "image_loss", watched)
        trainer.step([0])
        trainer.step([1])
        return seen

    chosen = colors_behind(make_trainer(ball, settings(background=background)))
    assert chosen == [[value] * 3, [value] * 3]
    first, second = colors_behind(make_trainer(ball, settings()))
    assert first != second


def test_equal_images_have_no_loss():
    image, _ = images()
    assert float(photometric_loss(image, image, 0.2)) == pytest.approx(0, abs=1e-12)
    assert float(psnr(image, image)) == 100


def test_the_loss_mixes_l1_and_ssim():
    first, second = images()
    absolute, similarity = (first - second).abs().mean(), ssim_map(first, second).mean()
    assert float(photometric_loss(first, second, 0.0)) == pytest.approx(float(absolute))
    mixed = 0.8 * float(absolute) + 0.2 * (1 - float(similarity))
    assert float(photometric_loss(first, second, 0.2)) == pytest.approx(mixed)


def test_ssim_is_that_of_scikit_image_away_from_the_border():
    first, second = images()
    _, expected = structural_similarity(
        first[0].numpy(), second[0].numpy(), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, channel_axis=-1, data_range=1, full=True,
    )  # fmt: skip
    found = ssim_map(first, second)[0].numpy()
    np.testing.assert_allclose(found[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-10)


def test_the_gradient_of_ssim_is_a_finite_difference():
    first, second = images(height=5, width=6)
    assert torch.autograd.gradcheck(lambda x: ssim_map(x, second), first.requires_grad_())


def test_only_the_foreground_is_scored():
    first, second = images()[:, 0]
    mask = torch.zeros(40, 50, dtype=torch.bool)
    mask[10:30, 10:40] = True
    half = torch.where(mask[..., None], first + 0.1, second)
    score, _ = foreground_scores(half, first, mask)
    assert score == pytest.approx(20)
    assert np.isnan(foreground_scores(first, second, mask & ~mask)[0])


def test_the_corrected_score_leaves_exposure_and_white_balance_out():
    first, second = images()[:, 0]
    mask = torch.zeros(40, 50, dtype=torch.bool)
    mask[10:30, 10:40] = True
    matrix = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.6, 0.1], [0.1, 0.0, 0.4]], dtype=torch.float64)
    target = torch.where(mask[..., None], first @ matrix + 0.1, second)
    corrected = color_corrected(first, target, mask)
    torch.testing.assert_close(corrected[mask], target[mask])
    # A scene of one color, and no foreground at all.
    assert torch.isfinite(color_corrected(torch.zeros_like(first), target, mask)).all()
    assert np.isnan(float(psnr(color_corrected(first, target, mask & ~mask), target, mask & ~mask)))


def test_training_lowers_the_loss_and_raises_the_psnr(ball):
    trainer = make_trainer(ball, settings())
    everything = range(VIEWS)
    first = trainer.step(everything)
    before = trainer.record(first, everything)
    for _ in range(59):
        last = trainer.step(everything)
    after = trainer.record(last, everything)
    assert after.loss < 0.5 * before.loss
    assert after.psnr > before.psnr + 4
    assert (after.iteration, after.splats) == (60, 150)


def test_the_seed_decides_every_byte(ball):
    chosen = settings(iterations=12, max_splats=170, refine={"start": 2, "every": 4, "stop": 12})

    def trained(seed):
        trainer = make_trainer(ball, replace(chosen, refine=chosen.refine), seed)
        for view in (0, 1, 2, 3) * 3:
            trainer.step([view])
        return b"".join(value.detach().numpy().tobytes() for value in trainer.splats.values())

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_refinement_adds_splats_up_to_the_limit(ball):
    eager = {"start": 1, "every": 5, "stop": 40, "densify_gradient": 1e-6}
    trainer = make_trainer(ball, settings(max_splats=230, refine=eager))
    for _ in range(40):
        trainer.step([0, 2])
    assert len(trainer.splats["means"]) == 230
    assert isinstance(trainer.strategy, CappedStrategy)


def test_without_refinement_the_number_of_splats_stays(ball):
    eager = {"start": 1, "every": 5, "stop": 40, "densify_gradient": 1e-6}
    trainer = make_trainer(ball, settings(refine=eager).without_refinement())
    for _ in range(12):
        trainer.step([0, 2])
    assert len(trainer.splats["means"]) == 150


def test_opacities_are_reset_while_refining_only(ball):
    often = {"start": 0, "every": 100, "stop": 8, "reset_opacity_every": 7}
    trainer = make_trainer(ball, settings(refine=often))
    for _ in range(8):
        trainer.step([0])
    assert float(torch.sigmoid(trainer.splats["opacities"].detach()).max()) == pytest.approx(0.01)
    for _ in range(7):
        trainer.step([0])
    assert float(torch.sigmoid(trainer.splats["opacities"].detach()).max()) > 0.011


def test_views_of_different_sizes_weigh_the_same(ball):
    chosen = replace(settings(scale_regularization=0.0).without_refinement(), alpha_weight=0.0)
    apart = [float(make_trainer(ball, chosen).step([view])) for view in range(VIEWS)]
    together = float(make_trainer(ball, chosen).step(range(VIEWS)))
    assert together == pytest.approx(np.mean(apart), rel=1e-5)


def test_image_gradients_are_counted_as_gsplat_counts_them(ball):
    _, _, points, colors = ball
    splats = splats_from_points(points, colors, 0, 0)
    poses, intrinsics = make_cameras(3, WIDTH, HEIGHT)
    infos = []
    for chosen, width, height in ((slice(0, 2), 40, 24), (slice(2, 3), 24, 40)):
        rendering = render(
            splats, poses[chosen], intrinsics[chosen], width, height, absolute_gradients=True
        )
        rendering.colors.square().mean().backward()
        infos.append(rendering.info)
    joined, apart = ({"grad2d": None, "count": None} for _ in range(2))
    add_gradients(joined, infos)
    strategy = CappedStrategy(absgrad=True)
    for info in infos:
        strategy._update_state(splats, apart, info | {"n_cameras": 3})
    torch.testing.assert_close(joined["grad2d"], apart["grad2d"])
    assert torch.equal(joined["count"], apart["count"])


def test_degrees_of_the_harmonics_join_one_by_one(ball):
    trainer = make_trainer(ball, settings(sh_degree_every=2))
    degrees = []
    for _ in range(4):
        degrees.append(trainer.active_sh_degree)
        trainer.step([0])
    assert degrees == [0, 0, 1, 1]
    assert make_trainer(ball, replace(settings(), sh_degree_every=0)).active_sh_degree == 1


def test_replaced_targets_are_trained_toward(ball):
    cameras, targets, _, _ = ball
    trainer = make_trainer(ball, settings().without_refinement())
    before = float(trainer.step([0]))
    inverted = targets["view0"].copy()
    inverted[..., :3] = 1 - inverted[..., :3]
    trainer.replace_targets({"view0": inverted})
    assert float(trainer.step([0])) > before
    with pytest.raises(ValueError, match="view1"):
        trainer.replace_targets({"view1": targets["view3"]})
    with pytest.raises(ValueError, match="view2 has no target"):
        SplatTrainer(trainer.splats, cameras, dict(list(targets.items())[:2]), settings(), 0)


def test_training_never_touches_the_splats_it_was_given(ball):
    cameras, targets, points, colors = ball
    given = splats_from_points(points, colors, 1, 0)
    kept = given["means"].detach().clone()
    SplatTrainer(given, cameras, targets, settings(), 0).step([0])
    assert torch.equal(given["means"], kept)


def test_a_loss_that_is_not_finite_stops_with_its_iteration(ball):
    trainer = make_trainer(ball, settings())
    trainer.step([0])
    _, targets, _, _ = ball
    trainer.replace_targets({"view0": np.full_like(targets["view0"], np.nan)})
    with pytest.raises(InputError, match=r"iteration 1 of 60: the loss became nan"):
        trainer.step([0])


def test_splats_that_are_not_finite_stop_the_training_by_their_name(ball):
    trainer = make_trainer(ball, settings())
    trainer.iteration = CHECK_EVERY
    with torch.no_grad():
        # Behind the cameras: nothing of it is seen, and the loss stays finite.
        trainer.splats["means"][0] = torch.tensor([0, 0, -1e9])
        trainer.splats["shN"][0, 0, 0] = torch.inf
    with pytest.raises(InputError, match=r"iteration 50 of 60: the splats' shN .* loss is 0\.\d"):
        trainer.step([0])


def test_a_scene_that_lost_all_its_splats_stops(ball):
    trainer = make_trainer(ball, settings(refine={"start": 1, "every": 1, "cull_opacity": 1.0}))
    for _ in range(6):
        trainer.step([0, 1, 2, 3])
    with pytest.raises(InputError, match="no splat is left"):
        trainer.step([0, 1, 2, 3])


def test_regularizers_pull_where_they_say(ball):
    def trained(**changes):
        trainer = make_trainer(ball, settings(sh_degree_every=1, **changes).without_refinement())
        for _ in range(30):
            trainer.step([0, 1])
        return {name: value.detach() for name, value in trainer.splats.items()}

    plain = trained()
    faint, small, flat = (
        trained(**{f"{name}_regularization": weight})
        for name, weight in (("opacity", 1.0), ("size", 100.0), ("sh", 1000.0))
    )
    assert faint["opacities"].mean() < plain["opacities"].mean() - 0.5
    assert small["scales"].mean() < plain["scales"].mean() - 0.05
    assert flat["shN"].square().mean() < 0.5 * plain["shN"].square().mean()


def test_step_sizes_decay_to_their_end(ball):
    chosen = settings(iterations=10, exposure_rate=0.02)
    rates = replace(chosen.learning_rates, decay=0.2)
    trainer = make_trainer(ball, replace(chosen, learning_rates=rates))

    def present():
        return [optimizer.param_groups[0]["lr"] for optimizer in trainer.all_optimizers()]

    trainer.step([0])
    start = [getattr(rates, name) for name in trainer.optimizers] + [0.02]
    start[0] *= trainer.extent
    assert next(iter(trainer.optimizers)) == "means"
    assert present() == pytest.approx(start)
    trainer.iteration = 10
    trainer.step([0])
    parts = [rates.means_final / rates.means, *[rates.decay] * 5, 0.1]
    assert present() == pytest.approx([a * b for a, b in zip(start, parts, strict=True)])


def test_a_step_of_adam_takes_its_size_from_the_device_where_told():
    results = []
    for told in (False, True):
        parameters = [torch.nn.Parameter(torch.ones(4, 2)) for _ in range(2)]
        optimizers = [adam(parameter, 0.5 if told else 0.02, "x") for parameter in parameters]
        # The second has no gradient and stays.
        parameters[0].grad = torch.arange(8.0).reshape(4, 2)
        adam_step(optimizers, [torch.tensor(0.02), torch.tensor(0.3)] if told else None)
        assert torch.equal(parameters[1].detach(), torch.ones(4, 2))
        results.append(parameters[0].detach())
    torch.testing.assert_close(results[1], results[0])


def test_dropout_leaves_out_other_splats_each_time_and_keeps_their_number(ball):
    trainer = make_trainer(ball, settings(dropout=0.25).without_refinement())
    hidden = []
    for _ in range(2):
        opacities = trainer._splats_of_this_iteration()["opacities"].detach()
        hidden.append(opacities == LEFT_OUT)
        kept = torch.sigmoid(opacities[~hidden[-1]])
        torch.testing.assert_close(kept, torch.full_like(kept, 0.1 / 0.75))
    assert all(0.1 < float(each.float().mean()) < 0.4 for each in hidden)
    assert not torch.equal(*hidden)
    trainer.step([0, 1])
    assert len(trainer.splats["means"]) == 150
    assert float(trainer.splats["opacities"].detach().min()) > -3


def test_an_iteration_looks_at_images_that_lie_on_the_device(ball):
    cameras, targets, _, _ = ball
    views = ResidentViews(cameras, torch.device("cpu"))
    assert views.missing() == list(cameras.names)
    views.replace(targets)
    portrait, landscape = views.batches([3, 0, 2])[::-1]
    assert (portrait.width, portrait.height, len(portrait)) == (WIDTH, HEIGHT, 1)
    assert landscape.views.tolist() == [3, 2]
    assert views.batches([3, 0, 2])[0] is landscape
    colors, alphas = views.targets(landscape)
    for i, name in enumerate(("view3", "view2")):
        torch.testing.assert_close(alphas[i], torch.from_numpy(targets[name][..., 3]))
        expected = targets[name][..., :3] * targets[name][..., 3:]
        torch.testing.assert_close(colors[i], torch.from_numpy(expected))


def test_every_view_comes_once_before_any_comes_again():
    order = random_order([4, 5, 6], seed=0)
    rounds = [[next(order) for _ in range(3)] for _ in range(5)]
    assert all(sorted(each) == [4, 5, 6] for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1


def test_every_nth_view_is_held_out():
    assert split_views("abcdefg", 3) == ([1, 2, 4, 5], [0, 3, 6])
    assert split_views("abc", 0) == ([0, 1, 2], [])
    with pytest.raises(InputError, match=r"baseline\.holdout leaves none of 1 views"):
        split_views("a", 8)


def test_named_views_are_held_out():
    assert split_views(["a", "b", "c"], ("c", "a")) == ([1], [0, 2])
    with pytest.raises(InputError, match=r"names the view 'd', which is none of the 3 views"):
        split_views(["a", "b", "c"], ["d"])
    with pytest.raises(InputError, match="leaves none of 1 views"):
        split_views(["a"], ["a"])


def test_the_extent_is_the_radius_of_the_cameras():
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[:, 0, 3] = [-2, 2]
    cameras = Cameras(("a", "b"), np.ones((2, 2), int), np.tile(np.eye(3), (2, 1, 1)), poses)
    assert scene_extent(cameras) == pytest.approx(2.2)


def test_a_training_starts_from_a_known_scene_and_saves_chosen_iterations(ball, tmp_path):
    cameras, targets, points, colors = ball
    views = [targets[name] for name in cameras.names]
    chosen = settings(iterations=60, refine={"stop": 0}, save_iterations=[20, 60])
    first = train_on_views(
        *(cameras, views, points, colors, chosen), seed=0, saved_scenes=tmp_path / "iterations"
    )
    saved = {path.name: read_ply(path) for path in (tmp_path / "iterations").iterdir()}
    assert set(saved) == {"20.ply", "60.ply"}
    assert torch.equal(saved["60.ply"]["means"], first.splats["means"])
    assert not torch.equal(saved["20.ply"]["means"], first.splats["means"])

    # Its loss goes on where that of the first one ended, with all harmonics from the start.
    again = settings(iterations=1, sh_degree=2, refine={"stop": 0})
    second, _ = prepare_training(*(cameras, views, points, colors, again, 0), start=saved["60.ply"])
    assert second.active_sh_degree == 2
    assert torch.equal(second.splats["shN"][:, :3], saved["60.ply"]["shN"])
    assert not second.splats["shN"][:, 3:].any()
    anew, _ = prepare_training(cameras, views, points, colors, again, 0)
    assert second.step([0]) < 0.8 * anew.step([0])


def test_a_baseline_writes_what_it_promises(ball, tmp_path):
    cameras, targets, points, colors = ball
    chosen = settings(iterations=30, holdout=4, refine={"stop": 0})
    views = [targets[name] for name in cameras.names]
    trainer = train_on_views(cameras, views, points, colors, chosen, seed=0)
    write_ply(tmp_path / "splats.ply", trainer.splats)
    renders = write_renders(
        read_ply(tmp_path / "splats.ply"), cameras, tmp_path / "renders", tmp_path / "depth"
    )
    write_splat_history(tmp_path / "history.tsv", trainer.history)
    scores = score_views(cameras, views, renders, chosen.holdout)

    assert trainer.cameras.names == ("view1", "view2", "view3")
    assert sorted(path.stem for path in (tmp_path / "renders").iterdir()) == list(cameras.names)
    with np.load(tmp_path / "depth" / "view3.npz") as depth:
        assert depth["median"].shape == depth["expected"].shape == (WIDTH, HEIGHT)
        assert depth["median"].dtype == np.float32
    rows = (tmp_path / "history.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["iteration", "loss", "psnr", "splats", "seconds"]
    assert rows[-1].startswith("30\t")
    assert scores["heldout"] == ["view0"]
    assert scores["views"]["view0"]["heldout"]
    assert scores["psnr"] > 12
    assert -1 <= scores["heldout_ssim"] <= 1
    json.dumps(scores, allow_nan=False)


def test_missing_or_broken_points_are_named(tmp_path):
    with pytest.raises(InputError, match=r"points\.npz"):
        read_points(tmp_path / "points.npz")
    np.savez(tmp_path / "points.npz", positions=np.zeros((5, 3)))
    with pytest.raises(InputError, match="colors"):
        read_points(tmp_path / "points.npz")


def test_a_step_of_adam_is_that_of_pytorch():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(7, 3, generator=generator)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    optimizer = adam(ours, 0.02, "means")
    reference = torch.optim.Adam([theirs], lr=0.02, eps=1e-15)
    for _ in range(5):
        ours.grad = torch.randn(7, 3, generator=generator)
        theirs.grad = ours.grad.clone()
        adam_step([optimizer])
        reference.step()
        assert ours.grad is None
    torch.testing.assert_close(ours, theirs)
    adam_step([optimizer])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("views", [[0], [0, 1]])
def test_an_iteration_waits_for_the_gpu_once(ball, views):
    cameras, targets, points, colors = ball
    splats = splats_from_points(points, colors, 1, 0)
    trainer = trainer_on(splats, cameras, targets, settings(), 0, "cuda")
    for _ in range(4):
        trainer.step(views)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                trainer.step(views)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(each.message) for each in caught if "synchroniz" in str(each.message)]
    # gsplat asks how many tiles the splats reach.
    assert len(waits) <= 3, waits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_checkpoint_holds_all_of_a_training_on_the_gpu(ball):
    cameras, targets, points, colors = ball
    chosen = settings(exposure_rate=0.01)
    trainers = [
        trainer_on(splats_from_points(points, colors, 1, 0), cameras, targets, chosen, 0, "cuda")
        for _ in range(2)
    ]
    for _ in range(5):
        trainers[0].step([0, 2])
    tensors, described = state_of(trainers[0])
    saved = {name: value.detach().cpu() for name, value in tensors.items()}
    restore(trainers[1], saved, described)
    again, described_again = state_of(trainers[1])
    assert all(torch.equal(value.detach().cpu(), saved[name]) for name, value in again.items())
    assert described_again["iteration"] == 5
    losses = [float(trainer.step([0, 1])) for trainer in trainers]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


EVENTFUL = {"start": 5, "every": 10, "stop": 50, "densify_gradient": 1e-5}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"refine": EVENTFUL, "max_splats": 250},
        {"refine": EVENTFUL, "max_splats": 250, "strategy": "mcmc"},
        {"exposure_rate": 0.01, "dropout": 0.1, "size_regularization": 0.1},
    ],
    ids=["plain", "default", "mcmc", "regularized"],
)
def test_training_on_the_gpu_reaches_the_psnr_of_the_cpu(ball, changes):
    cameras, targets, points, colors = ball
    results = []
    for device in ("cpu", "cuda"):
        splats = splats_from_points(points, colors, 1, 0)
        trainer = trainer_on(splats, cameras, targets, settings(**changes), 0, device)
        for _ in range(60):
            loss = trainer.step(range(VIEWS))
        row = trainer.record(loss, range(VIEWS))
        results.append((row.psnr, row.splats))
    assert results[1] == pytest.approx(results[0], abs=1.5, rel=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_without_triton_an_iteration_on_the_gpu_gives_the_same(ball, monkeypatch):
    cameras, targets, points, colors = ball
    from headstyle.rendering.cuda import rasterize as rendering_cuda

    results = []
    for available in (True, False):
        monkeypatch.setattr(losses, "has_triton", lambda: available)  # noqa: B023
        monkeypatch.setattr(rendering_cuda, "has_triton", lambda: available)  # noqa: B023
        splats = splats_from_points(points, colors, 1, 0)
        with torch.no_grad():
            splats["shN"] += 0.1
        chosen = settings(sh_degree_every=1)
        trainer = trainer_on(splats, cameras, targets, chosen, 0, "cuda")
        trainer.iteration = 5
        loss = float(trainer.step([0, 1]))
        (state,) = trainer.optimizers["shN"].state.values()
        results.append((loss, state["exp_avg"].cpu()))
    assert results[1][0] == pytest.approx(results[0][0], rel=1e-5)
    torch.testing.assert_close(results[1][1], results[0][1], atol=1e-8, rtol=1e-3)
