"""Given poses of a photograph's stored pixels, turned as the photograph is turned by its EXIF.

Programs that ignore EXIF pose the pixels as they are stored; headstyle takes upright photographs.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose
from headstyle.importers.lenses import Lens, colmap_camera
from headstyle.posing.photographs import PhotographInfo

# By EXIF orientation, how (x, y) in the camera turns; the others mirror, which no camera can.
_TURNS = {1: ((1, 0), (0, 1)), 3: ((-1, 0), (0, -1)), 6: ((0, -1), (1, 0)), 8: ((0, 1), (-1, 0))}
# Pairs of parameters that are a vector in the image, x before y.
_VECTORS = (("cx", "cy"), ("p2", "p1"), ("sx1", "sy1"), ("s0", "s2"), ("s1", "s3"))
_SHAPE_TOLERANCE = 0.01


def upright_poses(
    given: Mapping[str, GivenPose], infos: Mapping[str, PhotographInfo]
) -> dict[str, GivenPose]:
    """Given poses for the upright photographs.

    A pose follows the stored pixels if its image has their shape. Where both shapes fit, the other
    poses decide; without one that tells, poses are of the upright photographs.

    Args:
        given: Known poses by view.
        infos: Headers of the photographs of some of the views.

    Raises:
        InputError: an image has neither shape, or its EXIF orientation mirrors it.
    """
    fits = {
        view: (
            _same_shape(given[view].lens, (info.width, info.height)),
            _same_shape(given[view].lens, info.stored_size),
        )
        for view, info in infos.items()
    }
    follow_stored = any(stored and not upright for upright, stored in fits.values())
    poses = {}
    for view, info in infos.items():
        upright, stored = fits[view]
        if not (upright or stored):
            lens = given[view].lens
            raise InputError(
                f"the given pose of {view} is for a {lens.width}x{lens.height} px image but its"
                f" photograph is {info.width}x{info.height} px; give poses of these photographs"
            )
        is_turned = follow_stored if upright and stored else stored
        turn = info.exif_orientation if is_turned else 1
        if turn not in _TURNS:
            raise InputError(
                f"the given pose of {view} is for the stored pixels of {view}, which EXIF mirrors;"
                " give poses of the upright photographs"
            )
        poses[view] = turned(given[view], turn)
    return poses


def turned(pose: GivenPose, orientation: int) -> GivenPose:
    """The pose of an image's camera after the image is turned by EXIF orientation 1, 3, 6 or 8."""
    if orientation == 1:
        return pose
    turn = np.array(_TURNS[orientation], dtype=np.float64)
    rotation = np.eye(4)
    rotation[:2, :2] = turn
    return GivenPose(_turned_lens(pose.lens, turn), rotation @ pose.world_to_camera)


def _turned_lens(lens: Lens, turn: NDArray[np.float64]) -> Lens:
    names = [name.strip() for name in colmap_camera(1, lens).params_info.split(",")]
    params = dict(zip(names, lens.params, strict=True))
    moved = dict(params)
    is_quarter = turn[0, 0] == 0
    if is_quarter and "fx" in params:
        moved["fx"], moved["fy"] = params["fy"], params["fx"]
    width, height = (lens.height, lens.width) if is_quarter else (lens.width, lens.height)
    for x, y in _VECTORS:
        if x in params:
            vector = np.array([params[x], params[y]])
            if x == "cx":
                half = np.array([lens.width, lens.height]) / 2
                found = turn @ (vector - half) + np.array([width, height]) / 2
            else:
                found = turn @ vector
            moved[x], moved[y] = (float(value) for value in found)
    return Lens(
        lens.model, width, height, tuple(moved[name] for name in names), lens.has_prior_focal
    )


def _same_shape(lens: Lens, size: tuple[int, int]) -> bool:
    width, height = size
    return abs(lens.width / lens.height / (width / height) - 1) <= _SHAPE_TOLERANCE
