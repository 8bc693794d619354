"""The published study's figures show the published numbers."""

import runpy
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from headstyle.base.study import REFERENCE_FIGURES
from headstyle.consistency.statistics import STUDY_STRENGTH_PROMPTS, published_scores
from headstyle.report.reference.figures import FIGURES
from job_files import Files
from study import ROOT

PUBLISHED = ROOT / "resources" / "reference" / "thesis_metrics.csv"


@pytest.fixture(scope="module")
def published():
    return published_scores(PUBLISHED)[0]


def drawn(name, **scores):
    figure = FIGURES[name](scores, STUDY_STRENGTH_PROMPTS)
    plt.close(figure)
    return figure


def texts(figure) -> list[list[str]]:
    """The texts inside each panel."""
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def test_the_thresholds_are_those_of_the_study(published):
    lpips, rmse, ciede2000 = texts(drawn("thresholds", published=published))
    assert lpips[:4] == ["0.0150", "0.0275", "0.0316", "0.0345"]
    assert rmse[:4] == ["0.0609", "0.0903", "0.1042", "0.0969"]
    assert ciede2000[0] == "2.798"


def test_the_slopes_count_the_studys_pairs(published):
    figure = drawn("slopes", published=published)
    counts = [f"lower at low: {count} of 20" for count in (15, 19, 16)]
    assert texts(figure) == [[count] for count in counts]
    assert [len(axes.lines) for axes in figure.axes] == [20, 20, 20]


def test_a_run_stands_below_in_the_same_scale_and_what_it_lacks_is_said(published):
    run = published.drop(columns=["lpips", "quality"]).assign(rmse=published["rmse"] / 2)
    figure = drawn("slopes", published=published, run=run)
    assert figure.axes[1].get_ylim() == figure.axes[4].get_ylim()
    assert texts(figure)[3] == ["LPIPS was not measured"]
    assert (
        texts(drawn("thresholds", published=published, run=run))[4:]
        == [["no ratings (config key summary.ratings)"]] * 2
    )
    none = pd.DataFrame(columns=["subject", "prompt", "strength", "rmse"])
    assert texts(drawn("boxes", published=published, run=none))[4] == ["RMSE was not measured"]


def test_a_figure_is_drawn_as_svg_and_as_png_and_is_the_same_bytes_again(tmp_path):
    assert tuple(FIGURES) == REFERENCE_FIGURES
    kinds = ["thresholds.png", "thresholds.svg"]
    job = SimpleNamespace(
        input=Files(metrics=str(PUBLISHED)),
        output=Files(figures=[str(tmp_path / name) for name in kinds]),
        params=SimpleNamespace(),
        log=[str(tmp_path / "log.txt")],
        rule="reference_figures",
        threads=1,
        resources={},
    )
    script = str(ROOT / "workflow_scripts" / "reference_figures.py")
    made = []
    for _ in range(2):
        runpy.run_path(script, {"snakemake": job}, run_name="__main__")
        made.append([(tmp_path / name).read_bytes() for name in kinds])
    assert made[0] == made[1]
    assert made[0][0].startswith(b"\x89PNG")
    assert b"<svg" in made[0][1]
