"""A slow renderer in plain torch that states the rules of `headstyle.rendering.renderer.render`.

Everything is float64 and differentiated by autograd; each pixel looks at all splats. Also the
small scenes and cameras that the tests of the splats share.
"""

import math

import torch
from torch import Tensor

SH_CONSTANT = 0.28209479177387814


def make_scene(count, degree=1, seed=0, size=0.15, dtype=torch.float32):
    """Random splats in a box around the origin, as leaves that want gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    splats = {
        "means": normal(count, 3) * 0.4,
        "scales": math.log(size) + 0.5 * normal(count, 3),
        "quats": normal(count, 4),
        "opacities": normal(count),
        "sh0": normal(count, 1, 3),
        "shN": 0.3 * normal(count, (degree + 1) ** 2 - 1, 3),
    }
    return {name: value.to(dtype).requires_grad_() for name, value in splats.items()}


def make_cameras(count, width, height, distance=3.0):
    """Cameras on an arc that look at the origin: `(C, 4, 4)` and `(C, 3, 3)`."""
    poses, focal = torch.eye(4).repeat(count, 1, 1), 1.2 * max(width, height)
    for i in range(count):
        angle = 0.4 * (i - (count - 1) / 2)
        cos, sin = math.cos(angle), math.sin(angle)
        poses[i, :3, :3] = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    poses[:, 2, 3] = distance
    intrinsics = torch.tensor([[focal, 0, width * 0.52], [0, focal, height * 0.47], [0, 0, 1.0]])
    return poses, intrinsics.repeat(count, 1, 1)


def reference_render(splats, poses, intrinsics, width, height, degree, background=None):
    """Colors `(C, H, W, 3)`, alphas, expected and median depth `(C, H, W)` in float64."""
    splats = {name: value.double() for name, value in splats.items()}
    views = [
        _one_view(splats, pose.double(), matrix.double(), width, height, degree)
        for pose, matrix in zip(poses, intrinsics, strict=True)
    ]
    colors, alphas, expected, median = (torch.stack(parts) for parts in zip(*views, strict=True))
    if background is not None:
        colors = colors + (1 - alphas[..., None]) * background.double()
    return colors, alphas, expected, median


def _one_view(splats, pose, matrix, width, height, degree):
    center, covariance, depth = _project(splats, pose, matrix, width, height)
    colors = _colors(splats, torch.linalg.inv(pose)[:3, 3], degree)
    order = torch.argsort(depth, stable=True)
    order = order[depth[order] >= 0.01]
    x = torch.arange(width, dtype=torch.float64) + 0.5
    y = torch.arange(height, dtype=torch.float64) + 0.5
    dx = center[order, 0, None, None] - x[None, None, :]
    dy = center[order, 1, None, None] - y[None, :, None]
    inverse = torch.linalg.inv(covariance)[order]
    a, b, c = (inverse[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    opacity = torch.sigmoid(splats["opacities"])[order, None, None]
    alpha = (opacity * torch.exp(-sigma)).clamp_max(0.999)
    alpha = torch.where(alpha >= 1 / 255, alpha, torch.zeros_like(alpha))
    color = torch.zeros(height, width, 3, dtype=torch.float64)
    through = torch.ones(height, width, dtype=torch.float64)
    expected, median = torch.zeros_like(through), torch.zeros_like(through)
    open_ = torch.ones_like(through, dtype=torch.bool)
    for i in range(len(order)):
        after = through * (1 - alpha[i])
        open_ = open_ & (after > 1e-4)
        weight = torch.where(open_, alpha[i] * through, torch.zeros_like(through))
        color = color + weight[..., None] * colors[order[i]]
        expected = expected + weight * depth[order[i]]
        median = torch.where(
            open_ & (through > 0.5) & (after <= 0.5), depth[order[i]].expand_as(median), median
        )
        through = torch.where(open_, after, through)
    seen = 1 - through
    expected = torch.where(seen > 0.5 / 255, expected / seen.clamp_min(1e-9), expected * 0)
    return color, seen, expected, median


def _project(splats, pose, matrix, width, height):
    rotation = _rotation(splats["quats"])
    axes = rotation * torch.exp(splats["scales"])[:, None, :]
    world = axes @ axes.transpose(1, 2)
    view = pose[:3, :3]
    x, y, z = (splats["means"] @ view.T + pose[:3, 3]).unbind(-1)
    focal_x, focal_y, principal_x, principal_y = (
        matrix[i] for i in ((0, 0), (1, 1), (0, 2), (1, 2))
    )
    u = (x / z).clamp(
        float(-principal_x / focal_x - 0.15 * width / focal_x),
        float((width - principal_x) / focal_x + 0.15 * width / focal_x),
    )
    v = (y / z).clamp(
        float(-principal_y / focal_y - 0.15 * height / focal_y),
        float((height - principal_y) / focal_y + 0.15 * height / focal_y),
    )
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [focal_x / z, zero, -focal_x * u / z, zero, focal_y / z, -focal_y * v / z], dim=-1
    ).reshape(-1, 2, 3)
    image = jacobian @ view @ world @ view.T @ jacobian.transpose(1, 2)
    image = image + 0.3 * torch.eye(2, dtype=torch.float64)
    center = torch.stack([focal_x * x / z + principal_x, focal_y * y / z + principal_y], dim=-1)
    return center, image, z


def _rotation(quats: Tensor) -> Tensor:
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _colors(splats, eye, degree):
    direction = torch.nn.functional.normalize(splats["means"] - eye, dim=-1)
    bases = [torch.full_like(direction[:, 0], SH_CONSTANT), *_bases(direction)]
    bases = torch.stack(bases[: (degree + 1) ** 2], dim=-1)
    harmonics = torch.cat([splats["sh0"], splats["shN"]], dim=1)[:, : (degree + 1) ** 2]
    return ((bases[..., None] * harmonics).sum(1) + 0.5).clamp_min(0)


def _bases(direction):
    """The 15 bases of degree 1 to 3 from their closed forms (square roots of rationals / pi)."""
    x, y, z = direction.unbind(-1)

    def factor(numerator, denominator):
        return math.sqrt(numerator / (denominator * math.pi))

    return [
        -factor(3, 4) * y,
        factor(3, 4) * z,
        -factor(3, 4) * x,
        factor(15, 4) * x * y,
        -factor(15, 4) * y * z,
        factor(5, 16) * (3 * z * z - 1),
        -factor(15, 4) * x * z,
        factor(15, 16) * (x * x - y * y),
        -factor(35, 32) * y * (3 * x * x - y * y),
        factor(105, 4) * x * y * z,
        -factor(21, 32) * y * (5 * z * z - 1),
        factor(7, 16) * z * (5 * z * z - 3),
        -factor(21, 32) * x * (5 * z * z - 1),
        factor(105, 16) * z * (x * x - y * y),
        -factor(35, 32) * x * (x * x - 3 * y * y),
    ]


def reference_colors(splats, eyes, degree):
    """Colors `(C, N, 3)` of splats seen from the eyes `(C, 3)`, at least 0."""
    return torch.stack([_colors(splats, eye, degree) for eye in eyes])
