"""What jobs ask a scheduler for: enough for what was measured, and more for larger studies."""

import dataclasses
from types import SimpleNamespace

import pytest
import yaml
from headstyle.workflow.needs import Needs, per_thread, with_attempt
from study import ROOT, merged

CONFIG = merged(
    yaml.safe_load((ROOT / "config" / "config.yaml").read_text()),
    {"study": {"subjects": ["A", "bust"]}},
)
DEMO = merged(CONFIG, yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()))
A = SimpleNamespace(subject="A")
# Largest memory of the demo's jobs on two cores without a GPU [MB], and what their rules ask for.
MEASURED = {
    "train_baseline": (870, 2_500, 4, 1),
    "stylize_avatar": (1_307, 6_000, 8, 4),
    "measure_consistency": (1_033, 2_500, 18, 1),
    "estimate_poses": (245, 3_000, 4, 0),
}


@pytest.mark.parametrize(("measured", "fixed", "images", "splats"), MEASURED.values(), ids=MEASURED)
def test_jobs_ask_for_more_than_the_demo_was_measured_to_take(measured, fixed, images, splats):
    ask = Needs.of_study(DEMO, {}).memory(fixed, images=images, splats=splats)
    assert ask(A, attempt=1) > 1.5 * measured


def test_the_studys_rig_has_37_views_of_512_by_768_pixels():
    needs = Needs.of_study(CONFIG, {"bust": ["one.jpg", "two.jpg"]})
    assert needs.views == {"A": 37, "bust": 2}
    assert needs.view_pixels == 512 * 768


def test_the_limit_of_views_counts():
    limited = merged(CONFIG, {"photographs": {"max_views": 3}})
    assert Needs.of_study(limited, {"bust": [f"{i}.jpg" for i in range(9)]}).views["bust"] == 3


def test_photographs_that_are_still_to_be_made_count_as_many():
    assert Needs.of_study(CONFIG, {"bust": []}).views["bust"] >= 37


def test_the_images_of_ten_views_of_a_megapixel_take_160_megabytes():
    needs = Needs({"A": 10}, view_pixels=1e6, splats=0)
    assert needs.memory(0, images=1)(A, attempt=1) == 160


@pytest.mark.parametrize("larger", [{"views": {"A": 80}}, {"view_pixels": 8e6}, {"splats": 10**7}])
def test_more_views_pixels_or_splats_need_more_memory_and_no_less_time(larger):
    small = Needs({"A": 40}, view_pixels=4e5, splats=10**5)
    large = dataclasses.replace(small, **larger)

    def ask(needs: Needs) -> tuple[int, int]:
        memory = needs.memory(1_000, images=4, splats=1)
        minutes = needs.minutes(10, per_view=1, per_pair=0.1, per_megapixel=2)
        return memory(A, attempt=1), minutes(A, attempt=1)

    assert ask(large)[0] > ask(small)[0]
    assert ask(large)[1] >= ask(small)[1]


def test_each_attempt_is_given_more():
    needs = Needs({"A": 40}, view_pixels=4e5, splats=10**5)
    for ask in (needs.memory(1_000, images=4), needs.minutes(10, per_pair=1), with_attempt(5)):
        assert ask(A, attempt=3) == 3 * ask(A, attempt=1)
    assert per_thread(100)(A, threads=4, attempt=2) == 800
