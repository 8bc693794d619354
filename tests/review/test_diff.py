"""How two runs differ: the numbers, what only one of them has, and the page."""

import base64
import hashlib
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from headstyle.base.errors import InputError
from headstyle.commands.main import main
from headstyle.review.changes import changes_between
from headstyle.review.diff_page import difference_of, difference_page, difference_text
from headstyle.review.plans import write_plan
from headstyle.review.records import records_of
from headstyle.review.shown import most_changed
from PIL import Image

SCENES = ("A/baseline", "A/avatars/P1_low", "B/avatars/P1_low")
EVIL = "<script>alert(1)</script>"


def write_run(folder, seed=1):
    rng = np.random.default_rng(seed)
    views = [f"v{i}" for i in range(6)]
    pairs = [(a, b) for a in views for b in views if a != b]
    for scene in SCENES:
        table = pd.DataFrame(pairs, columns=["target", "source"])
        table.insert(0, "subject", scene[0])
        table["overlap"] = 0.5
        for metric in ("rmse", "ssim"):
            table[metric] = rng.uniform(0.2, 0.6, len(table))
        table["rmse_excess"] = 0.1
        write_pairs(folder, scene, table)
        renders = folder / scene / "renders"
        renders.mkdir()
        for view in views[:3]:
            Image.new("RGBA", (24, 32), (90, 120, 150, 255)).save(renders / f"{view}.png")
    for subject in "AB":
        run = {"prompt_text": f"Make {subject} green", "versions": {"torch": "2.9"}, "seed": 0}
        write_record(folder, subject, run | {"editing": {"steps": 20}})


def write_pairs(folder, scene, table):
    path = folder / scene / "consistency" / "pairs.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def read_pairs(folder, scene):
    return pd.read_csv(folder / scene / "consistency" / "pairs.csv")


def write_record(folder, subject, content):
    (folder / subject / "avatars" / "P1_low" / "run.json").write_text(json.dumps(content))


@pytest.fixture
def runs(tmp_path):
    """Two equal runs."""
    write_run(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    return tmp_path / "one", tmp_path / "two"


def change_of(runs, scene, metric):
    changes = changes_between(*runs)
    chosen = changes.scenes if scene else changes.overall
    return next(c for c in chosen if (c.scene, c.metric) == (scene, metric))


def test_equal_runs_are_the_same_in_everything(runs):
    found = difference_of(*runs)
    assert {change.verdict for change in found.changes.scenes} == {"same"}
    # Derived columns and the overlap are no metrics of their own.
    assert {change.metric for change in found.changes.scenes} == {"rmse", "ssim"}
    assert not found.facts()
    assert (found.compared, found.differing, found.pictures) == (9, 0, [])


@pytest.mark.parametrize(("metric", "verdict"), [("rmse", "worse"), ("ssim", "better")])
def test_a_shift_of_every_pair_is_found_exactly_and_its_direction_is_known(runs, metric, verdict):
    for scene in SCENES[1:]:
        table = read_pairs(runs[1], scene)
        write_pairs(runs[1], scene, table.assign(**{metric: table[metric] + 0.01}))
    for scene in (SCENES[1], ""):
        change = change_of(runs, scene, metric)
        # The pairs cancel what makes views differ, so the interval has no width.
        assert (change.low, change.difference, change.high) == pytest.approx((0.01,) * 3)
        assert change.verdict == verdict
    assert change_of(runs, SCENES[0], metric).verdict == "same"


def test_changes_that_cancel_are_not_clear(runs):
    table = read_pairs(runs[1], SCENES[1])
    signs = np.where(table["target"].isin(["v0", "v1", "v2"]), 1, -1)
    write_pairs(runs[1], SCENES[1], table.assign(rmse=table["rmse"] + 0.05 * signs))
    change = change_of(runs, SCENES[1], "rmse")
    assert change.difference == pytest.approx(0)
    assert change.low < 0 < change.high
    assert change.verdict == "unclear"


def test_every_target_counts_alike_however_many_pairs_it_has(runs):
    table = read_pairs(runs[1], SCENES[1])
    only_one = (table["target"] != "v0") | (table["source"] == "v1")
    shifted = table.assign(rmse=table["rmse"] + (table["target"] == "v0"))[only_one]
    write_pairs(runs[1], SCENES[1], shifted)
    change = change_of(runs, SCENES[1], "rmse")
    assert change.count == 26
    assert change.difference == pytest.approx(1 / 6)


def test_what_only_one_run_has_is_named(runs):
    shutil.rmtree(runs[1] / "B")
    table = read_pairs(runs[0], SCENES[1])
    write_pairs(runs[0], SCENES[1], table.drop(columns="ssim").iloc[1:])
    changes = changes_between(*runs)
    assert changes.only_first == ["scene B/avatars/P1_low"]
    assert changes.only_second == [f"{SCENES[1]}: metric ssim", f"{SCENES[1]}: 1 pair of views"]


def test_settings_versions_models_and_texts_that_differ_are_told(runs):
    write_record(runs[1], "A", {"prompt_text": EVIL, "versions": {"torch": "2.10"}, "seed": 0})
    write_record(runs[1], "B", {"prompt_text": "Make B green", "versions": {"torch": "2.10"}})
    model = {"purpose": "metrics", "name": "lpips", "revision": "abc", "files": [{"sha256": "12"}]}
    (runs[1] / "models.json").write_text(json.dumps({"models": [model, "broken"]}))
    facts = {
        (fact["kind"], fact["key"]): fact["in_second"] for fact in difference_of(*runs).facts()
    }
    assert facts == {
        ("setting", "editing.steps"): "–",
        ("version", "torch"): "2.10",
        ("model", "metrics: lpips"): "revision abc, sha256 12",
        ("instruction", "A P1_low"): EVIL,
    }


def test_a_plan_tells_all_settings_but_where_the_results_lie(runs):
    write_plan(runs[0], {"results_dir": "one", "metrics": {"names": ["rmse", "ssim"]}}, [])
    records = records_of(runs[0])
    assert records.has_plan
    assert records.settings == {"metrics.names": "rmse, ssim"}


def test_the_render_that_changed_most_comes_first(runs):
    for view, level in (("v0", 100), ("v1", 255), ("v2", 91)):
        path = runs[1] / SCENES[1] / "renders" / f"{view}.png"
        Image.new("RGBA", (24, 32), (level, 120, 150, 255)).save(path)
    changed, compared, differing = most_changed(*runs, 12, [])
    assert [one.view for one in changed] == ["v1", "v0"]
    assert changed[0].rmse == pytest.approx(165 / 255 / np.sqrt(3), abs=1e-6)
    assert (compared, differing) == (9, 3)


def test_the_page_holds_all_and_lets_no_text_run(runs, tmp_path, capsys):
    write_record(runs[1], "A", {"prompt_text": EVIL})
    Image.new("RGBA", (24, 32)).save(runs[1] / SCENES[1] / "renders" / "v0.png")
    (runs[1] / "A" / "baseline" / "consistency" / "pairs.csv").write_text("broken\n")
    assert main(["diff", *map(str, runs), "-o", str(tmp_path / "page.html")]) == 0
    shown = capsys.readouterr().out
    assert "1 of 9 renders differ" in shown
    assert "lacks the column target" in shown
    page = (tmp_path / "page.html").read_text()
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/webp") == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.endswith("script-src " + " ".join(f"'sha256-{digest}'" for digest in digests))


def test_runs_that_share_nothing_still_make_a_page(runs):
    for subject in "AB":
        (runs[1] / subject).rename(runs[1] / f"{subject}2")
    found = difference_of(*runs)
    assert "The runs share no scene" in difference_page(found)
    assert "only in the second: scene A2/avatars/P1_low" in difference_text(found)


def test_a_folder_without_scores_ends_in_one_sentence(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no scores of pairs"):
        difference_of(runs[0], tmp_path / "empty")
