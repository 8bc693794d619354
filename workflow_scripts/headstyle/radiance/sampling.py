"""Samples on rays: where they lie, how much each is seen, and the losses of both.

A ray has the direction with z = 1 in its camera, so its parameter t is the depth z. Origins and
directions are in the field's box, the unit cube; a step of t has the ray's `speed` there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from headstyle.radiance.field import RadianceField

NEAR = 0.01
"""Smallest depth, as for splats."""
# Added to the weights before samples are drawn, as in nerfacto.
PADDING = 0.01
SMALL = 1e-7


@dataclass(frozen=True)
class Rays:
    """R rays in the field's box."""

    origins: Tensor
    """Where they start. Shape `(R, 3)`."""
    directions: Tensor
    """Change of the place per unit of depth. Shape `(R, 3)`."""
    near: Tensor
    """Depth at which a ray enters the box. Shape `(R,)`."""
    far: Tensor
    """Depth at which it leaves the box; `near` for a ray that misses it. Shape `(R,)`."""

    @property
    def speed(self) -> Tensor:
        """Length in the box per unit of depth. Shape `(R,)`."""
        return self.directions.square().sum(dim=1).sqrt()

    def chosen(self, which: Tensor) -> "Rays":
        """Those rays for which `which` `(R,)` is true."""
        parts = (self.origins, self.directions, self.near, self.far)
        return Rays(*(part[which] for part in parts))


@dataclass(frozen=True)
class Histogram:
    """How much of each part of R rays is seen."""

    edges: Tensor
    """Depths of the parts' ends. Shape `(R, S + 1)`."""
    weights: Tensor
    """Part of the pixel that each shows. Shape `(R, S)`."""


def rays_of(
    corner: Tensor, side: float, camera_to_world: Tensor, inverse: Tensor, pixels: Tensor
) -> Rays:
    """The rays of pixels.

    Args:
        corner: Corner of the field's box `(3,)`.
        side: Side of the box.
        camera_to_world: The camera of each ray `(R, 3, 4)`.
        inverse: The inverse of its pinhole matrix `(R, 3, 3)`.
        pixels: Places in the image, pixel centers at +0.5 `(R, 2)`.
    """
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
    in_camera = (inverse @ homogeneous[..., None])[..., 0]
    directions = (camera_to_world[:, :, :3] @ in_camera[..., None])[..., 0] / side
    origins = (camera_to_world[:, :, 3] - corner) / side
    # A direction along a side of the box must not divide by 0.
    safe = torch.where(directions.abs() < SMALL, torch.full_like(directions, SMALL), directions)
    first, second = -origins / safe, (1 - origins) / safe
    near = torch.minimum(first, second).amax(dim=1).clamp_min(NEAR)
    far = torch.maximum(first, second).amin(dim=1)
    return Rays(origins, directions, near, torch.maximum(near, far))


def even_edges(rays: Rays, samples: int, jitter: Tensor | None) -> Tensor:
    """Parts of equal length from near to far. Shape `(R, samples + 1)`.

    Args:
        jitter: Shift of the inner edges in [0, 1) `(R,)`, in parts; None shifts none.
    """
    steps = torch.arange(samples + 1, device=rays.near.device, dtype=rays.near.dtype)
    places = steps.expand(len(rays.near), -1)
    if jitter is not None:
        places = (places + (jitter[:, None] - 0.5)).clamp(0, samples)
    return rays.near[:, None] + places / samples * (rays.far - rays.near)[:, None]


def drawn_edges(histogram: Histogram, samples: int, jitter: Tensor | None) -> Tensor:
    """Parts that are short where a histogram is large. Shape `(R, samples + 1)`; no gradient.

    Args:
        histogram: The histogram.
        samples: Number of parts.
        jitter: Shift of the quantiles in [0, 1) `(R,)`; None takes the middle.
    """
    edges, weights = histogram.edges.detach(), histogram.weights.detach() + PADDING
    reached = torch.cumsum(weights, dim=1)
    reached = reached / reached[:, -1:]
    reached = torch.cat([torch.zeros_like(reached[:, :1]), reached], dim=1)
    steps = torch.arange(samples + 1, device=edges.device, dtype=edges.dtype)
    shift = torch.full_like(edges[:, 0], 0.5) if jitter is None else jitter
    # The first and the last part reach the ends of the ray, whatever the shift.
    quantiles = ((steps + (shift[:, None] - 0.5)) / samples).clamp(0, 1)
    after = torch.searchsorted(reached, quantiles.contiguous(), right=True)
    after = after.clamp(1, edges.shape[1] - 1)
    low, high = reached.gather(1, after - 1), reached.gather(1, after)
    part = ((quantiles - low) / (high - low).clamp_min(SMALL)).clamp(0, 1)
    return torch.lerp(edges.gather(1, after - 1), edges.gather(1, after), part)


def weights_of(densities: Tensor, edges: Tensor, speed: Tensor) -> Tensor:
    """What part of the pixel each part of a ray shows. Shape `(R, S)`."""
    thickness = densities * (edges[:, 1:] - edges[:, :-1]) * speed[:, None]
    before = torch.cumsum(thickness, dim=1) - thickness
    return torch.exp(-before) * -torch.expm1(-thickness)


def proposed(
    field: "RadianceField",
    rays: Rays,
    jitters: Sequence[Tensor] | None,
    annealing: Tensor | float = 1.0,
    learn: bool = True,
) -> tuple[list[Histogram], Tensor]:
    """The histograms of the proposal networks, and the edges of the field's own samples.

    Args:
        field: The field.
        rays: The rays.
        jitters: A shift `(R,)` for each network and one for the field; None shifts none.
        annealing: Power of the weights; below 1, the samples spread more evenly.
        learn: Whether the histograms have a gradient.
    """
    settings = field.settings
    counts = (*settings.proposal_samples, settings.samples)
    edges = even_edges(rays, counts[0], jitters[0] if jitters else None)
    histograms = []
    for number, proposal in enumerate(field.proposals):
        with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
            places = middles(rays, edges)
            densities = proposal(places) * field.visible_at(places)
            histogram = Histogram(edges, weights_of(densities, edges, rays.speed))
        histograms.append(histogram)
        drawn = Histogram(edges, histogram.weights.detach() ** annealing)
        jitter = jitters[number + 1] if jitters else None
        edges = drawn_edges(drawn, counts[number + 1], jitter)
    return histograms, edges


def middles(rays: Rays, edges: Tensor) -> Tensor:
    """The middle of each part, in the unit cube. Shape `(R, S, 3)`."""
    depths = (edges[:, 1:] + edges[:, :-1]) / 2
    places = torch.addcmul(rays.origins[:, None], depths[..., None], rays.directions[:, None])
    return places.clamp(0, 1)


def proposal_loss(histograms: Sequence[Histogram], shown: Histogram) -> Tensor:
    """How far proposals stay below what the field shows (Barron et al. 2022, eq. 13)."""
    edges, weights = shown.edges.detach(), shown.weights.detach()
    terms = []
    for proposal in histograms:
        reached = torch.cumsum(proposal.weights, dim=1)
        reached = torch.cat([torch.zeros_like(reached[:, :1]), reached], dim=1)
        known, most = proposal.edges.contiguous(), proposal.weights.shape[1]
        first = torch.searchsorted(known, edges[:, :-1].contiguous(), right=True) - 1
        last = torch.searchsorted(known, edges[:, 1:].contiguous())
        bound = reached.gather(1, last.clamp(0, most)) - reached.gather(1, first.clamp(0, most))
        missing = (weights - bound).clamp_min(0).square() / (weights + SMALL)
        terms.append(missing.sum(dim=1).mean())
    return torch.stack(terms).sum() if terms else weights.new_zeros(())


def distortion_loss(shown: Histogram, speed: Tensor) -> Tensor:
    """How far apart the seen parts of a ray lie (Barron et al. 2022, eq. 15), in box sides."""
    edges, weights = shown.edges * speed[:, None], shown.weights
    places, lengths = (edges[:, 1:] + edges[:, :-1]) / 2, edges[:, 1:] - edges[:, :-1]
    places = places - edges[:, :1]
    weighted = weights * places
    before = torch.cumsum(weights, dim=1) - weights
    moment = torch.cumsum(weighted, dim=1) - weighted
    between = 2 * (weighted * before - weights * moment).sum(dim=1)
    within = (weights.square() * lengths).sum(dim=1) / 3
    return (between + within).mean()
