"""The order of attempts, with a mapper that is made up."""

from dataclasses import replace

import pytest
import yaml
from headstyle.posing.registration.attempts import CHANGES, MORE_VIEWS, Plan, try_in_turn
from headstyle.posing.registration.reconstruction import Mapping, Settings
from study import ROOT

VIEWS = tuple("abcdefghij")
FIRST = Plan(VIEWS, 1000, "per_capture", Settings(4000, "incremental", 0, 1))
ALL = [MORE_VIEWS, *CHANGES]


def mapping(views):
    return Mapping(tuple(views), (tuple(views),), {}, 100, 3.0, 0.5, ())


class FakeMapper:
    """Poses as many views as `posed` says of a plan; remembers the plans."""

    def __init__(self, posed):
        self.posed, self.plans = posed, []

    def __call__(self, plan):
        self.plans.append(plan)
        count = self.posed(plan)
        return mapping(plan.views[:count]) if count else None


def tried(posed, names=ALL, enough=9, spare=(), largest_px=4000):
    mapper = FakeMapper(posed)
    best, attempts = try_in_turn(FIRST, names, enough, mapper, lambda _: spare, largest_px)
    assert mapper.plans == [attempt.plan for attempt in attempts]
    return best, attempts


def test_nothing_else_is_tried_if_the_first_attempt_poses_enough():
    best, attempts = tried(lambda plan: 9)
    assert attempts == [best]
    assert (best.name, best.plan) == ("as_configured", FIRST)


def test_attempts_follow_their_order_and_end_with_enough_views():
    best, attempts = tried(lambda plan: 9 if plan.settings.guided_matching else 5)
    names = [attempt.name for attempt in attempts]
    assert names == ["as_configured", *list(CHANGES)[: list(CHANGES).index("guided_matching") + 1]]
    assert best.name == "guided_matching"


def test_gains_add_up_and_what_gains_nothing_is_taken_back():
    def posed(plan):
        return 4 + 3 * plan.settings.few_matches + 2 * plan.settings.guided_matching

    best, attempts = tried(posed)
    changed = replace(FIRST.settings, few_matches=True, guided_matching=True)
    assert best.plan == replace(FIRST, settings=changed)
    assert [attempt.posed for attempt in attempts] == [4, 7, 7, 7, 9]


def test_the_best_is_kept_if_no_attempt_reaches_the_bar():
    best, attempts = tried(lambda plan: 7 if plan.settings.mapper == "global" else 5)
    assert best.name == "other_mapper"
    assert len(attempts) == 1 + len(CHANGES)
    assert best.record["registered"] == max(attempt.record["registered"] for attempt in attempts)


def test_views_that_are_brought_in_stand_behind_the_others():
    best, attempts = tried(lambda plan: len(plan.views) - 3, spare=("x", "y"), names=[MORE_VIEWS])
    assert best.plan.views == (*VIEWS, "x", "y")
    assert best.record == {
        "attempt": "more_views",
        "views": 12,
        "registered": 9,
        "points": 100,
        "mean_reprojection_error_px": 0.5,
    }
    assert len(attempts) == 2


def test_attempts_that_change_nothing_are_left_out():
    _, attempts = tried(lambda plan: 5, ["more_views", "larger_images"], largest_px=1000)
    assert len(attempts) == 1


def test_nothing_posed_at_first_is_a_beginning_like_any_other():
    best, attempts = tried(lambda plan: 9 if plan.settings.faint_features else 0)
    assert best.name == "more_features"
    assert attempts[0].record["mean_reprojection_error_px"] is None


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_one_thing(name):
    plan = CHANGES[name](FIRST, 4000)
    assert plan != FIRST
    assert plan.views == FIRST.views


def test_the_schema_and_the_study_know_all_attempts():
    schema = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text())
    names = schema["properties"]["poses"]["properties"]["attempts"]["items"]["enum"]
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert sorted(names) == sorted(ALL) == sorted(study["poses"]["attempts"])
