"""Small steps of an iteration on CUDA, each as one kernel instead of about eight operators.

For a view of moderate size the GPU works for less time than the host takes to start the kernels. So
fewer kernels save time. The formulas are those of `photometric.on_background`,
`exposure.Exposures.apply` and `densification.add_gradients`.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# Pixels or splats of one program.
BLOCK = 256


@triton.jit(do_not_specialize=["total", "pixels"])
def composite(
    alphas, colors, masks, slots, background, target, signs, partial, total, pixels, share,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Put targets on a background, sum |alpha - mask| times `share`, and store the signs."""
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = p < total
    source = tl.load(slots + p // pixels, mask=inside, other=0) * pixels + p % pixels
    mask = tl.load(masks + source, mask=inside, other=0.0)
    for channel in tl.static_range(3):
        color = tl.load(colors + 3 * source + channel, mask=inside, other=0.0)
        behind = (1 - mask) * tl.load(background + channel)
        tl.store(target + 3 * p + channel, color + behind, mask=inside)
    excess = tl.load(alphas + p, mask=inside, other=0.0) - mask
    sign = tl.where(excess > 0, 1.0, tl.where(excess < 0, -1.0, 0.0))
    tl.store(signs + p, share * sign, mask=inside)
    total_excess = tl.sum(tl.where(inside, tl.abs(excess), 0.0), axis=0)
    tl.store(partial + tl.program_id(0), share * total_excess)


class Targets(torch.autograd.Function):
    """Targets on a background `(C, H, W, 3)`, and the mean of |alpha - mask|, a scalar.

    Takes the rendered alphas `(C, H, W)`. Then come arguments without gradient: the premultiplied
    colors `(S, H, W, 3)` and masks `(S, H, W)` of all views of that size, the rendered views'
    indices among them `(C,)`, and the background `(3,)`.
    """

    @staticmethod
    def forward(
        ctx: Any, alphas: Tensor, colors: Tensor, masks: Tensor, slots: Tensor, background: Tensor
    ) -> tuple[Tensor, Tensor]:
        alphas = alphas.contiguous()
        total, pixels = alphas.numel(), alphas.shape[1] * alphas.shape[2]
        blocks = -(-total // BLOCK)
        target = alphas.new_empty((*alphas.shape, 3))
        signs, partial = torch.empty_like(alphas), alphas.new_empty(blocks)
        composite[(blocks,)](
            alphas, colors, masks, slots, background.contiguous(), target, signs, partial,
            total, pixels, 1 / total, BLOCK=BLOCK,
        )  # fmt: skip
        ctx.save_for_backward(signs)
        ctx.mark_non_differentiable(target)
        return target, partial.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (signs,) = ctx.saved_tensors
        return signs * gradient, None, None, None, None


@triton.jit
def _exposed_pixels(alphas, logarithms, views, pixels, BLOCK: tl.constexpr):
    """This program's pixels, the place of their image's gains, and the background's share."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < pixels
    p = tl.program_id(1) * pixels + n
    place = 3 * tl.load(views + tl.program_id(1))
    return p, inside, place, 1 - tl.load(alphas + p, mask=inside, other=1.0)


@triton.jit(do_not_specialize=["pixels"])
def expose(
    colors, alphas, logarithms, views, background, found, pixels, BLOCK: tl.constexpr
):  # fmt: skip
    """Multiply the colors of images by their views' gains, except for the background's share."""
    p, inside, place, through = _exposed_pixels(alphas, logarithms, views, pixels, BLOCK)
    for channel in tl.static_range(3):
        gain = tl.exp(tl.load(logarithms + place + channel))
        behind = through * tl.load(background + channel)
        color = tl.load(colors + 3 * p + channel, mask=inside, other=0.0)
        tl.store(found + 3 * p + channel, behind + gain * (color - behind), mask=inside)


@triton.jit(do_not_specialize=["pixels"])
def expose_backward(
    colors, alphas, logarithms, views, background, gradient, d_colors, d_alphas, d_logarithms,
    pixels, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill the gradients of colors and alphas, and add to those of the logarithms."""
    p, inside, place, through = _exposed_pixels(alphas, logarithms, views, pixels, BLOCK)
    of_alpha = tl.zeros((BLOCK,), tl.float32)
    for channel in tl.static_range(3):
        gain = tl.exp(tl.load(logarithms + place + channel))
        light = tl.load(background + channel)
        color = tl.load(colors + 3 * p + channel, mask=inside, other=0.0)
        d = tl.load(gradient + 3 * p + channel, mask=inside, other=0.0)
        tl.store(d_colors + 3 * p + channel, gain * d, mask=inside)
        of_alpha += (gain - 1) * light * d
        of_gain = tl.where(inside, gain * d * (color - through * light), 0.0)
        tl.atomic_add(d_logarithms + place + channel, tl.sum(of_gain, axis=0))
    tl.store(d_alphas + p, of_alpha, mask=inside)


class Exposed(torch.autograd.Function):
    """Images `(C, H, W, 3)` times their views' gains; the background's share does not change.

    Takes the images, their alphas `(C, H, W)` and the logarithms of all views' gains `(V, 3)`. Then
    come arguments without gradient: the images' views `(C,)` and the background `(3,)`.
    """

    @staticmethod
    def forward(
        ctx: Any, colors: Tensor, alphas: Tensor, logarithms: Tensor, views: Tensor, light: Tensor
    ) -> Tensor:
        given = [tensor.contiguous() for tensor in (colors, alphas, logarithms, views, light)]
        found = torch.empty_like(given[0])
        pixels = alphas.shape[1] * alphas.shape[2]
        expose[(-(-pixels // BLOCK), len(alphas))](*given, found, pixels, BLOCK=BLOCK)
        ctx.save_for_backward(*given)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        colors, alphas, logarithms = given[:3]
        found = (torch.empty_like(colors), torch.empty_like(alphas), torch.zeros_like(logarithms))
        pixels = alphas.shape[1] * alphas.shape[2]
        expose_backward[(-(-pixels // BLOCK), len(alphas))](
            *given, gradient.contiguous(), *found, pixels, BLOCK=BLOCK
        )
        return *found, None, None


@triton.jit(do_not_specialize=["count", "views"])
def note_gradients(
    gradients, radii, sums, counts, half_width, half_height, count, views, BLOCK: tl.constexpr
):
    """Add the length of each splat's image gradient, and count the views that see the splat."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    length, seen = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for view in range(views):
        place = 2 * (view * count + n)
        across = half_width * tl.load(gradients + place, mask=inside, other=0.0)
        down = half_height * tl.load(gradients + place + 1, mask=inside, other=0.0)
        length += tl.sqrt(across * across + down * down)
        wide = tl.load(radii + place, mask=inside, other=0) > 0
        high = tl.load(radii + place + 1, mask=inside, other=0) > 0
        seen += tl.where(wide & high, 1.0, 0.0)
    tl.store(sums + n, tl.load(sums + n, mask=inside, other=0.0) + length, mask=inside)
    tl.store(counts + n, tl.load(counts + n, mask=inside, other=0.0) + seen, mask=inside)


def add_lengths(
    gradients: Tensor, radii: Tensor, sums: Tensor, counts: Tensor, half: tuple[float, float]
) -> None:
    """Add the gradients' lengths to `sums` and the views that see a splat to `counts`, `(N,)` each.

    Takes the views' gradients and radii `(C, N, 2)`. `half` is the factor of the gradients along x
    and y.
    """
    views, count = radii.shape[:2]
    if count:
        note_gradients[(-(-count // BLOCK),)](
            gradients.contiguous(), radii.contiguous(), sums, counts, *half, count, views,
            BLOCK=BLOCK,
        )  # fmt: skip
