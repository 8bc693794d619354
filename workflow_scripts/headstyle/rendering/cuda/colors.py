"""Colors of splats from their spherical harmonics on CUDA: one kernel forward, one backward.

gsplat's own function copies all harmonics once per view. Here each view reads them in place, and
the backward pass sums over the views in registers. Bases and signs as in `spherical_harmonics`.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstyle.rendering import spherical_harmonics

# Splats of one program.
BLOCK = 128
# The number of splats changes at every refinement. The kernels must not be compiled again for it.
SIZES = ["count", "views"]
C0 = tl.constexpr(spherical_harmonics.C0)
C1 = tl.constexpr(spherical_harmonics.C1)
C20, C21, C22, C23 = (tl.constexpr(value) for value in spherical_harmonics.C2)
C30, C31, C32, C33, C34, C35, C36 = (tl.constexpr(value) for value in spherical_harmonics.C3)


@triton.jit
def _direction(means, poses, view, n, seen):
    """Unit vector from the eye of a view to the splats, and one over the distance."""
    pose = poses + 16 * view
    across, down, ahead = tl.load(pose + 3), tl.load(pose + 7), tl.load(pose + 11)
    # The inverse of a rotation is its transpose: the eye is at -R^T t.
    x = tl.load(means + 3 * n, mask=seen, other=1.0)
    y = tl.load(means + 3 * n + 1, mask=seen, other=1.0)
    z = tl.load(means + 3 * n + 2, mask=seen, other=1.0)
    x += tl.load(pose) * across + tl.load(pose + 4) * down + tl.load(pose + 8) * ahead
    y += tl.load(pose + 1) * across + tl.load(pose + 5) * down + tl.load(pose + 9) * ahead
    z += tl.load(pose + 2) * across + tl.load(pose + 6) * down + tl.load(pose + 10) * ahead
    inverse = 1 / tl.sqrt(tl.maximum(x * x + y * y + z * z, 1e-30))
    return x * inverse, y * inverse, z * inverse, inverse


@triton.jit
def _seen(radii, view, n, count):
    """Which of the splats the view shows."""
    place = 2 * (view * count + n)
    across = tl.load(radii + place, mask=n < count, other=0)
    down = tl.load(radii + place + 1, mask=n < count, other=0)
    return (across > 0) & (down > 0)


@triton.jit
def load_harmonics(sh0, rest, n, inside, channel, DEGREE: tl.constexpr, REST: tl.constexpr):
    """The 16 harmonics of one channel; zeros above the degree in use."""
    p = rest + n * REST + channel
    first, second, third = inside & (DEGREE > 0), inside & (DEGREE > 1), inside & (DEGREE > 2)
    return (
        tl.load(sh0 + 3 * n + channel, mask=inside, other=0.0),
        tl.load(p, mask=first, other=0.0),
        tl.load(p + 3, mask=first, other=0.0),
        tl.load(p + 6, mask=first, other=0.0),
        tl.load(p + 9, mask=second, other=0.0),
        tl.load(p + 12, mask=second, other=0.0),
        tl.load(p + 15, mask=second, other=0.0),
        tl.load(p + 18, mask=second, other=0.0),
        tl.load(p + 21, mask=second, other=0.0),
        tl.load(p + 24, mask=third, other=0.0),
        tl.load(p + 27, mask=third, other=0.0),
        tl.load(p + 30, mask=third, other=0.0),
        tl.load(p + 33, mask=third, other=0.0),
        tl.load(p + 36, mask=third, other=0.0),
        tl.load(p + 39, mask=third, other=0.0),
        tl.load(p + 42, mask=third, other=0.0),
    )


@triton.jit
def bases_at(x, y, z):
    """The bases of degree 1 to 3."""
    squares = x * x - y * y
    band = C33 - C32 * z * z
    return (
        -C1 * y,
        C1 * z,
        -C1 * x,
        C20 * x * y,
        -C20 * y * z,
        C21 * z * z - C22,
        -C20 * x * z,
        C23 * squares,
        -C30 * y * (3 * x * x - y * y),
        C31 * x * y * z,
        y * band,
        z * (C34 * z * z - C35),
        x * band,
        C36 * z * squares,
        -C30 * x * (x * x - 3 * y * y),
    )


@triton.jit
def _slopes(x, y, z, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15):
    """Gradient by the direction of the bases of degree 1 to 3 weighted by the harmonics."""
    squares = x * x - y * y
    band = C33 - C32 * z * z
    gx = -C1 * h3 + C20 * (y * h4 - z * h7) + 2 * C23 * x * h8
    gy = -C1 * h1 + C20 * (x * h4 - z * h5) - 2 * C23 * y * h8
    gz = C1 * h2 + 2 * C21 * z * h6 - C20 * (y * h5 + x * h7)
    gx += C31 * y * z * h10 - 6 * C30 * x * y * h9 + band * h13
    gx += 2 * C36 * x * z * h14 - 3 * C30 * squares * h15
    gy += C31 * x * z * h10 - 3 * C30 * squares * h9 + band * h11
    gy += 6 * C30 * x * y * h15 - 2 * C36 * y * z * h14
    gz += C31 * x * y * h10 - 2 * C32 * z * (y * h11 + x * h13)
    gz += (3 * C34 * z * z - C35) * h12 + C36 * squares * h14
    return gx, gy, gz


@triton.jit(do_not_specialize=SIZES)
def colors_forward(
    means, sh0, rest, poses, radii, colors, count, views,
    DEGREE: tl.constexpr, REST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill colors `(C, N, 3)`; black where a view does not show the splat."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    for channel in tl.static_range(3):
        h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15 = load_harmonics(
            sh0, rest, n, inside, channel, DEGREE, REST
        )
        for view in range(views):
            seen = _seen(radii, view, n, count)
            x, y, z, _ = _direction(means, poses, view, n, seen)
            b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15 = bases_at(x, y, z)
            value = 0.5 + C0 * h0 + b1 * h1 + b2 * h2 + b3 * h3
            value += b4 * h4 + b5 * h5 + b6 * h6 + b7 * h7 + b8 * h8
            value += b9 * h9 + b10 * h10 + b11 * h11 + b12 * h12 + b13 * h13 + b14 * h14
            value = tl.where(seen, tl.maximum(value + b15 * h15, 0.0), 0.0)
            tl.store(colors + 3 * (view * count + n) + channel, value, mask=inside)


@triton.jit
def store_three(place, inside, first, second, third):
    """Store three values of one channel that follow each other."""
    tl.store(place, first, mask=inside)
    tl.store(place + 3, second, mask=inside)
    tl.store(place + 6, third, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def colors_backward(
    means, sh0, rest, poses, radii, colors, d_colors, d_means, d_sh0, d_rest, count, views,
    DEGREE: tl.constexpr, REST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Fill the gradients of means and harmonics, the latter up to the degree in use."""
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < count
    zero = tl.zeros((BLOCK,), tl.float32)
    dx, dy, dz = zero, zero, zero
    for channel in tl.static_range(3):
        _, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15 = load_harmonics(
            sh0, rest, n, inside, channel, DEGREE, REST
        )
        s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
        s8, s9, s10, s11, s12, s13, s14, s15 = zero, zero, zero, zero, zero, zero, zero, zero
        for view in range(views):
            seen = _seen(radii, view, n, count)
            x, y, z, inverse = _direction(means, poses, view, n, seen)
            place = 3 * (view * count + n) + channel
            # A color at its lower bound has no gradient.
            shown = seen & (tl.load(colors + place, mask=seen, other=0.0) > 0)
            d = tl.load(d_colors + place, mask=shown, other=0.0)
            b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15 = bases_at(x, y, z)
            s0, s1, s2, s3 = s0 + C0 * d, s1 + b1 * d, s2 + b2 * d, s3 + b3 * d
            s4, s5, s6, s7 = s4 + b4 * d, s5 + b5 * d, s6 + b6 * d, s7 + b7 * d
            s8, s9, s10, s11 = s8 + b8 * d, s9 + b9 * d, s10 + b10 * d, s11 + b11 * d
            s12, s13, s14, s15 = s12 + b12 * d, s13 + b13 * d, s14 + b14 * d, s15 + b15 * d
            gx, gy, gz = _slopes(
                x, y, z, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11, h12, h13, h14, h15
            )
            along = gx * x + gy * y + gz * z
            dx += (gx - along * x) * inverse * d
            dy += (gy - along * y) * inverse * d
            dz += (gz - along * z) * inverse * d
        tl.store(d_sh0 + 3 * n + channel, s0, mask=inside)
        p = d_rest + n * REST + channel
        if DEGREE > 0:
            store_three(p, inside, s1, s2, s3)
        if DEGREE > 1:
            store_three(p + 9, inside, s4, s5, s6)
            tl.store(p + 18, s7, mask=inside)
            tl.store(p + 21, s8, mask=inside)
        if DEGREE > 2:
            store_three(p + 24, inside, s9, s10, s11)
            store_three(p + 33, inside, s12, s13, s14)
            tl.store(p + 42, s15, mask=inside)
    tl.store(d_means + 3 * n, dx, mask=inside)
    tl.store(d_means + 3 * n + 1, dy, mask=inside)
    tl.store(d_means + 3 * n + 2, dz, mask=inside)


class SplatColors(torch.autograd.Function):
    """Colors `(C, N, 3)` of splats seen by C views, at least 0.

    Takes means `(N, 3)`, sh0 `(N, 1, 3)` and shN `(N, K - 1, 3)`. Then come arguments without
    gradient: the views' poses `(C, 4, 4)` from world to camera, radii `(C, N, 2)` (0 where a view
    does not show a splat), and the degree to use.
    """

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, sh0: Tensor, shN: Tensor, poses: Tensor, radii: Tensor, degree: int
    ) -> Tensor:
        tensors = [tensor.contiguous() for tensor in (means, sh0, shN, poses, radii)]
        views, count = radii.shape[:2]
        colors = means.new_empty((views, count, 3))
        ctx.sizes = {"DEGREE": degree, "REST": 3 * shN.shape[1], "BLOCK": BLOCK}
        if count:
            colors_forward[(-(-count // BLOCK),)](*tensors, colors, count, views, **ctx.sizes)
        ctx.save_for_backward(*tensors, colors)
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        means, sh0, rest, poses, radii, colors = ctx.saved_tensors
        views, count = radii.shape[:2]
        unused = (ctx.sizes["DEGREE"] + 1) ** 2 - 1 < rest.shape[1]
        d_rest = torch.zeros_like(rest) if unused else torch.empty_like(rest)
        d_means, d_sh0 = torch.empty_like(means), torch.empty_like(sh0)
        if count:
            colors_backward[(-(-count // BLOCK),)](
                means, sh0, rest, poses, radii, colors, gradient.contiguous(),
                d_means, d_sh0, d_rest, count, views, **ctx.sizes,
            )  # fmt: skip
        return d_means, d_sh0, d_rest, None, None, None
