import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from headstyle.base.errors import InputError
from headstyle.consistency.statistics import (
    agreement,
    avatar_scores,
    bootstrap_interval,
    compare_strengths,
    published_scores,
    read_ratings,
    read_scores,
    thresholds,
    with_flicker,
)
from job_files import Files

ROOT = Path(__file__).parents[2]
THESIS = ROOT / "resources" / "reference" / "thesis_metrics.csv"
TABLES = ["avatars", "views", "thresholds", "strengths", "agreement"]


def run_stage(script: str, folder: Path, outputs: list[str], inputs: dict, **params) -> dict:
    """Run a stage script in this process; returns its tables."""
    paths = {name: folder / f"{name}.csv" for name in outputs}
    job = SimpleNamespace(
        input=Files(**inputs),
        output=Files(**paths),
        params=SimpleNamespace(**params),
        log=[str(folder / "log.txt")],
        rule=script,
        threads=1,
        resources={},
    )
    path = ROOT / "workflow_scripts" / f"{script}.py"
    runpy.run_path(str(path), {"snakemake": job}, run_name="__main__")
    return {name: pd.read_csv(path, keep_default_na=False) for name, path in paths.items()}


def test_the_published_numbers_come_out_of_the_published_scores(tmp_path):
    tables = run_stage(
        "reference_tables",
        tmp_path,
        ["thresholds", "strengths", "agreement"],
        {"metrics": str(THESIS)},
    )
    means = tables["thresholds"].pivot(index="quality", columns="metric", values="mean")
    published = {4: (0.0150, 0.0609), 3: (0.0275, 0.0903), 2: (0.0316, 0.1042), 1: (0.0345, 0.0969)}
    for quality, (lpips, rmse) in published.items():
        assert means["lpips"][quality] == pytest.approx(lpips, abs=1e-4)
        assert means["rmse"][quality] == pytest.approx(rmse, abs=1e-4)
    assert means["ciede2000"][4] == pytest.approx(2.798, abs=1e-3)
    assert list(tables["thresholds"]["quality"].unique()) == [4, 3, 2, 1, 0]
    strengths = tables["strengths"].set_index("metric")
    assert (strengths["pairs"] == 20).all()
    lower = strengths["lower_at_low"]
    assert (lower["lpips"], lower["rmse"], lower["ciede2000"]) == (15, 19, 16)
    agreed = tables["agreement"].set_index("metric")
    assert (agreed["n"] == 64).all()
    spearman = agreed["spearman"]
    assert spearman["lpips"] == pytest.approx(-0.1956, abs=1e-4)
    assert spearman["rmse"] == pytest.approx(-0.0585, abs=1e-4)
    assert spearman["ciede2000"] == pytest.approx(0.3132, abs=1e-4)


def test_baselines_count_for_thresholds_but_not_for_agreement():
    avatars, metrics = published_scores(THESIS)
    table = thresholds(avatars, metrics)
    assert table.loc[table["quality"] == 4, "n"].tolist() == [4, 4, 4]
    assert agreement(avatars, metrics)["n"].tolist() == [64, 64, 64]


def test_the_photographs_floor_counts_for_neither():
    labels = ["none", "photographs", "P1", "P2"]
    avatars = pd.DataFrame({"prompt": labels, "quality": [4, 4, 3, 2], "rmse": [1.0, 0, 2, 3]})
    assert thresholds(avatars, ["rmse"])["mean"].tolist() == [1, 2, 3]
    assert agreement(avatars, ["rmse"])["n"].tolist() == [2]


def test_a_perfect_ranking_agrees_perfectly():
    avatars = pd.DataFrame(
        {"prompt": ["P1", "P2", "P3", "P4"], "quality": [1, 2, 3, 4], "rmse": [4, 3, 2, 1]}
    )
    [row] = agreement(avatars, ["rmse"]).to_dict("records")
    assert row["spearman"] == pytest.approx(-1)
    assert row["kendall"] == pytest.approx(-1)


def strengths_table(low: list[float], high: list[float]) -> pd.DataFrame:
    rows = [
        {"subject": str(i), "prompt": "P2", "strength": strength, "rmse": value}
        for strength, values in (("low", low), ("high", high))
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_strengths_are_compared_pair_by_pair():
    table = strengths_table([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 3.5])
    [row] = compare_strengths(table, ["rmse"], ["P2"]).to_dict("records")
    assert (row["pairs"], row["lower_at_low"]) == (4, 3)
    assert row["mean_difference"] == pytest.approx(1.375)
    assert row["median_difference"] == pytest.approx(3.75 - 2.5)
    # Differences 1, 2, 3, -0.5 have ranks 2, 3, 4 and 1.
    assert row["wilcoxon"] == 1
    assert row["wilcoxon_p"] == pytest.approx(0.25)
    assert row["rank_biserial"] == pytest.approx((9 - 1) / 10)


def test_every_pair_lower_at_low_is_an_effect_of_one_and_equal_pairs_none():
    table = strengths_table([1, 2, 3], [2, 3, 4])
    assert compare_strengths(table, ["rmse"], ["P2"])["rank_biserial"][0] == 1
    table = strengths_table([1, 2, 3], [1, 2, 3])
    [row] = compare_strengths(table, ["rmse"], ["P2"]).to_dict("records")
    assert (row["lower_at_low"], row["wilcoxon_p"], row["rank_biserial"]) == (0, 1, 0)


def test_only_chosen_prompts_with_both_strengths_are_compared():
    table = strengths_table([1, 2, 3], [2, 3, 4])
    assert compare_strengths(table, ["rmse"], ["P3"])["pairs"][0] == 0
    assert compare_strengths(table.iloc[:4], ["rmse"], ["P2", "P3"])["pairs"][0] == 1
    assert compare_strengths(table[table["strength"] == "low"], ["rmse"], ["P2"])["pairs"][0] == 0


def test_the_bootstrap_interval_is_seeded_and_holds_the_mean():
    values = np.random.default_rng(1).normal(3, 1, 37)
    low, high = bootstrap_interval(values, 0.95, 2000, seed=0)
    assert (low, high) == bootstrap_interval(values, 0.95, 2000, seed=0)
    assert low < values.mean() < high
    # The normal approximation: 1.96 standard errors on each side.
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(37), rel=0.1)
    narrow = bootstrap_interval(values, 0.5, 2000, seed=0)
    assert low < narrow[0] < narrow[1] < high
    assert bootstrap_interval(np.full(5, 2.0), 0.95, 100, 0) == (2, 2)
    assert np.isnan(bootstrap_interval(np.array([]), 0.95, 100, 0)).all()


def view_table(scores: dict[tuple[str, str, str], list[float]]) -> pd.DataFrame:
    rows = [
        dict(zip(("subject", "prompt", "strength"), labels, strict=True))
        | {"view": f"v{i}", "neighbours": 2, "rmse": value, "ciede2000": 10 * value}
        for labels, values in scores.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


SCENES = {
    ("A", "none", "none"): [0.1, 0.2, 0.3],
    ("A", "photographs", "none"): [0.1, 0.1, 0.1],
    ("A", "P4", "low"): [0.2, 0.3, 0.4],
    ("A", "P4", "high"): [0.5, 0.5, np.nan],
    ("B", "P4", "low"): [0.3, 0.3, 0.3],
    ("B", "P4", "high"): [0.2, 0.2, 0.2],
}


def test_avatars_are_means_over_views_and_excess_is_above_their_own_baseline():
    avatars = avatar_scores(view_table(SCENES), ["rmse", "ciede2000"])
    assert list(avatars.columns[:9]) == [
        *("subject", "prompt", "strength", "views"),
        *("rmse", "rmse_sd", "rmse_ci_low", "rmse_ci_high", "rmse_excess"),
    ]
    assert "quality" not in avatars
    rows = avatars.set_index(["subject", "prompt", "strength"])
    assert rows["rmse"]["A", "P4", "low"] == pytest.approx(0.3)
    assert rows["rmse_sd"]["A", "P4", "low"] == pytest.approx(0.1)
    assert rows["rmse_excess"]["A", "P4", "low"] == pytest.approx(0.1)
    assert rows["rmse_excess"]["A", "none", "none"] == 0
    assert rows["rmse"]["A", "P4", "high"] == pytest.approx(0.5)
    assert rows["views"]["A", "P4", "high"] == 3
    assert np.isnan(rows["rmse_excess"]["B", "P4", "low"])
    np.testing.assert_allclose(avatars["ciede2000_ci_low"], 10 * avatars["rmse_ci_low"])


def test_avatars_take_excess_and_ceiling_from_views_that_have_them():
    views = view_table(SCENES).assign(
        pairs_used=3, pairs_left_out=1, edit_strength=5.0, edit_strength_ssim=0.2, sharpness=0.8
    )
    views["rmse_excess"], views["rmse_ceiling"] = views["rmse"] / 2, 2 * views["rmse"]
    rows = avatar_scores(views, ["rmse", "ciede2000"]).set_index(["subject", "prompt", "strength"])
    low = rows.loc["A", "P4", "low"]
    assert (low["pairs_used"], low["pairs_left_out"]) == (9, 3)
    assert (low["edit_strength"], low["sharpness"]) == (5, pytest.approx(0.8))
    assert low["rmse_excess"] == pytest.approx(0.15)
    assert low["rmse_ceiling"] == pytest.approx(0.6)
    # Views without an excess of their own: the difference of the means.
    assert low["ciede2000_excess"] == pytest.approx(1)
    assert "ciede2000_ceiling" not in rows


def test_the_flicker_of_films_stands_beside_the_scores_with_its_excess():
    avatars = avatar_scores(view_table(SCENES), ["rmse"])
    films = avatars[["subject", "prompt", "strength"]].iloc[:2]
    films = films.assign(
        frames=240, short_rmse_corrected=[0.1, 0.3], long_rmse_corrected=[0.2, 0.5]
    )
    table = with_flicker(avatars, films)
    assert len(table) == len(avatars)
    assert table["short_rmse_corrected"].head(2).tolist() == [0.1, 0.3]
    baseline = films["prompt"].tolist().index("none")
    expected = 0.5 - films["long_rmse_corrected"].iloc[baseline]
    assert table["long_rmse_corrected_excess"].iloc[1] == pytest.approx(expected)
    assert np.isnan(table["short_rmse_corrected"].iloc[-1])


def summarize(folder: Path, external: dict | None = None, **inputs) -> dict[str, pd.DataFrame]:
    views = view_table(SCENES)
    paths = []
    for (subject, prompt, strength), scene in views.groupby(["subject", "prompt", "strength"]):
        paths.append(folder / f"{subject}_{prompt}_{strength}.csv")
        scene.to_csv(paths[-1], index=False)
    return run_stage(
        *(
            "summarize",
            folder,
            [*TABLES, "external"] if external else TABLES,
            {"views": paths} | inputs,
        ),
        metrics=["rmse", "ciede2000"],
        external=external or {},
        elsewhere=[],
        strength_prompts=["P2", "P4"],
        confidence=0.95,
        bootstrap_resamples=200,
        seed=0,
    )


def test_summarize_without_ratings_leaves_the_tables_of_quality_empty(tmp_path):
    tables = summarize(tmp_path, ratings=[])
    assert len(tables["avatars"]) == 6
    assert len(tables["views"]) == 18
    assert "quality" not in tables["avatars"]
    assert list(tables["thresholds"].columns) == ["quality", "metric", "mean", "n"]
    assert tables["thresholds"].empty
    assert tables["agreement"].empty
    assert tables["strengths"]["pairs"].tolist() == [2, 2]
    assert tables["strengths"]["lower_at_low"].tolist() == [1, 1]


def test_summarize_with_ratings_relates_scores_to_quality(tmp_path):
    ratings = tmp_path / "quality.csv"
    ratings.write_text(
        "subject,prompt,strength,quality\nA,none,none,4\nA,P4,low,3\nA,P4,high,1\nB,P4,low,2\n"
        "Z,P4,low,2\n"
    )
    tables = summarize(tmp_path, ratings=str(ratings))
    assert len(tables["avatars"]) == 6
    rows = tables["avatars"].set_index(["subject", "prompt", "strength"])["quality"]
    assert float(rows["A", "P4", "low"]) == 3
    assert rows["B", "P4", "high"] == ""
    assert tables["agreement"]["n"].tolist() == [3, 3]
    assert tables["thresholds"]["quality"].tolist() == [4, 4, 3, 3, 2, 2, 1, 1]
    assert "4 of 5 ratings are of scenes of this run" in (tmp_path / "log.txt").read_text()


def test_summarize_puts_a_metric_that_was_computed_elsewhere_into_all_tables(tmp_path):
    values, pairs = tmp_path / "mine.csv", tmp_path / "pairs.csv"
    lines = [
        f"{','.join(scene)},v{view},{value}"
        for scene, found in SCENES.items()
        for view, value in enumerate(np.nan_to_num(found))
    ]
    values.write_text("\n".join(["subject,prompt,strength,view,value", *lines]) + "\n")
    pairs.write_text("subject,prompt,strength,target,source\n")
    entry = {"path": str(values), "direction": "lower"}
    tables = summarize(tmp_path, {"mine": entry}, pairs=[str(pairs)], ratings=[])
    low = tables["avatars"].set_index(["subject", "prompt", "strength"]).loc[("A", "P4", "low")]
    assert float(low["mine"]) == pytest.approx(0.3)
    assert float(low["mine_excess"]) == pytest.approx(0.1)
    assert float(low["mine_ci_low"]) <= 0.3 <= float(low["mine_ci_high"])
    assert "mine" in tables["views"]
    assert tables["strengths"]["metric"].tolist() == ["rmse", "ciede2000", "mine"]


def test_two_runs_write_the_same_bytes(tmp_path):
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        summarize(tmp_path / run)
    for table in TABLES:
        one, two = (tmp_path / run / f"{table}.csv" for run in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_names_that_look_like_numbers_or_nothing_stay_text(tmp_path):
    path = tmp_path / "views.csv"
    path.write_text("subject,prompt,strength,view,neighbours,rmse\nNA,007,none,001,2,\n")
    [row] = read_scores(path).to_dict("records")
    assert [row[k] for k in ("subject", "prompt", "strength", "view")] == [
        "NA",
        "007",
        "none",
        "001",
    ]
    assert np.isnan(row["rmse"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject,prompt,quality\nA,P1,2\n", "lacks the column strength"),
        ("subject,prompt,strength\nA,P1,low\n", "lacks the column quality"),
        ("subject,prompt,strength,quality\nA,P1,low,good\n", "quality that is not a number"),
        ("subject,prompt,strength,quality\nA,P1,low,2\nA,P1,low,3\n", "rates A P1 low twice"),
        ("", "cannot be read as a table"),
    ],
)
def test_ratings_that_cannot_be_used_are_named(content, message, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"ratings\.csv .*{message}"):
        read_ratings(path)
    with pytest.raises(InputError, match="does not exist"):
        read_ratings(tmp_path / "none.csv")
