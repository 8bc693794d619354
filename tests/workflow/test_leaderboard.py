"""The leaderboard and the ratings by real Snakemake, from the tiny study to people's answers."""

import csv

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

METHODS = """method\tfolder\twhat\tlink\tlicense
ours\tresults\tthe study's own results folder\t\t
again\tmade:thesis\tthe same schedule, made for the leaderboard\t\t
unedited\tmade:baseline\tnothing\t\t
"""


def test_methods_are_made_ranked_and_rated(copy):
    (copy.folder / "methods.tsv").write_text(METHODS)
    copy.settings["leaderboard"] = {"methods": "methods.tsv"}
    copy.write_settings()
    copy.snakemake("leaderboard", "ratings")
    board = copy.folder / "results" / "leaderboard"
    ranks = pd.read_csv(board / "ranks.tsv", sep="\t").set_index(["metric", "method"])
    assert ranks.loc[("rmse", "ours"), "rank"] == ranks.loc[("rmse", "again"), "rank"] == 1
    assert ranks.loc[("rmse", "ours"), "tied_with"] == "again"
    assert pd.isna(ranks.loc[("rmse", "unedited"), "rank"])
    # The same schedule with the same seed makes the same avatars.
    duels = pd.read_csv(board / "duels.tsv", sep="\t").set_index(["metric", "method", "other"])
    duel = duels.loc[("rmse", "ours", "again")]
    assert duel["ties"] == duel["units"] > 0
    scenes = pd.read_csv(board / "scenes.tsv", sep="\t")
    assert len(scenes) == 3 * 2
    assert "Leaderboard" in (board / "leaderboard.html").read_text()

    key = pd.read_csv(board / "ratings_key.csv", dtype=str)
    with (copy.folder / "answers.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["rater", "item", "choice", "left", "right", "seconds"])
        for row in key.itertuples():
            choice = {row.left: "left", row.right: "right"}.get("unedited", "equal")
            values = [3 if side == "unedited" else 1 for side in (row.left, row.right)]
            writer.writerow(["r", row.item, choice, *values, 1.0])
    copy.settings["leaderboard"]["ratings"] = {"answers": ["answers.csv"]}
    copy.write_settings()
    copy.snakemake("analyze_ratings")
    strengths = pd.read_csv(board / "ratings_methods.tsv", sep="\t")
    assert strengths["method"][0] == "unedited"
    agreement = pd.read_csv(board / "ratings_metrics.tsv", sep="\t").set_index("metric")
    assert set(agreement.index) == {"rmse", "ciede2000", "people"}
