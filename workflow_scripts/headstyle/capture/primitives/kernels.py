"""Loops over many points and triangles, compiled for the CPU."""

import numpy as np
from numpy.typing import NDArray

from headstyle.base.compiled import kernel


@kernel
def look_up(tile: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values between the voxels of a periodic block, trilinearly, summed in double precision.

    The same as `scipy.ndimage.map_coordinates` of order 1, in a fraction of the time.
    """
    # The side is a power of two, so the remainder of any integer is its last bits.
    last = len(tile) - 1
    values = np.empty(len(places), dtype=np.float32)
    for i in range(len(places)):
        x, y, z = np.float64(places[i, 0]), np.float64(places[i, 1]), np.float64(places[i, 2])
        left, low, near = np.floor(x), np.floor(y), np.floor(z)
        x, y, z = x - left, y - low, z - near
        x0, y0, z0 = int(left) & last, int(low) & last, int(near) & last
        x1, y1, z1 = (x0 + 1) & last, (y0 + 1) & last, (z0 + 1) & last
        total = tile[x0, y0, z0] * (1 - x) * (1 - y) * (1 - z)
        total += tile[x0, y0, z1] * (1 - x) * (1 - y) * z
        total += tile[x0, y1, z0] * (1 - x) * y * (1 - z)
        total += tile[x0, y1, z1] * (1 - x) * y * z
        total += tile[x1, y0, z0] * x * (1 - y) * (1 - z)
        total += tile[x1, y0, z1] * x * (1 - y) * z
        total += tile[x1, y1, z0] * x * y * (1 - z)
        total += tile[x1, y1, z1] * x * y * z
        values[i] = total
    return values


@kernel
def summed_crosses(vertices: NDArray[np.float32], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum, at each vertex, of its triangles' normals, twice as long as their areas."""
    total = np.zeros(vertices.shape, dtype=np.float64)
    for f in range(len(faces)):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, bx = vertices[j, 0] - vertices[i, 0], vertices[k, 0] - vertices[i, 0]
        ay, by = vertices[j, 1] - vertices[i, 1], vertices[k, 1] - vertices[i, 1]
        az, bz = vertices[j, 2] - vertices[i, 2], vertices[k, 2] - vertices[i, 2]
        x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for corner in (i, j, k):
            total[corner, 0] += x
            total[corner, 1] += y
            total[corner, 2] += z
    return total
