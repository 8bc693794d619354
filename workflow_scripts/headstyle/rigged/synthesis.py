"""Sequences of procedural heads: photographs at several timesteps, and the true mesh of each.

Two meshes of one head move alike: a fine one is photographed, a coarse one is what a tracker would
give. The light is that of the head at rest and moves with the surface. So a point of the surface
has one color at all timesteps, and the photographs agree over time but for their resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from headstyle.base.cameras import Cameras
from headstyle.base.images import write_image
from headstyle.base.progress import progress
from headstyle.base.settings import Setting
from headstyle.capture.anatomy import EYEBALL_RADIUS_MM
from headstyle.capture.head import HeadMesh, HeadSurface, light_surface, sculpt_head
from headstyle.capture.motion import Expression, motion_of, moved_vertices, with_mouth_inside
from headstyle.capture.photograph import photograph_views
from headstyle.capture.rig import CaptureSettings, study_rig
from headstyle.capture.surface import MM, Part
from headstyle.rigged.sequence import (
    MeshSequence,
    RiggedFrame,
    RiggedSequence,
    Split,
    write_sequence,
)

SETTINGS = (
    Setting(
        "sequence.timesteps",
        8,
        {"type": "integer", "minimum": 2},
        meaning="Moments of a procedural head's motion.",
    ),
    Setting(
        "sequence.held_out_timesteps",
        2,
        {"type": "integer", "minimum": 0},
        meaning="How many of them, at the end, are held out: novel expressions.",
    ),
    Setting(
        "sequence.driven_timesteps",
        4,
        {"type": "integer", "minimum": 0},
        meaning="Moments in which another head's motion moves this one. 0 for none.",
    ),
    Setting(
        "sequence.camera_rows",
        2,
        {"type": "integer", "minimum": 1},
        meaning="Rows of cameras around a procedural head.",
    ),
    Setting(
        "sequence.camera_columns",
        4,
        {"type": "integer", "minimum": 1},
        meaning="Columns of cameras.",
    ),
    Setting(
        "sequence.held_out_cameras",
        1,
        {"type": "integer", "minimum": 0},
        meaning="How many cameras are held out: novel views.",
    ),
    Setting(
        "sequence.long_side_px",
        128,
        {"type": "integer", "minimum": 16},
        meaning="Long side of the photographs [px]. They are portraits, 2:3.",
    ),
    Setting(
        "sequence.focal_length_mm",
        22,
        {"type": "number", "exclusiveMinimum": 0},
        meaning="Focal length of the lens [mm].",
    ),
    Setting(
        "sequence.sensor_long_side_mm",
        22.3,
        {"type": "number", "exclusiveMinimum": 0},
        meaning="Long side of the sensor [mm].",
    ),
    Setting(
        "sequence.samples_per_side",
        2,
        {"type": "integer", "minimum": 1},
        meaning="Rays per side of a pixel.",
    ),
    Setting(
        "sequence.coarseness",
        10,
        {"type": "number", "minimum": 1},
        meaning="How many times longer the edges of the mesh are than those of the study's heads. "
        "10 gives about 13,000 triangles, 4 five times as many.",
    ),
    Setting(
        "sequence.photographed_coarseness",
        2,
        {"type": "number", "minimum": 1},
        meaning="The same of the mesh that is photographed.",
    ),
)
SPLIT_SEED = 5
SHOWN_EYE = 0.3
"""The part of an eyeball that the mesh leaves out, from its center to the front, of its radius."""


@dataclass(frozen=True)
class SynthesisSettings:
    """The section `rigged.sequence` of the configuration."""

    timesteps: int
    """Moments of the head's motion."""
    held_out_timesteps: int
    """How many of them, at the end, are for novel expressions."""
    driven_timesteps: int
    """Moments of another head's motion; 0 for none."""
    camera_rows: int
    """Rows of cameras."""
    camera_columns: int
    """Columns of cameras."""
    held_out_cameras: int
    """How many of them are for novel views."""
    long_side_px: int
    """Long side of the photographs."""
    focal_length_mm: float
    """Focal length of the lens."""
    sensor_long_side_mm: float
    """Long side of the sensor."""
    samples_per_side: int
    """Rays per side of a pixel."""
    coarseness: float
    """How many times longer the mesh's edges are than those of the study's heads."""
    photographed_coarseness: float
    """The same of the mesh that is photographed."""

    @property
    def cameras(self) -> Cameras:
        """The rig."""
        capture = CaptureSettings(
            self.long_side_px, self.camera_rows, self.camera_columns, 0, self.focal_length_mm,
            self.sensor_long_side_mm, self.samples_per_side, jpeg_quality=100,
        )  # fmt: skip
        return study_rig(capture).cameras


def synthesize_sequence(
    folder: str | Path, seed: int, driver_seed: int, settings: SynthesisSettings
) -> None:
    """Write the sequence of a procedural head, and of the same head moved as another one.

    Args:
        folder: Where to.
        seed: Of the head, 1 or more; it has a motion of its own.
        driver_seed: Of the other head.
        settings: How many timesteps and cameras, and how fine.
    """
    tracked = tracked_surface(seed, settings.coarseness)
    shown = with_mouth_inside(sculpt_head(seed, settings.photographed_coarseness))
    lit = light_surface(shown)
    count = len(settings.cameras)
    # Not one at the edge of the rig, beyond all others.
    inner = np.random.default_rng(SPLIT_SEED).permutation(np.arange(1, max(2, count - 1)))
    held_out = {int(camera) for camera in inner[: settings.held_out_cameras]}
    first_test = settings.timesteps - settings.held_out_timesteps

    def split(timestep: int, camera: int) -> Split:
        if timestep >= first_test:
            return "test"
        return "val" if camera in held_out else "train"

    with TemporaryDirectory() as pictures:
        own = motion_of(seed, settings.timesteps)
        head = _photographed(Path(pictures) / "own", own, tracked, shown, lit, settings)
        sequence = replace(
            head,
            frames=tuple(replace(f, split=split(f.timestep, f.camera_index)) for f in head.frames),
        )
        driven = None
        if settings.driven_timesteps:
            # Without the head at rest, with which each motion begins.
            other = motion_of(driver_seed, settings.driven_timesteps + 1)[1:]
            driven = _photographed(Path(pictures) / "driven", other, tracked, shown, lit, settings)
        write_sequence(folder, sequence, driven)


def tracked_surface(seed: int, coarseness: float) -> HeadSurface:
    """The head of a seed as coarse as a tracker's mesh, without the backs of the eyeballs.

    These would take a third of the triangles, and no camera ever sees them.
    """
    surface = sculpt_head(seed, coarseness)
    hidden = surface.parts == Part.EYE
    hidden &= surface.vertices[:, 2] / MM < surface.frame.eye[2] + SHOWN_EYE * EYEBALL_RADIUS_MM
    faces = surface.faces[~hidden[surface.faces].any(axis=1)]
    used, positions = np.unique(faces, return_inverse=True)
    return replace(
        surface,
        vertices=surface.vertices[used],
        faces=positions.reshape(faces.shape),
        albedo=surface.albedo[used],
        parts=surface.parts[used],
    )


def _photographed(
    folder: Path,
    motion: Sequence[Expression],
    tracked: HeadSurface,
    shown: HeadSurface,
    lit: HeadMesh,
    settings: SynthesisSettings,
) -> RiggedSequence:
    """The head at each timestep from every camera; all frames have the split test."""
    rig = settings.cameras
    frames = []
    for timestep, expression in enumerate(progress(motion, "timesteps")):
        mesh = replace(lit, vertices=moved_vertices(shown, expression))
        taken = photograph_views(mesh, rig, settings.samples_per_side)
        for index, (image, _) in enumerate(taken):
            name = f"{timestep:05d}_{index:02d}"
            write_image(folder / f"{name}.png", image)
            camera = replace(rig.select([rig.names[index]]), names=(name,))
            frames.append(
                RiggedFrame(name, timestep, index, camera, folder / f"{name}.png", None, "test")
            )
    vertices = np.stack([moved_vertices(tracked, expression) for expression in motion])
    meshes = MeshSequence(vertices.astype(np.float32), tracked.faces.astype(np.int32))
    return RiggedSequence(meshes, tuple(frames))
