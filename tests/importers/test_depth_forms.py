"""Maps that are no distances stop the run with what they are, not with a wrong unit."""

import numpy as np
import pytest
from analytic import photograph
from foreign_folder import sphere_rig, write_scene
from headstyle.base.errors import InputError
from headstyle.importers.scenes import read_scene


def stretched(depth: np.ndarray) -> np.ndarray:
    low, high = depth[depth > 0].min(), depth.max()
    return np.where(depth > 0, (depth - low) / (high - low), 0)


FORMS = {
    "inverse": (lambda z: 1 / z, "hold inverse depth"),
    "disparity": (lambda z: 50 / z, "hold inverse depth"),
    "logarithm": (np.log1p, "with an offset"),
    "z-buffer": (lambda z: (1 - 1 / z) / (1 - 1 / 4), "with an offset"),
}


def write_depths(files, maps) -> None:
    for name, depth in zip(sphere_rig().names, maps, strict=True):
        np.save(files.depths / f"{name}.npy", depth.astype(np.float32))


def said_of(files) -> str:
    with pytest.raises(InputError) as error:
        read_scene(files, "foreign.mine")
    message = str(error.value)
    assert "\n" not in message
    assert "depth_scale" not in message
    return message


@pytest.mark.parametrize("form", FORMS)
def test_another_function_of_z_is_told(tmp_path, form):
    files, (function, said) = write_scene(tmp_path), FORMS[form]
    depths = photograph(sphere_rig())[1]
    write_depths(files, [np.where(d > 0, function(np.where(d > 0, d, 1)), 0) for d in depths])
    message = said_of(files)
    assert said in message
    assert "write z in world units" in message


@pytest.mark.parametrize("levels", [1, 255])
@pytest.mark.parametrize("inverted", [False, True])
def test_maps_that_are_normalized_one_by_one_are_told(tmp_path, levels, inverted):
    files = write_scene(tmp_path)
    maps = [stretched(depth) for depth in photograph(sphere_rig())[1]]
    if inverted:
        maps = [np.where(depth > 0, 1 - depth, 0) for depth in maps]
    write_depths(files, [np.rint(d * levels) if levels > 1 else d for d in maps])
    assert "fill the range up to" in said_of(files)


def test_maps_divided_by_their_own_largest_value_are_told(tmp_path):
    files = write_scene(tmp_path)
    write_depths(files, [depth / depth.max() for depth in photograph(sphere_rig())[1]])
    assert "fill the range up to 1, so each was normalized by itself" in said_of(files)


def test_depth_of_nothing_in_particular_stops_a_scene(tmp_path):
    files = write_scene(tmp_path)
    draw = np.random.default_rng(0)
    write_depths(files, [draw.uniform(1, 100, (96, 72)) for _ in sphere_rig().names])
    assert "points agree between views" in said_of(files)
