"""Truths about the denoising solvers."""

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from headstyle.editing.solvers import denoise, make_steps, partial_scheduler

CPU = torch.device("cpu")
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def ddim(**changes):
    settings = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    return DDIMScheduler(**SCHEDULE, **(settings | changes))


def network(latents, timestep):
    """Stands for a UNet: a prediction that depends on place, value and time."""
    times = torch.as_tensor(timestep).reshape(-1, 1, 1, 1).float()
    return torch.sin(3 * latents + times / 200) * 0.8


@pytest.fixture
def noise():
    return torch.randn((3, 4, 5, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("level", [1.0, 0.83])
@pytest.mark.parametrize("clip_sample", [False, True])
def test_ddim_takes_the_steps_of_diffusers(noise, prediction_type, level, clip_sample):
    scheduler = ddim(prediction_type=prediction_type, clip_sample=clip_sample)
    ours = denoise(noise, make_steps(scheduler, 7, [level] * 3, CPU), network, "ddim")
    theirs, partial = noise, partial_scheduler(scheduler, 7, level)
    for timestep in partial.timesteps:
        theirs = partial.step(network(theirs, timestep), timestep, theirs).prev_sample
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_dpm_solver_takes_the_steps_of_diffusers(noise):
    scheduler = ddim()
    steps = make_steps(scheduler, 8, [1.0] * 3, CPU)
    ours = denoise(noise, steps, network, "dpm_solver")
    reference = DPMSolverMultistepScheduler(
        **SCHEDULE, timestep_spacing="leading", steps_offset=1, final_sigmas_type="sigma_min"
    )
    reference.set_timesteps(8)
    # Not all steps of the two spacings agree; the solver is compared on the steps of its own.
    alphas = steps.alphas.flatten(1)[:, 0]
    reference.sigmas = ((1 - alphas) / alphas).sqrt()
    reference.timesteps = steps.timesteps[:, 0]
    theirs = noise
    for timestep in reference.timesteps:
        theirs = reference.step(network(theirs, timestep), timestep, theirs).prev_sample
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("solver", ["ddim", "dpm_solver"])
def test_views_at_their_own_noise_levels_are_denoised_as_if_alone(noise, solver):
    levels = [0.7, 0.98, 1.0]
    together = denoise(noise, make_steps(ddim(), 6, levels, CPU), network, solver)
    for i, level in enumerate(levels):
        steps = make_steps(ddim(), 6, [level], CPU)
        alone = denoise(noise[i : i + 1], steps, network, solver)
        torch.testing.assert_close(together[i : i + 1], alone)


def test_noised_latents_are_those_of_diffusers(noise):
    scheduler = ddim()
    steps = make_steps(scheduler, 5, [0.8] * 3, CPU)
    clean = torch.flip(noise, [0])
    expected = scheduler.add_noise(clean, noise, steps.timesteps[0])
    torch.testing.assert_close(steps.noised(clean, noise), expected)


def test_all_steps_lie_within_the_noise_level():
    full, part = (partial_scheduler(ddim(), 3, level) for level in (1.0, 0.6))
    assert len(full.timesteps) == len(part.timesteps) == 3
    assert part.timesteps.max() < 600 < full.timesteps.max()
    torch.testing.assert_close(full.alphas_cumprod, part.alphas_cumprod)
