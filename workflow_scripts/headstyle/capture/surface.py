"""The unlit surface of a head, which `head` makes and `operators` edit."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from headstyle.capture.anatomy import FaceFrame
from headstyle.capture.identity import Identity

MM = 0.001


class Part(IntEnum):
    """The part of the head that a vertex belongs to."""

    SKIN = 0
    LIPS = 1
    BROW = 2
    BEARD = 3
    EYE = 4
    HAIR = 5
    SHIRT = 6
    EXTRA = 7
    """A hat, an animal's ears or whiskers. Only edits add these."""


@dataclass(frozen=True)
class HeadSurface:
    """An unlit head: x to the viewer's right, y up, z out of the face [m]."""

    vertices: NDArray[np.float64]
    """Shape `(V, 3)`."""
    faces: NDArray[np.int64]
    """Triangles, counter-clockwise seen from outside. Shape `(F, 3)`."""
    albedo: NDArray[np.float32]
    """Linear reflectance in [0, 1]. Shape `(V, 3)`."""
    parts: NDArray[np.uint8]
    """The `Part` of each vertex. Shape `(V,)`."""
    who: Identity
    """Traits of the head."""
    frame: FaceFrame
    """Landmarks [mm]."""
