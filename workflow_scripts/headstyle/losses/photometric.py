"""Differences of two images: the training loss, PSNR and SSIM. Images are sRGB in [0, 1]."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstyle.base.devices import has_triton
from headstyle.losses.ssim_window import C1, C2, WINDOW, window_weights


def photometric_loss(rendered: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
    """(1 - w) L1 + w (1 - SSIM), as in 3D Gaussian splatting.

    Args:
        rendered: Rendered images, which are optimized. Shape `(C, H, W, 3)`.
        target: Target images, which get no gradient. Shape `(C, H, W, 3)`.
        ssim_weight: w in [0, 1].

    Returns:
        The mean over views, pixels and channels, a scalar.
    """
    if rendered.is_cuda and has_triton():
        from headstyle.losses.photometric_triton import PhotometricLoss

        return PhotometricLoss.apply(rendered, target, ssim_weight)
    if _is_plain(rendered) and _is_plain(target) and rendered.shape == target.shape:
        from headstyle.losses import photometric_cpu

        return photometric_cpu.PhotometricLoss.apply(rendered, target, ssim_weight)
    absolute = (rendered - target).abs().mean()
    if ssim_weight == 0:
        return absolute
    return (1 - ssim_weight) * absolute + ssim_weight * (1 - ssim_map(rendered, target).mean())


def on_background(
    alphas: Tensor, colors: Tensor, masks: Tensor, slots: Tensor, background: Tensor
) -> tuple[Tensor, Tensor]:
    """The rendered views' targets on a background, and the error of the rendered alphas.

    Args:
        alphas: Rendered alphas, the only input that gets a gradient. Shape `(C, H, W)`.
        colors: Premultiplied colors of all targets. Shape `(S, H, W, 3)`.
        masks: Masks of all targets. Shape `(S, H, W)`.
        slots: Index of each rendered view among the targets. Shape `(C,)`.
        background: Color behind the targets. Shape `(3,)`.

    Returns:
        Colors `(C, H, W, 3)`, and the mean of |alpha - mask|, a scalar.
    """
    if alphas.is_cuda and has_triton():
        from headstyle.losses.triton_steps import Targets

        return Targets.apply(alphas, colors, masks, slots, background)
    mask = masks.index_select(0, slots)
    target = torch.addcmul(colors.index_select(0, slots), (1 - mask)[..., None], background)
    return target, torch.nn.functional.l1_loss(alphas, mask)


def ssim_map(rendered: Tensor, target: Tensor) -> Tensor:
    """SSIM at every pixel and channel, zeros beyond the border; `target` gets no gradient.

    Takes and returns shape `(C, H, W, 3)`; the values lie in [-1, 1].
    """
    if rendered.shape != target.shape:
        raise ValueError(f"target is {tuple(target.shape)}, rendered {tuple(rendered.shape)}")
    return _Ssim.apply(rendered, target)


def psnr(rendered: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio [dB], at most 100; over the pixels of `mask` where given.

    Takes images `(..., H, W, 3)` and a boolean mask `(..., H, W)`; NaN for an empty mask.
    """
    squares = (rendered - target).square().mean(dim=-1)
    error = squares.mean() if mask is None else squares[mask].mean()
    return -10 * torch.log10(error.clamp_min(1e-10))


def foreground_scores(rendered: Tensor, target: Tensor, mask: Tensor) -> tuple[float, float]:
    """PSNR [dB] and SSIM of one view over the pixels of `mask`; NaN where it is empty.

    Takes images on the same background `(H, W, 3)` and a boolean mask `(H, W)`.
    """
    similarity = ssim_map(rendered[None], target[None])[0].mean(dim=-1)[mask].mean()
    return float(psnr(rendered, target, mask)), float(similarity)


def color_corrected(rendered: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """The rendered image after the affine map of its colors that fits the target best.

    The map removes differences of exposure and white balance. It is the least-squares fit over the
    pixels of `mask`. Takes images `(H, W, 3)` and a boolean mask `(H, W)`, returns an image.
    """
    ones = torch.ones_like(rendered[..., :1])
    inputs = torch.cat([rendered, ones], dim=-1)
    chosen, wanted = inputs[mask].double(), target[mask].double()
    # A scene of one color has no unique map; the smallest one is taken.
    affine = torch.linalg.pinv(chosen.T @ chosen) @ (chosen.T @ wanted)
    return (inputs.double() @ affine).to(rendered).clamp(0, 1)


def _is_plain(images: Tensor) -> bool:
    """Whether the CPU's kernels can process these images."""
    return images.device.type == "cpu" and images.dtype == torch.float32 and images.shape[-1] == 3


@cache
def _window(channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return window_weights(device, dtype).expand(channels, 1, WINDOW).contiguous()


def _blur(images: Tensor) -> Tensor:
    """Gaussian window over `(C, H, W, K)`. Channels last is the fast layout on the CPU."""
    channels = images.shape[-1]
    window = _window(channels, images.device, images.dtype)
    stacked = images.permute(0, 3, 1, 2)
    if images.is_cuda:
        # With channels last cuDNN would compute this in TF32, too coarse for a variance.
        stacked = stacked.contiguous()
    half = WINDOW // 2
    across = torch.nn.functional.conv2d(
        stacked, window[:, :, None, :], padding=(0, half), groups=channels
    )
    both = torch.nn.functional.conv2d(
        across, window[:, :, :, None], padding=(half, 0), groups=channels
    )
    return both.permute(0, 2, 3, 1)


class _Ssim(torch.autograd.Function):
    """SSIM with an explicit gradient: 5 blurred maps forward, 3 backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        moments = _blur(torch.cat([x, y, x * x + y * y, x * y], dim=-1))
        mean_x, mean_y, squares, product = moments.split(x.shape[-1], dim=-1)
        means, both = mean_x * mean_y, mean_x.square() + mean_y.square()
        top_1, top_2 = 2 * means + C1, 2 * (product - means) + C2
        bottom_1, bottom_2 = both + C1, squares - both + C2
        inverse = 1 / (bottom_1 * bottom_2)
        similarity = top_1 * top_2 * inverse
        ctx.save_for_backward(x, y, mean_x, mean_y, top_1, top_2, bottom_1, bottom_2, similarity)
        return similarity

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y, mean_x, mean_y, top_1, top_2, bottom_1, bottom_2, similarity = ctx.saved_tensors
        inverse = gradient / (bottom_1 * bottom_2)
        scaled = gradient * similarity
        to_mean = 2 * mean_y * (top_2 - top_1) * inverse
        to_mean += 2 * mean_x * scaled * (1 / bottom_2 - 1 / bottom_1)
        to_squares, to_product = -scaled / bottom_2, 2 * top_1 * inverse
        blurred = _blur(torch.cat([to_mean, to_squares, to_product], dim=-1))
        mean, squares, product = blurred.split(x.shape[-1], dim=-1)
        return mean + 2 * x * squares + y * product, None
