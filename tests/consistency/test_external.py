"""Values of a metric that was computed elsewhere join the tables, and bad ones are named."""

import pandas as pd
import pytest
from headstyle.base.errors import InputError
from headstyle.consistency.external.joining import join_external
from headstyle.consistency.external.settings import check_external, external_metrics
from headstyle.consistency.statistics import avatar_scores
from headstyle.report.labels import METRICS, add_external, column_label, metric_label
from headstyle.report.pages import table

SCENES = [("A", "none", "none"), ("A", "P4", "low"), ("B", "none", "none"), ("B", "P4", "low")]
PAIRS = [("v0", "v1"), ("v1", "v0"), ("v1", "v2"), ("v2", "v1")]
ENTRY = {"direction": "lower"}


def study() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Views and pairs of two subjects with one avatar each."""
    keys = ["subject", "prompt", "strength"]
    views = [(*scene, view) for scene in SCENES for view in ("v0", "v1", "v2")]
    pairs = [(*scene, *pair) for scene in SCENES for pair in PAIRS]
    return (
        pd.DataFrame(views, columns=[*keys, "view"]),
        pd.DataFrame(pairs, columns=[*keys, "target", "source"]),
    )


def value(subject: str, prompt: str, target: str, source: str) -> float:
    """The floor of a subject, and what each pair of an avatar adds to it."""
    floor = {"A": 0.1, "B": 0.3}[subject]
    return floor if prompt == "none" else floor + 0.1 * int(target[1]) + 0.02 * int(source[1])


def rows(scenes=SCENES, pairs=PAIRS) -> list[str]:
    """The file's lines for some scenes and pairs."""
    return [
        f"{s},{p},{q},{t},{o},{value(s, p, t, o):.6f},{0.9}" for s, p, q in scenes for t, o in pairs
    ]


def joined(folder, lines, header="subject,prompt,strength,target,source,value,shuffled", **entry):
    path = folder / "met3r.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    metrics = external_metrics({"met3r": {**ENTRY, "path": str(path), **entry}})
    return join_external(metrics, *study(), ["foreign"])


def test_values_of_pairs_become_means_of_views_with_floor_ceiling_and_interval(tmp_path):
    views, pairs, gaps = joined(tmp_path, [*rows(), "foreign,renders,none,x,y,5,"])
    assert gaps == []
    avatars = avatar_scores(views, ["met3r"]).set_index(["subject", "prompt"])
    # Views of B: 0.3 + 0.02; 0.4 + (0 + 0.04) / 2; 0.5 + 0.02.
    low = avatars.loc["B", "P4"]
    assert low["met3r"] == pytest.approx((0.32 + 0.42 + 0.52) / 3)
    assert low["met3r_excess"] == pytest.approx(low["met3r"] - 0.3)
    assert low["met3r_ceiling"] == pytest.approx(0.9)
    assert low["met3r_ci_low"] < low["met3r"] < low["met3r_ci_high"]
    assert avatars.loc["A", "none"]["met3r_excess"] == pytest.approx(0)
    assert len(pairs) == len(SCENES) * len(PAIRS)
    assert {"met3r", "met3r_excess", "met3r_ceiling"} <= set(pairs)


def test_a_symmetric_metric_needs_each_pair_only_once(tmp_path):
    once = rows(pairs=[("v0", "v1"), ("v1", "v2")])
    with pytest.raises(InputError, match=r"lacks 8 pairs .*v1 – v0"):
        joined(tmp_path, once)
    _, pairs, gaps = joined(tmp_path, once, symmetric=True)
    assert gaps == []
    there, back = (pairs[pairs["target"] == view]["met3r"].iloc[0] for view in ("v0", "v1"))
    assert there == back


def test_values_of_views_join_without_pairs_and_without_a_baseline(tmp_path):
    lines = [f"{s},P4,low,v{i},{i}" for s in "AB" for i in range(3)]
    views, pairs, _ = joined(tmp_path, lines, "subject,prompt,strength,view,value")
    avatars = avatar_scores(views, ["met3r"]).set_index(["subject", "prompt"])
    assert avatars.loc["A", "P4"]["met3r"] == 1
    assert pd.isna(avatars.loc["A", "P4"]["met3r_excess"])
    assert "met3r" not in pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: ["A,P9,low,v0,v1,1,", *lines], "line 2: the study has no scene A P9 low"),
        (lambda lines: [*lines, "A,P4,low,v0,v7,1,"], "no pair A P4 low, v0 – v7"),
        (lambda lines: [*lines, lines[0]], "two values of A none none, v0 – v1"),
        (lambda lines: ["A,none,none,v0,v1,inf,", *lines[1:]], "line 2: .* is inf, not a finite"),
        (lambda lines: ["A,none,none,v0,v1,fine,", *lines[1:]], "is fine, not a finite number"),
        (lambda lines: ["A,none,none,v0,v1,3,", *lines[1:]], "is 3.*, not .* from 0 to 2"),
        (lambda lines: rows(SCENES[:3]), r"lacks 1 avatar \(B P4 low\)"),
        (lambda lines: lines[1:], r"lacks 1 pair \(A none none, v0 – v1\)"),
        (lambda lines: ["A,none,none,v0,v1,,", *lines[1:]], r"lacks 1 pair \(A none none"),
    ],
)
def test_what_is_unknown_missing_or_no_number_is_named(change, message, tmp_path):
    with pytest.raises(InputError, match=rf"met3r\.csv.*{message}"):
        joined(tmp_path, change(rows()), range=[0, 2])


def test_a_partial_metric_tells_what_is_missing_and_leaves_it_empty(tmp_path):
    views, _, gaps = joined(tmp_path, rows(SCENES[:3])[1:], partial=True)
    assert [gap.partition(" lacks ")[2] for gap in gaps] == [
        "1 avatar (B P4 low)",
        "1 pair (A none none, v0 – v1)",
    ]
    avatars = avatar_scores(views, ["met3r"]).set_index(["subject", "prompt"])
    assert pd.isna(avatars.loc["B", "P4"]["met3r"])


def test_names_ranges_and_paths_are_checked_before_any_job(tmp_path):
    path = tmp_path / "values.csv"
    path.touch()
    for name, change, message in [
        ("rmse", {}, "uses? the name rmse for something else"),
        ("mine_sd", {}, "for something else"),
        ("mine", {"range": [1, 0]}, "range is empty"),
        ("mine", {"path": "no.csv"}, r"no\.csv does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            check_external({name: {**ENTRY, "path": str(path), **change}}, ["rmse"])
    check_external({"mine": {**ENTRY, "path": str(path)}}, ["rmse"])


def test_a_label_is_shown_as_text_and_says_which_way_is_better(monkeypatch):
    monkeypatch.setattr("headstyle.report.labels.METRICS", dict(METRICS))
    add_external({"mine": {"path": "x", "direction": "higher", "label": "<b>A & B</b>"}})
    assert metric_label("mine").higher_is_better
    assert column_label("mine_sd").name == "<b>A & B</b> SD"
    page = table([{"mine": "1", "mine_sd": "2"}])
    assert "<b>A" not in page
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in page
