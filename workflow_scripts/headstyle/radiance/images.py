"""Images and depths of a radiance field: what `headstyle.rendering` makes of splats."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.radiance.sampling import Histogram, Rays, middles, proposed, rays_of, weights_of
from headstyle.rendering.renderer import View

if TYPE_CHECKING:
    from headstyle.radiance.field import RadianceField

# Rays that are rendered together.
CHUNK_CPU, CHUNK_GPU = 4096, 1 << 15
# A pixel with a smaller alpha has no expected depth, as for splats.
NOTHING = 0.5 / 255


@dataclass(frozen=True)
class Seen:
    """What R rays see."""

    colors: Tensor
    """Colors times alpha, on black. Shape `(R, 3)`."""
    alphas: Tensor
    """Opacity in [0, 1]. Shape `(R,)`."""
    shown: Histogram
    """How much each part of the rays is seen."""


def see(
    field: "RadianceField", rays: Rays, edges: Tensor, views: Tensor | None, mixed: bool = False
) -> Seen:
    """Evaluate the field between the edges of rays.

    Args:
        field: The field.
        rays: The rays.
        edges: Ends of their parts [depth]. Shape `(R, S + 1)`.
        views: Indices of the training views whose appearance to use `(R,)`; None for the mean.
        mixed: Whether the networks compute with 16 bits.
    """
    directions = rays.directions / rays.speed[:, None]
    device = rays.near.device.type
    with torch.autocast(device, torch.bfloat16, enabled=mixed):
        features = field.ray_features(directions, views)
        densities, colors = field(middles(rays, edges), features)
    weights = weights_of(densities, edges, rays.speed)
    seen = (weights[..., None] * colors).sum(dim=1)
    return Seen(seen, weights.sum(dim=1), Histogram(edges, weights))


def field_views(field: "RadianceField", cameras: Cameras) -> Iterator[View]:
    """Render one view after the other, without gradients; see `render_views` of splats.

    Colors have the mean appearance.
    """
    for i, name in enumerate(cameras.names):
        width, height = (int(size) for size in cameras.sizes[i])
        pose = _on(field, np.linalg.inv(cameras.world_to_camera[i])[:3])
        inverse = _on(field, np.linalg.inv(cameras.intrinsics[i]))
        with torch.no_grad():
            found = _pixels(field, pose, inverse, width, height)
        image = found.cpu().numpy().reshape(height, width, 6)
        median, expected = (np.ascontiguousarray(image[..., k]) for k in (4, 5))
        yield name, np.ascontiguousarray(image[..., :4]), median, expected


def _on(field: "RadianceField", array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32)).to(field.device)


def _pixels(
    field: "RadianceField", pose: Tensor, inverse: Tensor, width: int, height: int
) -> Tensor:
    """Straight color, alpha, median and expected depth of all pixels. Shape `(H W, 6)`."""
    device = field.device
    found = torch.zeros((height * width, 6), device=device)
    # As in the training.
    mixed = device.type == "cuda"
    chunk = CHUNK_GPU if mixed else CHUNK_CPU
    for start in range(0, height * width, chunk):
        index = torch.arange(start, min(start + chunk, height * width), device=device)
        pixels = torch.stack([index % width, index // width], dim=1) + 0.5
        count = len(index)
        rays = rays_of(
            *(field.corner, field.box.side),
            *(pose.expand(count, 3, 4), inverse.expand(count, 3, 3), pixels),
        )
        index, rays = index[hit := rays.far > rays.near], rays.chosen(hit)
        if not len(index):
            continue
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            histograms, edges = proposed(field, rays, None)
        # Proposals bound what the field shows. Most pixels of a head's view show nothing.
        shows = histograms[-1].weights.sum(dim=1) > NOTHING
        if bool(shows.any()):
            seen = see(field, rays.chosen(shows), edges[shows], None, mixed)
            found[index[shows]] = _described(seen)
    return found


def _described(seen: Seen) -> Tensor:
    alphas = seen.alphas.clamp(0, 1)
    visible = alphas > NOTHING
    colors = (seen.colors / alphas.clamp_min(1e-6)[:, None]).clamp(0, 1)
    edges, weights = seen.shown.edges, seen.shown.weights
    depths = (edges[:, 1:] + edges[:, :-1]) / 2
    expected = (weights * depths).sum(dim=1) / alphas.clamp_min(1e-6)
    return torch.cat(
        [
            torch.where(alphas[:, None] > 0, colors, torch.zeros_like(colors)),
            alphas[:, None],
            median_depth(seen.shown)[:, None],
            torch.where(visible, expected, torch.zeros_like(expected))[:, None],
        ],
        dim=1,
    )


def median_depth(shown: Histogram) -> Tensor:
    """Depth at which half of the light is left, 0 where more always is. Shape `(R,)`.

    Density is constant between two edges, so the light that is left falls exponentially there.
    """
    reached = torch.cumsum(shown.weights, dim=1)
    passed = (reached >= 0.5).float()
    index = passed.argmax(dim=1, keepdim=True)
    before = (reached - shown.weights).gather(1, index)
    weight = shown.weights.gather(1, index)
    # Optical thickness up to the half, relative to that of the whole part.
    whole = -torch.log(((1 - before - weight) / (1 - before).clamp_min(1e-6)).clamp_min(1e-9))
    half = -torch.log((0.5 / (1 - before).clamp_min(0.5)).clamp_max(1))
    part = (half / whole.clamp_min(1e-9)).clamp(0, 1)
    first, last = shown.edges.gather(1, index), shown.edges.gather(1, index + 1)
    depth = torch.lerp(first, last, part)[:, 0]
    return torch.where(passed.amax(dim=1) > 0, depth, torch.zeros_like(depth))
