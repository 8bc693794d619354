"""What COLMAP finds in views: as much as before the edit, or less where views disagree."""

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.calibration.ladders import climbed
from headstyle.calibration.scenes import RigSettings, procedural_views
from headstyle.consistency.scoring import SETTINGS, score

NAMES = ["registration", "registration_matches", "registration_points"]
SETTING = {**SETTINGS, "names": NAMES}


@pytest.fixture(scope="module")
def views():
    """Photographs of a head, fine enough for COLMAP to pose all of them."""
    return procedural_views(21, "none", RigSettings(256, 1, 5, 5.0, 1))


def means(views, images, unedited):
    """The mean of each metric over neighboring views."""
    names = views.cameras.names
    pairs = [(names[i], names[j]) for i in range(5) for j in (i - 1, i + 1) if 0 <= j < 5]
    table = score(
        *(images, views.depths, views.cameras, pairs),
        unedited=unedited,
        settings=SETTING,
        device="cpu",
    )
    return table[NAMES].mean()


def test_unedited_views_are_registered_as_before(views):
    found = means(views, views.unedited, views.unedited)
    assert found.tolist() == [1, 1, 1]


def test_views_with_textures_of_their_own_are_no_longer_registered(views):
    disturbed = climbed(views, "texture", 24, np.random.default_rng(0)).edited
    found = means(views, disturbed, views.unedited)
    assert found["registration"] == 0
    assert found["registration_matches"] < 0.2
    assert found["registration_points"] == 0


def test_a_change_of_color_that_all_views_share_keeps_them_registered(views):
    darker = [np.concatenate([0.8 * v[..., :3], v[..., 3:]], axis=2) for v in views.unedited]
    found = means(views, darker, views.unedited)
    assert found["registration"] == 1
    assert found["registration_matches"] == pytest.approx(1, abs=0.25)


def test_without_the_views_before_the_edit_nothing_can_be_said(views):
    with pytest.raises(InputError, match="registration needs the views before the edit"):
        means(views, views.unedited, None)
