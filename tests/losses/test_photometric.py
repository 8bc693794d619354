"""The CPU kernels of the training loss compute what its tensor operations do."""

import numba
import pytest
import torch
from headstyle.losses.photometric import photometric_loss, ssim_map
from headstyle.losses.photometric_cpu import BLOCK, PhotometricLoss


def images(shape):
    generator = torch.Generator().manual_seed(0)
    rendered, target = (torch.rand(shape, generator=generator) for _ in range(2))
    # Where the images are equal, L1 has no slope.
    target[:, :, 0] = rendered[:, :, 0]
    return rendered.requires_grad_(), target


def plain_loss(rendered, target, weight):
    absolute = (rendered - target).abs().mean()
    return (1 - weight) * absolute + weight * (1 - ssim_map(rendered, target).mean())


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    "shape",
    [(2, 19, 23, 3), (1, 3, 2, 3), (1, 12, BLOCK // 3 + 9, 3), (1, 1, 2 * BLOCK, 3)],
    ids=["two views", "less than a window", "more than a block", "one row"],
)
def test_value_and_gradient_are_those_of_the_tensor_operations(shape, weight):
    rendered, target = images(shape)
    found, expected = (f(rendered, target, weight) for f in (PhotometricLoss.apply, plain_loss))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    (of_found,), (of_expected,) = (
        torch.autograd.grad(3 * loss, rendered) for loss in (found, expected)
    )
    torch.testing.assert_close(of_found, of_expected, atol=1e-8, rtol=1e-4)


def test_trainings_on_the_cpu_use_it():
    rendered, target = images((1, 20, 30, 3))
    used = photometric_loss(rendered, target, 0.2)
    assert used.grad_fn.name() == PhotometricLoss.apply(rendered, target, 0.2).grad_fn.name()
    assert used.item() == PhotometricLoss.apply(rendered, target, 0.2).item()


def test_images_that_do_not_lie_in_order_are_compared_all_the_same():
    rendered, target = images((2, 16, 20, 3))
    expected = PhotometricLoss.apply(rendered, target, 0.2)
    turned = rendered.detach().permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    found = PhotometricLoss.apply(turned.requires_grad_(), target.flip(1).flip(1), 0.2)
    (gradient,) = torch.autograd.grad(found, turned)
    assert found.item() == expected.item()
    assert torch.equal(gradient, *torch.autograd.grad(expected, rendered))


def test_the_number_of_threads_changes_no_byte():
    rendered, target = images((2, 40, 50, 3))
    most = numba.get_num_threads()
    results = []
    for threads in (1, most):
        numba.set_num_threads(threads)
        loss = PhotometricLoss.apply(rendered, target, 0.2)
        results.append((loss.item(), *torch.autograd.grad(loss, rendered)))
    numba.set_num_threads(most)
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_without_a_gradient_to_come_only_the_loss_is_computed(monkeypatch):
    rendered, target = images((1, 20, 30, 3))
    expected = photometric_loss(rendered, target, 0.2).item()
    monkeypatch.setattr("headstyle.losses.photometric_cpu.gradient_down", None)
    assert photometric_loss(rendered.detach(), target, 0.2).item() == expected


def test_a_value_that_is_not_finite_is_not_hidden():
    rendered, target = images((1, 20, 30, 3))
    with torch.no_grad():
        rendered[0, 10, 10, 1] = torch.nan
    assert photometric_loss(rendered, target, 0.2).isnan()
