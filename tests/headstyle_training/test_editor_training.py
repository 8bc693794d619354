"""Truths about the mini editor's training: what it learns from, its parts, its checkpoints."""

import copy

import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.editing.channel_norm import replace_group_norms
from headstyle.editing.weights import pipeline_files
from headstyle_training.editor.autoencoder import (
    reconstruction_loss,
    standardize,
    train_autoencoder,
)
from headstyle_training.editor.checkpoints import PROGRESS, PipelineCheckpoint
from headstyle_training.editor.data import (
    LatentPairs,
    LatentPool,
    PicturePool,
    Renewal,
    from_bytes,
    on_black,
    take_in,
    to_bytes,
    turn,
)
from headstyle_training.editor.denoiser import (
    conditions,
    noised_latents,
    pixel_weights,
    train_denoiser,
)
from headstyle_training.editor.model import HalfNorm, load_editor_model, new_editor
from headstyle_training.editor.settings import EditorSettings
from headstyle_training.editor.train import trained_model
from headstyle_training.loop.progress import Progress
from headstyle_training.loop.settings import LoopSettings
from torch import nn
from toy_pairs import ToyStream

SIZE = (32, 24)
MOST_BYTES_OF_A_FILE = 16e6


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return new_editor(tmp_path_factory.mktemp("tokenizer"), seed=0)


@pytest.fixture
def model(untrained):
    # The trainings change the networks in place.
    return copy.deepcopy(untrained)


def part(iterations=None, batch=4, **changes):
    """A training that did not start yet."""
    settings = {"minutes": 1, "learning_rate": 1e-3, "batch": batch, "iterations": iterations}
    return Progress(LoopSettings(**settings | changes))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def size_mb(network):
    return 2 * sum(p.numel() for p in network.parameters()) / 1e6


def test_the_networks_have_at_most_20_mb_in_half_precision_and_no_file_more_than_16(untrained):
    sizes = [size_mb(network) for network in untrained.networks.values()]
    assert sum(sizes) < 19.5
    assert max(sizes) < 15.5


def test_the_unet_takes_noise_and_image(untrained):
    assert untrained.unet.config.in_channels == 8
    latents = untrained.vae.encode(torch.zeros(1, 3, 64, 48)).latent_dist.mode()
    assert latents.shape == (1, 4, 16, 12)


def test_bytes_keep_pictures_to_half_a_step():
    images = torch.rand(2, 3, 8, 8, generator=generator()) * 2 - 1
    assert (from_bytes(to_bytes(images)) - images).abs().max() <= 1.01 / 255


def test_a_full_pool_gives_up_its_oldest_pictures():
    stream = ToyStream(*SIZE)
    pool = PicturePool(stream, capacity=4, seed=0)
    take_in(pool, 3)
    assert len(pool) == 6
    take_in(pool, 3)
    assert len(pool) == 8
    assert pool.draw(5, generator()).shape == (5, 3, *SIZE)


def test_encoded_pairs_are_those_of_the_stream(untrained):
    pool = LatentPool(untrained, ToyStream(*SIZE, seed=1), capacity=4)
    take_in(pool, 4)
    pairs = pool.draw(3, generator(5))
    batch = ToyStream(*SIZE, seed=1).draw(4)
    chosen = torch.randint(4, (3,), generator=generator(5))
    with torch.no_grad():
        expected = untrained.vae.encode(on_black(batch.edited[chosen])).latent_dist.mode()
    torch.testing.assert_close(pairs.edited, expected, atol=5e-3, rtol=5e-3)
    assert torch.equal(pairs.tokens, untrained.tokens([batch.instructions[i] for i in chosen]))
    # The disc is what is shown and what is concerned.
    assert torch.equal(pairs.shown, pairs.concerned)
    assert 0 < pairs.shown.mean() < 1


def test_three_of_four_iterations_are_about_the_first_size():
    turns = [turn(i, 3) for i in range(400)]
    assert [turns.count(k) for k in range(3)] == [300, 50, 50]
    assert {turn(i, 1) for i in range(9)} == {0}


def test_pools_are_half_filled_at_first_and_then_in_each_twelfth():
    stream = ToyStream(*SIZE)
    progress = part()
    renew = Renewal(progress, [PicturePool(stream, 20, 0)])
    assert stream.drawn == 10
    for done, drawn in ((0.08, 10), (0.09, 13), (0.16, 13), (0.17, 16), (0.9, 19), (0.91, 19)):
        progress.done = done
        renew()
        assert stream.drawn == drawn


def test_a_training_that_goes_on_late_is_renewed_only_at_the_next_twelfth():
    stream = ToyStream(*SIZE)
    progress = part()
    progress.done = 0.6
    renew = Renewal(progress, [PicturePool(stream, 20, 0)])
    renew()
    assert stream.drawn == 10


def test_what_an_edit_concerns_counts_the_more_the_smaller_it_is():
    shown = torch.ones(3, 1, 8, 8)
    shown[:, :, :, 0] = 0
    concerned = shown.clone()
    concerned[1, :, 4:] = 0
    concerned[2, :, 1:] = 0
    rest = torch.zeros(3, 4, 8, 8)
    weights = pixel_weights(LatentPairs(rest, rest, rest, concerned, shown))
    # Beside the head; of an edit of all of it, of half of it, and of an eighth, four times at most.
    assert weights[:, 0, 0, 0].tolist() == pytest.approx(3 * [0.2])
    assert weights[:, 0, 0, 1].tolist() == pytest.approx([1 + 2, 1 + 4, 1 + 8])
    assert weights[:, 0, 7, 1].tolist() == pytest.approx([3, 1, 1])


def test_a_half_norm_is_a_group_norm_that_keeps_its_inputs_precision():
    torch.manual_seed(0)
    norm = nn.GroupNorm(2, 6)
    nn.init.normal_(norm.weight)
    halved = nn.Sequential(copy.deepcopy(norm))
    replace_group_norms(halved, HalfNorm)
    x = torch.randn(3, 6, 5, 5)
    assert torch.equal(halved(x), norm(x))
    with torch.autocast("cpu", torch.bfloat16):
        found = halved(x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), norm(x), atol=0.03, rtol=0.02)


def test_standardized_latents_give_the_same_pictures(model):
    images = on_black(ToyStream(*SIZE).draw(6).photographs)
    with torch.no_grad():
        before = model.vae.encode(images).latent_dist
        shown = model.vae.decode(before.mode()).sample
        standardize(model.vae, before.mode())
        after = model.vae.encode(images).latent_dist
        torch.testing.assert_close(
            model.vae.decode(after.mode()).sample, shown, atol=1e-3, rtol=1e-3
        )
    means, deviations = after.mode().mean(dim=(0, 2, 3)), after.mode().std(dim=(0, 2, 3))
    torch.testing.assert_close(means, torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(deviations, torch.ones(4), atol=1e-4, rtol=0)
    # The spread of what the encoder says shrinks as its means do.
    ratio = before.std / before.mode().std(dim=(0, 2, 3), keepdim=True)
    torch.testing.assert_close(after.std, ratio, atol=1e-4, rtol=1e-3)


def test_the_reconstruction_loss_is_0_for_the_same_pictures():
    images = torch.rand(2, 3, 24, 24, generator=generator()) * 2 - 1
    assert reconstruction_loss(images, images).item() == pytest.approx(0, abs=1e-6)
    assert reconstruction_loss(-images, images) > 0.5


@pytest.fixture
def pairs(untrained):
    pool = LatentPool(untrained, ToyStream(*SIZE), capacity=8)
    take_in(pool, 8)
    return pool.draw(400, generator(1))


def test_without_an_instruction_the_photograph_is_the_target(untrained, pairs):
    nothing = untrained.tokens([""])
    given = conditions(pairs, nothing, generator(2))
    silent = (given.tokens == nothing).all(dim=1)
    blind = (given.image == 0).flatten(1).all(dim=1)
    assert 0.1 < silent.float().mean() < 0.25
    assert 0.05 < blind.float().mean() < 0.16
    heard, seen = silent & ~blind, ~silent
    assert torch.equal(given.target[heard], pairs.photographs[heard])
    assert torch.equal(given.target[seen], pairs.edited[seen])
    assert (silent & blind).any()


def test_the_velocity_leads_from_the_noised_latents_to_the_target(untrained, pairs):
    alphas = untrained.scheduler.alphas_cumprod
    noised, velocity, steps = noised_latents(pairs, pairs.edited, alphas, 2.0, generator(3))
    signal = alphas[steps].sqrt()[:, None, None, None]
    noise = (1 - alphas[steps]).sqrt()[:, None, None, None]
    clean = signal * noised - noise * velocity
    torch.testing.assert_close(clean, 2.0 * pairs.edited, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("what", ["autoencoder", "denoiser"])
def test_training_lowers_the_loss(model, what):
    progress, stream = part(20, report_every=5, warm_up=5), ToyStream(*SIZE)
    if what == "autoencoder":
        train_autoencoder(model, [PicturePool(stream, 32, 0)], progress)
        assert model.vae.config.scaling_factor == 1
        latents = model.vae.encode(on_black(stream.draw(32).edited)).latent_dist.mode()
        assert 0.5 < latents.std() < 1.5
    else:
        train_denoiser(model, [LatentPool(model, stream, 32)], progress)
    assert progress.history[-1].loss < 0.85 * progress.history[0].loss
    assert not any(p.requires_grad for p in model.vae.parameters() if what == "autoencoder")


class InterruptionError(Exception):
    pass


def test_an_interrupted_training_goes_on_where_it_was(model, tmp_path):
    folder = tmp_path / "checkpoint"

    def parts():
        settings = {"batch": 2, "report_every": 2, "checkpoint_every_s": 0}
        return {"autoencoder": part(4, **settings), "denoiser": part(8, **settings)}

    first = parts()
    kept = PipelineCheckpoint(folder, first)
    assert kept.resume() is None
    stream = ToyStream(*SIZE)
    train_autoencoder(model, [PicturePool(stream, 2, 0)], first["autoencoder"], kept.save)
    kept.save(model)

    def save_and_stop(trained):
        kept.save(trained)
        if first["denoiser"].iteration == 4:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train_denoiser(model, [LatentPool(model, stream, 2)], first["denoiser"], save_and_stop)
    assert len(pipeline_files(str(folder), None)) > 8
    assert max(p.stat().st_size for p in folder.rglob("*")) < MOST_BYTES_OF_A_FILE

    second = parts()
    resumed = PipelineCheckpoint(folder, second).resume()
    assert second["autoencoder"].done == 1
    assert second["denoiser"].done == 0.5
    assert resumed.vae.config.scaling_factor == pytest.approx(model.vae.config.scaling_factor)
    train_denoiser(resumed, [LatentPool(resumed, stream, 2)], second["denoiser"])
    assert [row.iteration for row in second["denoiser"].history] == [2, 4, 6, 8]
    seconds = [row.seconds for row in second["denoiser"].history]
    assert seconds == sorted(seconds)


def test_a_checkpoint_of_something_else_is_named(untrained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="lacks"):
        PipelineCheckpoint(tmp_path / "empty", {}).resume()
    folder = tmp_path / "other"
    PipelineCheckpoint(folder, {"one": part()}).save(untrained)
    with pytest.raises(InputError, match=PROGRESS):
        PipelineCheckpoint(folder, {"two": part()}).resume()


def test_a_training_can_go_on_from_an_earlier_editor(untrained, tmp_path):
    untrained.save(tmp_path / "earlier")
    settings = EditorSettings(seed=5, start=str(tmp_path / "earlier"))
    over = {name: Progress(one, done=1.0) for name, one in settings.parts().items()}
    model = trained_model(settings, None, PipelineCheckpoint(None, over), over)
    for name, network in model.networks.items():
        for ours, theirs in zip(
            network.parameters(), untrained.networks[name].parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_a_pipeline_folder_can_be_trained_on(untrained, tmp_path):
    untrained.save(tmp_path / "pipeline")
    loaded = load_editor_model(tmp_path / "pipeline")
    for name, network in loaded.networks.items():
        assert {p.dtype for p in network.parameters()} == {torch.float32}
        for ours, theirs in zip(
            network.parameters(), untrained.networks[name].parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    # What it was loaded from is a matter of the machine that trains.
    loaded.save(tmp_path / "again")
    for written in (tmp_path / "again").rglob("*.json"):
        assert str(tmp_path) not in written.read_text(), written
