"""Where the files of another method's scene lie in the results."""

from headstyle.importers.settings import ForeignScene

WITH_DEPTH = ForeignScene("mine", {"renders": "r", "cameras": "c", "depths": "d"}, "results")
FITTED = ForeignScene("mine", {"renders": "r", "cameras": "c", "unedited": "u"}, "results")


def test_a_scene_with_depth_keeps_its_own_and_needs_no_splats():
    assert not WITH_DEPTH.is_fitted
    assert WITH_DEPTH.depth == "results/foreign/mine/depth"
    assert WITH_DEPTH.splats == []


def test_a_scene_without_depth_takes_that_of_the_splats_fitted_to_its_unedited_views():
    assert FITTED.is_fitted
    assert FITTED.depth == "results/foreign/mine/fit/depth"
    assert FITTED.splats == "results/foreign/mine/fit/splats.ply"


def test_a_key_that_is_null_counts_as_missing():
    assert ForeignScene("mine", {"depths": None, "unedited": "u"}, "results").is_fitted
    assert not ForeignScene("mine", {"depths": "d", "unedited": None}, "results").has_unedited


def test_unedited_views_give_the_floor_and_tables_of_their_own():
    assert FITTED.unedited == "results/foreign/mine/views/cameras.json"
    assert FITTED.floor == "results/foreign/mine/unedited/consistency/pairs.csv"
    assert FITTED.tables("views") == [
        "results/foreign/mine/consistency/views.csv",
        "results/foreign/mine/unedited/consistency/views.csv",
    ]


def test_without_unedited_views_there_is_no_floor():
    assert WITH_DEPTH.unedited == []
    assert WITH_DEPTH.floor == []
    assert WITH_DEPTH.tables("pairs") == ["results/foreign/mine/consistency/pairs.csv"]


def test_the_instruction_is_the_entrys():
    assert WITH_DEPTH.instruction is None
    assert ForeignScene("mine", {"instruction": "Make him smile"}, "r").instruction == (
        "Make him smile"
    )
