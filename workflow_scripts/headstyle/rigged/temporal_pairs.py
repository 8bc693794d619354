"""Pairs of timesteps seen by one camera, carried into each other along the surface of the mesh.

A pixel's ray meets a triangle of the target's mesh. The same place of the same triangle lies
elsewhere at the source's timestep, and so does its pixel there. Depth carries one view into another
in the same way; here the mesh does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.capture.photograph import NO_HIT, cast_rays, pixel_centers
from headstyle.rigged.sequence import MeshSequence, RiggedFrame


@dataclass(frozen=True)
class TemporalPair:
    """Two frames of one camera."""

    target: int
    """Place of the frame that the other is carried into."""
    source: int
    """Place of the frame that is carried."""


def temporal_pairs(frames: Sequence[RiggedFrame], neighbors: int) -> list[TemporalPair]:
    """Each frame with those of its camera that are nearest in time, before it and after it.

    Args:
        frames: The frames.
        neighbors: How many timesteps before a frame, and as many after it, it is compared with.
    """
    by_camera: dict[int, list[int]] = {}
    for place, frame in enumerate(frames):
        by_camera.setdefault(frame.camera_index, []).append(place)
    pairs = []
    for places in by_camera.values():
        ordered = sorted(places, key=lambda place: frames[place].timestep)
        for i, target in enumerate(ordered):
            near = ordered[max(0, i - neighbors) : i + neighbors + 1]
            pairs += [TemporalPair(target, source) for source in near if source != target]
    return sorted(pairs, key=lambda pair: (pair.target, pair.source))


@dataclass(frozen=True)
class Carried:
    """Where the target's pixels lie in the source."""

    places: NDArray[np.float32]
    """x and y in the source [px]. Shape `(H, W, 2)`."""
    seen: NDArray[np.bool_]
    """Whether the source sees the target's surface there. Shape `(H, W)`."""


class MovingSurface:
    """The mesh of a sequence as the cameras of some frames see it.

    Args:
        meshes: The mesh at each timestep.
        timesteps: That of each camera. Length C.
        cameras: The cameras of the frames. They may be reduced and cut, as those of
            `headstyle.consistency.parts.headline_views`.
        depth_tolerance: A surface hides another one that lies farther by more than this fraction.
    """

    def __init__(
        self,
        meshes: MeshSequence,
        timesteps: Sequence[int],
        cameras: Cameras,
        depth_tolerance: float,
    ) -> None:
        self.meshes = meshes
        self.timesteps = tuple(timesteps)
        self.cameras = cameras
        self.depth_tolerance = depth_tolerance

    @cached_property
    def depths(self) -> list[NDArray[np.float32]]:
        """z in each camera of the mesh, 0 where there is none. Shape `(H, W)` each."""
        return [depth for _, _, depth in self._views]

    def carried(self, pair: TemporalPair) -> Carried:
        """Follow the target's surface to the source's timestep and into the source's image.

        A pixel counts as seen if its point lies before the source's camera, and nothing of the
        mesh lies in front of it there.
        """
        triangles, weights, _ = self._views[pair.target]
        hit = triangles != NO_HIT
        vertices = self.meshes.vertices[self.timesteps[pair.source]].astype(np.float64)
        corners = vertices[self.meshes.faces[triangles[hit]]]
        points = np.einsum("rck,rc->rk", corners, weights[hit])
        pose = self.cameras.world_to_camera[pair.source]
        in_camera = points @ pose[:3, :3].T + pose[:3, 3]
        z = in_camera[:, 2]
        ahead = z > 0
        projected = in_camera @ self.cameras.intrinsics[pair.source].T
        found = projected[:, :2] / np.where(ahead, z, 1.0)[:, None]
        nearest = self._nearest(pair.source, found)
        visible = ahead & (nearest > 0) & (z <= nearest * (1 + self.depth_tolerance))
        places = np.zeros((*hit.shape, 2), np.float32)
        seen = np.zeros(hit.shape, dtype=bool)
        places[hit], seen[hit] = found, visible
        return Carried(places, seen)

    def facing(self, view: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where a camera sees the mesh, and where that shows its outside. Shape `(H, W)` each."""
        triangles, _, _ = self._views[view]
        hit = triangles != NO_HIT
        points = self.meshes.vertices[self.timesteps[view]].astype(np.float64)
        a, b, c = points[self.meshes.faces[triangles[hit]]].swapaxes(0, 1)
        away = np.einsum("rk,rk->r", np.cross(b - a, c - a), a - self.cameras.centers[view])
        outside = np.zeros(hit.shape, dtype=bool)
        outside[hit] = away < 0
        return hit, outside

    def _nearest(self, view: int, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """z of what the mesh shows first at some places of an image; 0 where nothing."""
        hits = cast_rays(self._scenes[self.timesteps[view]], self.cameras, view, places)
        return self._z(view, hits.triangles, hits.weights)

    def _z(
        self, view: int, triangles: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        pose = self.cameras.world_to_camera[view]
        z = self.meshes.vertices[self.timesteps[view]].astype(np.float64) @ pose[2, :3] + pose[2, 3]
        hit = triangles != NO_HIT
        depth = np.zeros(triangles.shape)
        depth[hit] = np.einsum("rc,rc->r", z[self.meshes.faces[triangles[hit]]], weights[hit])
        return depth

    @cached_property
    def _views(
        self,
    ) -> list[tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]]:
        """Per camera, the triangle that each pixel shows, the weights of its corners, and z."""
        views = []
        for view, (width, height) in enumerate(self.cameras.sizes.tolist()):
            scene = self._scenes[self.timesteps[view]]
            hits = cast_rays(scene, self.cameras, view, pixel_centers(width, height))
            z = self._z(view, hits.triangles, hits.weights).astype(np.float32)
            shape = (height, width)
            views.append(
                (hits.triangles.reshape(shape), hits.weights.reshape(*shape, 3), z.reshape(shape))
            )
        return views

    @cached_property
    def _scenes(self) -> Mapping[int, EmbreeScene]:
        scenes = {}
        for timestep in sorted(set(self.timesteps)):
            scenes[timestep] = EmbreeScene()
            vertices = np.ascontiguousarray(self.meshes.vertices[timestep], np.float32)
            TriangleMesh(scenes[timestep], vertices, self.meshes.faces.astype(np.int32))
        return scenes


def carry_colors(colors: Tensor, sound: Tensor, carried: Carried) -> tuple[Tensor, Tensor]:
    """The source's channels at the target's pixels, bilinear, and where they are known.

    Args:
        colors: The source. Shape `(H, W, C)`.
        sound: Where the source shows its surface well. Shape `(H, W)`, bool.
        carried: Where the target's pixels lie in the source, of shape `(h, w)`.

    Returns:
        Channels `(h, w, C)`, 0 where they are not known; and whether they are, `(h, w)`, bool: the
        source sees the surface there, and all four pixels around the place are sound.
    """
    height, width = sound.shape
    size = colors.new_tensor([width, height])
    places = torch.from_numpy(carried.places).to(colors)
    grid = (2 * places / size - 1)[None]
    layers = torch.cat([colors, sound[..., None].to(colors)], dim=2).permute(2, 0, 1)[None]
    taken = torch.nn.functional.grid_sample(layers, grid, align_corners=False)[0].permute(1, 2, 0)
    # A weight below a thousandth stems from rounding.
    known = torch.from_numpy(carried.seen).to(sound.device) & (taken[..., -1] > 0.999)
    return torch.where(known[..., None], taken[..., :-1], 0), known
