"""Photographs of surfels: light, shadows, and one rasterization for color, albedo and normals.

The discs are flattened opaque Gaussians, one per vertex (`headstyle_training.heads.surfels`). On
CUDA gsplat draws a batch of heads at once, on the CPU `headstyle.rendering.renderer` one after the
other. Images are drawn larger and averaged in linear light, so that edges are neither ragged nor
blurred.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from headstyle.base.locks import lock_of
from torch import Tensor
from torch.nn import functional

from headstyle_training.heads.studio import CameraBatch, LightBatch, TintBatch
from headstyle_training.heads.surfels import COLOR_GROUPS, POSITION_STEP_M, SPACING_STEP_M

OVERSAMPLING = 2
"""Pixels drawn per side of a pixel."""
OPACITY = 0.995
SPREAD = 0.48
"""Standard deviation of a disc over the spacing of the vertices."""
EDGE_ALPHA, EDGE_WIDTH = 0.78, 0.2
"""Summed opacity at which the surface ends, and the range over which it fades."""
FLATNESS = 0.1
"""Thickness of a disc over its width."""
FACING_MIN = 0.05
"""Smallest cosine between normal and direction to the camera of a disc that is drawn."""
SHADOW_SIDE_M = 0.76
SHADOW_SIZE = 200
SHADOW_CENTER_M = (0.0, -0.03, -0.02)
SHADOW_BIAS_M = 0.006
OCCLUDER_DISTANCE_M = 0.06
"""Typical distance from an occluder to its shadow, which decides the penumbra's width."""
PENUMBRA_TAPS = ((0.0, 0.0), *((r * c, r * s) for r, c, s in (
    (0.55, 1.0, 0.0), (0.55, -0.5, 0.87), (0.55, -0.5, -0.87),
    (1.0, 0.5, 0.87), (1.0, -1.0, 0.0), (1.0, 0.5, -0.87),
)))  # fmt: skip
"""Places in the light's unit disc from which the shadow map is read."""
GLOSS_EXPONENT = 18.0
NO_GROUP = len(COLOR_GROUPS)
_GROUP_OF_PART = np.full(256, NO_GROUP, dtype=np.int64)
for _group, _parts in enumerate(COLOR_GROUPS):
    _GROUP_OF_PART[list(_parts)] = _group
HARMONIC_0 = 0.2820947917738781
"""The constant spherical harmonic, by which a splat's color is stored."""


@dataclass(frozen=True)
class SurfelBatch:
    """B heads of up to N discs each."""

    positions: Tensor
    """[m]. Shape `(B, N, 3)`."""
    normals: Tensor
    """Unit vectors. Shape `(B, N, 3)`."""
    spacing: Tensor
    """Distance to the neighbors [m]. Shape `(B, N)`."""
    openness: Tensor
    """Part of the sky that is not hidden, in [0, 1]. Shape `(B, N)`."""
    albedo: Tensor
    """Linear reflectance in [0, 1]. Shape `(B, N, 3)`."""
    parts: Tensor
    """`Part` of each disc, uint8. Shape `(B, N)`."""
    present: Tensor
    """False where there is no disc: a head has fewer than N, or an edit hides it. `(B, N)`."""


@dataclass(frozen=True)
class Pictures:
    """B rendered heads."""

    rgba: Tensor
    """sRGB with straight alpha in [0, 1], black where alpha is 0. Shape `(B, 4, H, W)`."""
    traits: Tensor
    """Albedo and normal times alpha, and alpha, without light or camera tone. `(B, 7, H, W)`."""


def unpacked(geometry: Tensor, paint: Tensor, present: Tensor) -> SurfelBatch:
    """Discs from their bytes (little-endian, as all machines that PyTorch runs on).

    Args:
        geometry: `GEOMETRY` as int32. Shape `(B, N, 3)`.
        paint: `PAINT` as int32. Shape `(B, N)`.
        present: False for padding. Shape `(B, N)`.
    """
    words = geometry.view(torch.int16)
    octets = geometry.view(torch.uint8)
    colors = paint[..., None].view(torch.uint8)
    normals = octets[..., 8:11].view(torch.int8).float()
    spacing = words[..., 3].float() * SPACING_STEP_M
    return SurfelBatch(
        positions=words[..., :3].float() * POSITION_STEP_M,
        normals=functional.normalize(normals, dim=-1),
        spacing=spacing,
        openness=octets[..., 11].float() / 255,
        albedo=srgb_to_linear(colors[..., :3].float() / 255),
        parts=colors[..., 3],
        present=present & (spacing > 0),
    )


def prepare(device: torch.device | str) -> None:
    """Compile the renderer for CUDA; the first time on a machine takes minutes."""
    if torch.device(device).type != "cuda":
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstyle"
    cache.mkdir(parents=True, exist_ok=True)
    # gsplat deletes the files of another process that compiles it, so one waits for the other.
    with lock_of(cache / "gsplat.lock"):
        import gsplat.cuda._backend  # noqa: F401


@torch.no_grad()
def photograph(
    surfels: SurfelBatch,
    cameras: CameraBatch,
    lights: LightBatch,
    tints: TintBatch,
    height: int,
    width: int,
) -> Pictures:
    """Photograph each head with its own camera, in its own light and colors.

    Args:
        surfels: B heads; all tensors are on their device.
        cameras: B cameras.
        lights: B lights.
        tints: B sets of colors.
        height: Height of the pictures [px].
        width: Width of the pictures [px].
    """
    with torch.autocast(surfels.positions.device.type, enabled=False):
        return _photograph(surfels, cameras, lights, tints, height, width)


def _photograph(
    surfels: SurfelBatch,
    cameras: CameraBatch,
    lights: LightBatch,
    tints: TintBatch,
    height: int,
    width: int,
) -> Pictures:
    albedo = _tinted(surfels, tints)
    centers = -torch.einsum(
        "bji,bj->bi", cameras.world_to_camera[:, :3, :3], cameras.world_to_camera[:, :3, 3]
    )
    to_camera = functional.normalize(centers[:, None] - surfels.positions, dim=-1)
    radiance = _radiance(surfels, albedo, to_camera, lights)
    facing = (surfels.normals * to_camera).sum(-1)
    seen = surfels.present & (facing > FACING_MIN)
    channels = torch.cat([radiance, albedo, 0.5 + 0.5 * surfels.normals], dim=-1)
    size = (height * OVERSAMPLING, width * OVERSAMPLING)
    draw = _draw_cuda if channels.is_cuda else _draw_cpu
    drawn = draw(surfels, seen, channels, cameras, *size)
    drawn = functional.avg_pool2d(_hardened(drawn), OVERSAMPLING)
    alpha = drawn[:, 9:].clamp(0, 1)
    alpha = torch.where(alpha < 1 / 255, torch.zeros_like(alpha), alpha)
    linear = drawn[:, :3] / alpha.clamp_min(1e-6) * lights.exposure[:, :, None, None]
    rgb = linear_to_srgb(linear) ** lights.gamma[:, None, None, None]
    rgba = torch.cat([rgb * (alpha > 0), alpha], dim=1)
    return Pictures(rgba, torch.cat([drawn[:, 3:9], alpha], dim=1))


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """The sRGB transfer function (IEC 61966-2-1) of linear light, clipped to [0, 1]."""
    linear = linear.clamp(0, 1)
    bright = 1.055 * linear.clamp_min(1e-6) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, bright)


def _tinted(surfels: SurfelBatch, tints: TintBatch) -> Tensor:
    """The albedo in the photographs' colors. Shape `(B, N, 3)`."""
    groups = torch.from_numpy(_GROUP_OF_PART).to(surfels.parts.device)[surfels.parts.long()]
    albedo = surfels.albedo
    result = torch.where((groups == NO_GROUP)[..., None], albedo, torch.zeros_like(albedo))
    for group in range(NO_GROUP):
        varied = torch.einsum("bij,bnj->bni", tints.matrices[:, group], albedo).clamp(0, 1)
        result += varied * (groups == group)[..., None]
    return result


def _radiance(
    surfels: SurfelBatch, albedo: Tensor, to_camera: Tensor, lights: LightBatch
) -> Tensor:
    """Light that leaves each disc towards the camera, as in `headstyle.capture.lighting`, with a
    little gloss on top. Shape `(B, N, 3)`."""
    normals = surfels.normals
    open_sky = surfels.openness[..., None]
    # Light between the walls of a crevice, as in Jimenez et al. 2016 ("multi-bounce").
    open_sky = open_sky / (1 - 0.9 * albedo * (1 - open_sky))
    up = 0.5 + 0.5 * normals[..., 1:2]
    light = open_sky * (up * lights.sky_color[:, None] + (1 - up) * lights.floor_color[:, None])
    fill = torch.einsum("bni,bi->bn", normals, lights.fill_direction).clamp_min(0)[..., None]
    light += open_sky * fill * lights.fill_color[:, None]
    toward = torch.einsum("bni,bi->bn", normals, lights.key_direction)
    lit = _unshadowed(surfels, toward, lights)[..., None]
    key_color = lights.key_color[:, None]
    light += lit * toward.clamp_min(0)[..., None] * key_color
    half = functional.normalize(to_camera + lights.key_direction[:, None], dim=-1)
    mirror = (normals * half).sum(-1, keepdim=True).clamp_min(0) ** GLOSS_EXPONENT
    return albedo * light + lights.gloss[:, None, None] * lit * mirror * key_color


def _unshadowed(surfels: SurfelBatch, toward: Tensor, lights: LightBatch) -> Tensor:
    """How much of the key light reaches each disc, in [0, 1]: a shadow map. Shape `(B, N)`.

    Seen from the light, the nearest disc of each cell of a grid casts the shadow (Williams 1978),
    which is looked up at several places of the light's disc.
    """
    count = len(toward)
    direction = lights.key_direction
    side = functional.normalize(
        torch.linalg.cross(direction, direction.new_tensor([0.0, 1.0, 0.01]).expand_as(direction)),
        dim=-1,
    )
    basis = torch.stack([side, torch.linalg.cross(side, direction), direction], dim=-1)
    local = (surfels.positions - surfels.positions.new_tensor(SHADOW_CENTER_M)) @ basis
    place = (local[..., :2] / SHADOW_SIDE_M + 0.5) * SHADOW_SIZE
    height = local[..., 2]
    cells = _cells(place)
    grid = height.new_full((count, SHADOW_SIZE**2), -1e3)
    casting = torch.where(surfels.present, height, torch.full_like(height, -1e3))
    grid.scatter_reduce_(1, cells, casting, "amax")
    # The plane of the disc rises this fast across the light: it must not shade itself.
    rise = -(surfels.normals @ basis[..., :2]) / toward.clamp_min(0.15)[..., None]
    bias = SHADOW_BIAS_M + rise.norm(dim=-1) * (SHADOW_SIDE_M / SHADOW_SIZE)
    radius = lights.key_softness[:, None] * OCCLUDER_DISTANCE_M
    lit = torch.zeros_like(height)
    for x, y in PENUMBRA_TAPS:
        offset = radius[..., None] * height.new_tensor([x, y])
        limit = height + bias + (rise * offset).sum(-1)
        lit += grid.gather(1, _cells(place + offset * (SHADOW_SIZE / SHADOW_SIDE_M))) < limit
    return lit / len(PENUMBRA_TAPS)


def _cells(place: Tensor) -> Tensor:
    cell = place.long().clamp(0, SHADOW_SIZE - 1)
    return cell[..., 1] * SHADOW_SIZE + cell[..., 0]


def _rotations(normals: Tensor) -> Tensor:
    """Quaternions wxyz that turn the z axis to the normals, of any length. Shape `(..., 4)`."""
    x, y, z = normals.unbind(-1)
    # Half way between z and the normal; straight down any half turn will do.
    w = (1 + z).clamp_min(1e-4)
    return torch.stack([w, -y, x, torch.zeros_like(x)], dim=-1)


def _scales(spacing: Tensor) -> Tensor:
    wide = SPREAD * spacing
    return torch.stack([wide, wide, FLATNESS * wide], dim=-1)


def _draw_cuda(
    surfels: SurfelBatch,
    seen: Tensor,
    channels: Tensor,
    cameras: CameraBatch,
    height: int,
    width: int,
) -> Tensor:
    """All channels times alpha, then alpha. Shape `(B, 10, H, W)`."""
    from gsplat import rasterization

    images, alphas, _ = rasterization(
        surfels.positions,
        _rotations(surfels.normals),
        _scales(surfels.spacing),
        # Discs of no opacity are dropped before anything is drawn.
        OPACITY * seen.float(),
        channels,
        cameras.world_to_camera[:, None],
        _enlarged(cameras.intrinsics)[:, None],
        width,
        height,
        packed=False,
    )
    drawn = torch.cat([images, alphas], dim=-1)[:, 0].movedim(-1, 1)
    return _unmixed(drawn)


def _draw_cpu(
    surfels: SurfelBatch,
    seen: Tensor,
    channels: Tensor,
    cameras: CameraBatch,
    height: int,
    width: int,
) -> Tensor:
    """As `_draw_cuda`, one head and three channels at a time."""
    from headstyle.rendering.renderer import render

    heads = []
    for i in range(len(seen)):
        kept = seen[i]
        splats = {
            "means": surfels.positions[i][kept],
            "quats": _rotations(surfels.normals[i][kept]),
            "scales": _scales(surfels.spacing[i][kept]).log(),
            "opacities": torch.logit(torch.full((int(kept.sum()),), OPACITY)),
        }
        images = []
        for start in (0, 3, 6):
            colors = channels[i][kept][:, start : start + 3]
            splats["sh0"] = ((colors - 0.5) / HARMONIC_0)[:, None]
            splats["shN"] = splats["sh0"][:, :0]
            rendering = render(
                splats,
                cameras.world_to_camera[i : i + 1],
                _enlarged(cameras.intrinsics[i : i + 1]),
                width,
                height,
            )
            images.append(rendering.colors[0])
        drawn = torch.cat([*images, rendering.alphas[0][..., None]], dim=-1)
        heads.append(drawn.movedim(-1, 0))
    return _unmixed(torch.stack(heads))


def _hardened(drawn: Tensor) -> Tensor:
    """Make pixels opaque that discs nearly cover, and empty where only the rims of discs reach.

    A surface has an edge and no gaps, but its Gaussians reach beyond the edge and do not quite
    close the gaps between them.
    """
    alpha = drawn[:, 9:10]
    hard = ((alpha - EDGE_ALPHA + EDGE_WIDTH / 2) / EDGE_WIDTH).clamp(0, 1)
    return torch.cat([drawn[:, :9] * (hard / alpha.clamp_min(1e-6)), hard], dim=1)


def _enlarged(intrinsics: Tensor) -> Tensor:
    factors = intrinsics.new_tensor([OVERSAMPLING, OVERSAMPLING, 1])
    return intrinsics * factors[:, None]


def _unmixed(drawn: Tensor) -> Tensor:
    """Normals back from [0, alpha] to [-alpha, alpha]."""
    drawn[:, 6:9] = 2 * drawn[:, 6:9] - drawn[:, 9:10]
    return drawn
