"""Which views are neighbors: by the rig's rows and columns, or by direction seen from the head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError, given_by, result_of
from headstyle.base.tables.rows import read_cells, read_rows, write_cells

Adjacency = NDArray[np.bool_]
"""Symmetric, False on the diagonal, in the cameras' order. Shape `(C, C)`."""

_ADJACENCY = result_of("camera_adjacency")
_RIG_COLUMNS = ("view", "row", "column")
# If the axes are parallel up to this angle [rad], they have no meeting point.
_SMALLEST_SPREAD = 1e-4


def read_rig(path: str | Path) -> dict[str, tuple[float, float]]:
    """Row and column of each view, from a tab-separated table with columns view, row, column.

    Columns may be fractions, for views that stand between the columns of another row.

    Raises:
        InputError: the file is missing or not such a table, or a view or a place occurs twice.
    """
    rows = read_rows(path, given_by("the subject's rig"), delimiter="\t")
    if not rows or not set(_RIG_COLUMNS) <= set(rows[0]):
        raise InputError(
            f"{path} needs tab-separated columns view, row and column; add the missing ones"
        )
    places: dict[str, tuple[float, float]] = {}
    for line, row in enumerate(rows, start=2):
        try:
            place = (float(row["row"]), float(row["column"]))
        except ValueError:
            raise InputError(
                f"{path}, line {line}: row and column of {row['view']!r} must be numbers; correct"
                " them"
            ) from None
        if row["view"] in places or place in places.values():
            raise InputError(
                f"{path}, line {line}: view {row['view']!r} or its place occurs twice; remove one"
            )
        places[row["view"]] = place
    return places


def grid_adjacency(names: tuple[str, ...], places: dict[str, tuple[float, float]]) -> Adjacency:
    """Join each view with those in the 8 cells around it; a cell may lack its camera.

    In a view's own row the neighbors are the next view on the left and on the right. In the rows
    above and below they are the three nearest views. All are at most one column away. On a full
    grid this is the 8-neighborhood. Rows may have different spacings.

    Raises:
        InputError: a view has no place in the rig.
    """
    for name in names:
        if name not in places:
            raise InputError(
                f"view {name} is not in the rig file; add its row and column, or leave the"
                " subject's rig empty to find neighbors by direction"
            )
    rows, columns = np.array([places[name] for name in names]).T
    adjacency = np.zeros((len(names), len(names)), dtype=bool)
    for i in range(len(names)):
        step = columns - columns[i]
        near = np.abs(step) <= 1 + 1e-9
        for band, most in (
            ((rows == rows[i]) & (step < 0), 1),
            ((rows == rows[i]) & (step > 0), 1),
            (rows == rows[i] - 1, 3),
            (rows == rows[i] + 1, 3),
        ):
            candidates = np.flatnonzero(band & near)
            order = np.argsort(np.abs(step[candidates]), kind="stable")
            adjacency[i, candidates[order[:most]]] = True
    return adjacency | adjacency.T


def meeting_point(cameras: Cameras) -> NDArray[np.float64]:
    """The point nearest to all optical axes, in least squares. Shape `(3,)`.

    Raises:
        InputError: the axes are parallel.
    """
    axes, centers = cameras.axes, cameras.centers
    # Projectors onto the planes perpendicular to the axes measure the distance to the lines.
    projectors = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    matrix = projectors.sum(axis=0)
    if np.linalg.eigvalsh(matrix)[0] < _SMALLEST_SPREAD**2 * len(cameras):
        raise InputError(
            "the optical axes of the views are parallel and meet nowhere; give the subject a rig"
            " file with row and column of each view"
        )
    return np.linalg.solve(matrix, np.einsum("cij,cj->i", projectors, centers))


def directions(cameras: Cameras) -> NDArray[np.float64]:
    """Unit vectors from the point where the axes meet to the cameras. Shape `(C, 3)`."""
    rays = cameras.centers - meeting_point(cameras)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def direction_adjacency(cameras: Cameras, neighbors: int, max_angle_deg: float) -> Adjacency:
    """Join each view with up to `neighbors` views nearest in direction, within `max_angle_deg`.

    Two views are adjacent if one of them is among the nearest of the other. So a view may have more
    than `neighbors` neighbors.
    """
    rays = directions(cameras)
    angles_deg = np.degrees(np.arccos(np.clip(rays @ rays.T, -1, 1)))
    np.fill_diagonal(angles_deg, np.inf)
    nearest = np.argsort(angles_deg, axis=1, kind="stable")[:, :neighbors]
    adjacency = np.zeros(angles_deg.shape, dtype=bool)
    np.put_along_axis(adjacency, nearest, True, axis=1)
    adjacency &= angles_deg <= max_angle_deg
    return adjacency | adjacency.T


def view_adjacency(
    cameras: Cameras,
    places: dict[str, tuple[float, float]] | None,
    neighbors: int,
    max_angle_deg: float,
) -> Adjacency:
    """Find neighbors by the rig's places, or by direction where `places` is None.

    Raises:
        InputError: a view has no neighbor, or no place in the rig.
    """
    if places is not None:
        adjacency = grid_adjacency(cameras.names, places)
        move = "correct its row and column in the rig file, or remove the view"
    else:
        adjacency = direction_adjacency(cameras, neighbors, max_angle_deg)
        move = f"raise adjacency.max_angle_deg ({max_angle_deg:g}) or remove the view"
    for name, row in zip(cameras.names, adjacency, strict=True):
        if not row.any():
            raise InputError(f"view {name} has no adjacent view; {move}")
    return adjacency


def write_adjacency(path: str | Path, names: tuple[str, ...], adjacency: Adjacency) -> None:
    """Write adjacency.csv: 0 and 1, with the view names as header and first column."""
    rows = zip(names, adjacency.astype(int).tolist(), strict=True)
    write_cells(path, [["view", *names], *([name, *row] for name, row in rows)])


def read_adjacency(path: str | Path) -> tuple[tuple[str, ...], Adjacency]:
    """Read adjacency.csv: the view names and the matrix.

    Raises:
        InputError: the file is missing, or is not a symmetric matrix of 0 and 1 whose diagonal is
            0 and whose rows and columns carry the same names.
    """
    header, *rows = read_cells(path, _ADJACENCY) or [[]]
    names = tuple(header[1:])
    try:
        values = np.array([row[1:] for row in rows], dtype=np.int64)
    except ValueError as error:
        raise InputError(
            f"{path} is not an adjacency table ({error}); {_ADJACENCY.if_wrong}"
        ) from None
    if (
        tuple(row[0] for row in rows) != names
        or values.shape != (len(names), len(names))
        or not np.isin(values, (0, 1)).all()
        or (values != values.T).any()
        or values.diagonal().any()
    ):
        raise InputError(
            f"{path} is not an adjacency table (a symmetric matrix of 0 and 1 with the names of the"
            f" views before its rows and columns); {_ADJACENCY.if_wrong}"
        )
    return names, values.astype(bool)


def read_neighbors(path: str | Path, names: Sequence[str]) -> list[list[int]]:
    """Read adjacency.csv: for each view of `names` the indices of its neighbors, in their order.

    Raises:
        InputError: as `read_adjacency`; or a view is not in the file.
    """
    known, adjacency = read_adjacency(path)
    for name in names:
        if name not in known:
            raise InputError(f"{path} has no view {name!r}; {_ADJACENCY.if_wrong}")
    order = [known.index(name) for name in names]
    return [np.flatnonzero(row).tolist() for row in adjacency[np.ix_(order, order)]]
