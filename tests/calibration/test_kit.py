"""Truths about the kit: what it holds, that it goes on, and the verdicts that metrics deserve."""

import json
import subprocess
from io import BytesIO

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from headstyle.base.errors import InputError
from headstyle.base.settings import laid_over
from headstyle.calibration.kit.answers import read_answers
from headstyle.calibration.kit.card import certify
from headstyle.calibration.kit.folders import check_sums, read_item, write_sums
from headstyle.calibration.kit.items import kit_settings, named_items
from headstyle.calibration.kit.making import make_kit
from headstyle.commands.main import main
from study import ROOT

RIG = {"long_side_px": 64, "rows": 1, "columns": 3, "coarseness": 6.0, "samples_per_side": 1}
SMALL = {
    "calibration": {
        "largest": {"color_shift": 12, "local_blur": 4},
        "trained": {
            "prompts": ["stone"],
            "largest": {"color_shift": 32},
            "rig": {**RIG, "long_side_px": 48},
            "baseline": {"iterations": 30, "max_splats": 800},
            "stylization": {"iterations": 20, "edit_every": 10},
        },
    },
    "metric_kit": {
        "heads": [21, 23],
        "prompts": ["red_hair_blue_shirt"],
        "rig": RIG,
        "levels": 2,
        "traps": ["all_blurred"],
        "trap_ladders": ["color_shift"],
        "trained": {"heads": [31], "levels": 2, "traps": []},
    },
}


def small_settings():
    """The demo's settings with the smallest kit."""
    study, demo = (
        yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
        for name in ("config", "demo")
    )
    config = laid_over(laid_over(study, demo), SMALL)
    for keys in (("calibration",), ("calibration", "trained")):
        changed, whole = SMALL, config
        for key in keys:
            changed, whole = changed[key], whole[key]
        whole["largest"] = changed["largest"]
    return kit_settings(config)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    make_kit(small_settings(), folder, "key", "cpu", 1)
    return folder


@pytest.fixture(scope="module")
def levels(kit):
    return pd.read_csv(kit / "hidden" / "levels.csv", keep_default_na=False)


def answer(folder, items, values, **columns):
    """Write a CSV of values."""
    path = folder / "mine.csv"
    pd.DataFrame({"item": items, "value": values, **columns}).to_csv(path, index=False)
    return path


def gradients(image):
    """Mean squared gradient of a view's head."""
    gray = image[..., :3].mean(axis=2) * (image[..., 3] > 0.5)
    return float(np.mean(np.diff(gray, axis=0) ** 2) + np.mean(np.diff(gray, axis=1) ** 2))


def verdicts(card):
    own = card.verdicts[card.verdicts["metric"] == card.metric]
    return dict(zip(own["family"], own["verdict"], strict=True))


def test_a_metric_that_follows_the_levels_orders(kit, levels, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.05, len(levels))
    path = answer(tmp_path, levels["item"], -levels["level"] + noise, seconds=2.0)
    card = certify(kit, path, "mine", "higher")
    assert verdicts(card) == {"images": "orders", "trained": "orders"}
    own = card.verdicts.set_index(["metric", "family"]).loc[("mine", "images")]
    assert (own["within"], own["seconds"], own["undefined"]) == (1, 2, 0)
    assert own["moved_by"] == ""
    assert own["smallest_level"] == 1


def test_a_random_metric_does_not_order(kit, levels, tmp_path):
    path = answer(tmp_path, levels["item"], np.random.default_rng(3).random(len(levels)))
    assert verdicts(certify(kit, path, "mine", "lower"))["images"] == "does not order"


def test_a_metric_that_rewards_blur_is_told(kit, levels, tmp_path):
    values = [
        np.mean(list(map(gradients, read_item(kit / "kit", i).images))) for i in levels["item"]
    ]
    card = certify(kit, answer(tmp_path, levels["item"], values), "mine", "lower")
    assert verdicts(card)["images"] == "rewards blur"


def test_our_headline_orders_the_small_kit(kit, levels, tmp_path):
    card = certify(kit, answer(tmp_path, levels["item"], levels["level"]), "mine", "lower")
    found = card.verdicts.set_index(["family", "metric"])["verdict"]
    assert found["images", "headline"] == "orders"
    assert {name for family, name in found.index} == {
        *("mine", "headline", "rmse", "ciede2000", "lpips_mini")
    }


def test_an_item_is_a_plain_folder_with_cameras_depth_and_pairs(kit, levels):
    item = levels[(levels["family"] == "images") & (levels["level"] == 0)]["item"].iloc[0]
    folder = kit / "kit" / "items" / item
    content = json.loads((folder / "transforms.json").read_text())
    frame = content["frames"][0]
    image = cv2.imread(str(folder / frame["file_path"]), cv2.IMREAD_UNCHANGED)
    depth = cv2.imread(str(folder / frame["depth_file_path"]), cv2.IMREAD_UNCHANGED)
    assert image.shape == (frame["h"], frame["w"], 4)
    assert (depth.dtype, depth.shape) == (np.uint16, image.shape[:2])
    shown = read_item(kit / "kit", item)
    # Centers of both kinds of cameras are the same places.
    there = [np.array(f["transform_matrix"])[:3, 3] for f in content["frames"]]
    np.testing.assert_allclose(there, shown.cameras.centers, atol=1e-9)
    assert 0.3 < np.median(shown.depths[0][shown.depths[0] > 0]) < 1
    assert len(shown.pairs) == 6


def test_the_kit_says_nothing_of_the_levels(kit, levels):
    told = [
        path.read_bytes() for path in (kit / "kit").rglob("*") if path.suffix in (".json", ".csv")
    ]
    for word in ("color_shift", "local_blur", "all_blurred", "head21", "stone"):
        assert not any(word.encode() in text for text in told)
    plain = levels[levels["trap"] == "none"]
    assert not plain["level"].is_monotonic_increasing
    assert list(named_items(small_settings())) == sorted(levels["item"])


def test_checksums_are_those_of_sha256sum_and_tell_a_changed_file(kit, tmp_path):
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=kit / "kit", check=False).returncode == 0
    readme = kit / "kit" / "README.md"
    text = readme.read_text()
    readme.write_text(text + " ")
    with pytest.raises(InputError, match=r"README\.md is not as it was made"):
        check_sums(kit / "kit")
    readme.write_text(text)
    assert check_sums(kit / "kit") == write_sums(kit / "kit")


def test_a_run_that_was_stopped_goes_on(kit, levels):
    scores = kit / "hidden" / "scores"
    lost = levels[levels["trap"] == "all_blurred"]["item"].iloc[0]
    kept = (kit / "hidden" / "ours.csv").read_bytes()
    times = {path: path.stat().st_mtime_ns for path in scores.iterdir()}
    (scores / f"{lost}.json").unlink()
    make_kit(small_settings(), kit, "key", "cpu", 1)
    changed = [path.stem for path in scores.iterdir() if times[path] != path.stat().st_mtime_ns]
    assert changed == [lost]
    columns = ["item", "headline", "rmse"]
    before, after = (pd.read_csv(BytesIO(kept)), pd.read_csv(kit / "hidden/ours.csv"))
    pd.testing.assert_frame_equal(before[columns], after[columns])


def test_the_command_writes_the_card_with_the_name_as_text(kit, levels, tmp_path, capsys):
    path = answer(tmp_path, levels["item"], levels["level"])
    page = tmp_path / "card.html"
    assert main(["certify", str(kit), str(path), "--name", "<i>mine", "-o", str(page)]) == 0
    assert "<i>mine orders" in capsys.readouterr().out
    text = page.read_text()
    assert "&lt;i&gt;mine" in text
    assert "<i>mine" not in text
    rows = pd.read_csv(tmp_path / "card.tsv", sep="\t")
    assert set(rows["metric"]) == {"<i>mine", "headline", "rmse", "ciede2000", "lpips_mini"}


def test_values_of_pairs_and_views_are_averaged_as_the_study_does(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("item,target,source,value\na,0,1,1\na,0,2,3\na,1,0,8\nb,0,1,4\n")
    assert read_answers(path, ["a", "b"])["value"].tolist() == [5, 4]
    path.write_text("item,view,value,seconds\na,0,1,2\na,1,3,2\nb,0,,1\n")
    found = read_answers(path, ["a", "b"])
    assert found["value"].iloc[0] == 2
    assert np.isnan(found["value"].iloc[1])
    assert found["seconds"].tolist() == [4, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,value\na,1\n", "lacks the item b"),
        ("item,value\na,1\nb,2\nc,3\n", "item 'c', which the kit lacks"),
        ("item,value\na,1\nb,inf\n", "line 3: the value of b is inf"),
        ("item,value\na,1\nb,1\nb,2\n", "two rows of b"),
        ("item,score\na,1\n", "lacks the column value"),
    ],
)
def test_answers_that_cannot_be_used_are_named(content, message, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_answers(path, ["a", "b"])
