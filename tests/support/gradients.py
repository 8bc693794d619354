"""A loss that asks for every pixel, and the gradients of two renderings beside each other."""

import torch

BACKGROUND = torch.tensor([0.2, 0.5, 0.9])


def weighted_loss(colors, alphas, seed=3):
    """A scalar with a gradient of its own at every pixel and channel."""
    generator = torch.Generator().manual_seed(seed)
    of_colors = torch.randn(colors.shape, generator=generator).to(colors)
    of_alphas = torch.randn(alphas.shape, generator=generator).to(alphas)
    return (colors * of_colors).sum() + (alphas * of_alphas).sum()


def gradients(splats, loss):
    return dict(zip(splats, torch.autograd.grad(loss, list(splats.values())), strict=True))


def assert_equal_gradients(found, expected, tolerance=1e-3):
    for name, value in expected.items():
        if value.numel():
            error = (found[name].double().cpu() - value.double().cpu()).abs().max()
            assert error <= tolerance * value.abs().max(), name
