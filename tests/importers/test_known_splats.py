"""Which splats of a known scene belong to the head."""

import numpy as np
import pytest
from ball import make_ball
from headstyle.base.errors import InputError
from headstyle.importers.points import in_foreground


def test_splats_behind_the_head_are_left_out_and_another_world_is_told():
    cameras, targets, points, _ = make_ball()
    images = [targets[name] for name in cameras.names]
    # A wall behind the ball, and the ball.
    wall = np.random.default_rng(0).uniform(-3, 3, (100, 3)) + np.array([0, 0, 9])
    kept = in_foreground("a.ply", np.concatenate([points, wall]), cameras, images)
    assert kept[: len(points)].mean() > 0.9
    with pytest.raises(InputError, match=r"a\.ply: 0 of 150 splats lie in the foreground"):
        in_foreground("a.ply", points + 100, cameras, images)
