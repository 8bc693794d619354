"""What each stage took, from Snakemake's benchmarks."""

import math

import matplotlib.pyplot as plt
import pytest
from headstyle.report.costs.stages import NOTHING, costs_figure, costs_page, read_costs

RULES = ("train_baseline", "stylize_avatar", "measure_consistency", "measure")
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def benchmarks(tmp_path):
    """Two trainings, an avatar, a scene two folders below its rule, and files that tell nothing."""

    def write(path, seconds, memory="100.00", load="50.00"):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{HEADER}{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t{load}\t1\n")

    write("A/train_baseline.tsv", 60, "800.00", "100.00")
    write("B/train_baseline.tsv", 20, "900.00", "20.00")
    write("A/stylize_avatar_P4_low.tsv", 200)
    write("A/measure_consistency/avatars/P4_low.tsv", 7, "NA", "NA")
    write("odd.tsv", 1)
    (tmp_path / "A" / "empty.tsv").touch()
    (tmp_path / "A" / "other.tsv").write_text("view\trow\na\t1\n")
    return tmp_path


def test_jobs_are_added_up_by_rule_the_most_expensive_first(benchmarks):
    costs = read_costs(benchmarks, RULES)
    assert [cost.rule for cost in costs] == [
        *("stylize_avatar", "train_baseline", "measure_consistency", "odd")
    ]
    training = costs[1]
    assert training.seconds == (60, 20)
    assert (training.total_s, training.memory_mb) == (80, 900)
    assert training.load == pytest.approx((60 * 1.0 + 20 * 0.2) / 80)
    assert math.isnan(costs[2].memory_mb)


def test_the_figure_shows_times_and_memories_and_the_page_the_same_numbers(benchmarks):
    costs = read_costs(benchmarks, RULES)
    figure = costs_figure(costs)
    times, memories = figure.axes
    assert [bar.get_width() for bar in times.patches] == pytest.approx(
        [200 / 60, 80 / 60, 7 / 60, 1 / 60]
    )
    assert [bar.get_width() for bar in memories.patches] == pytest.approx([0.1, 0.9, 0, 0.1])
    assert times.get_yticklabels()[1].get_text() == "train baseline · 2 jobs"
    plt.close(figure)
    page = costs_page(costs)
    assert page.index("stylize avatar") < page.index("train baseline")
    assert ">900</td>" in page.replace(".0<", "<")


def test_without_benchmarks_both_say_so(tmp_path):
    figure = costs_figure(read_costs(tmp_path, RULES))
    assert figure.texts[0].get_text() == NOTHING
    plt.close(figure)
    assert NOTHING in costs_page([])
