"""Without downloads: what `config/offline.yaml` plans, and `config/photographs.yaml`."""

import copy
import re

import pytest
import yaml
from headstyle.base.embedded import EMBEDDED_MODELS
from headstyle.consistency.metrics import metric_class, required_weights
from headstyle.workflow import configuration
from PIL import Image
from study import ROOT, Study, merged

STUDY = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
OFFLINE = yaml.safe_load((ROOT / "config" / "offline.yaml").read_text())
SETTINGS = merged(copy.deepcopy(STUDY), OFFLINE)


def test_it_differs_from_the_study_only_in_size_and_models():
    configuration.check_config(SETTINGS, ROOT / "config" / "schemas" / "config.schema.yaml")
    changed = {"results_dir", "masks", "images", "editing", "strengths", "metrics"}
    assert set(OFFLINE) == changed
    assert SETTINGS["editing"]["model"] == SETTINGS["masks"]["matting_model"] == "mini"


@pytest.mark.parametrize("name", ["demo", "offline", "photographs"])
def test_nothing_is_needed_that_does_not_come_with_headstyle(name):
    own = yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())
    settings = merged(copy.deepcopy(STUDY), own)
    configuration.check_config(settings, ROOT / "config" / "schemas" / "config.schema.yaml")
    assert settings["editing"]["model"] == settings["masks"]["matting_model"] == "mini"
    for files in required_weights(settings["metrics"]).values():
        assert all(file.is_relative_to(EMBEDDED_MODELS) for file in files)


def test_metrics_are_the_studys_with_the_small_network_in_place_of_lpips():
    names = [name.replace("lpips_mini", "lpips") for name in OFFLINE["metrics"]["names"]]
    assert set(STUDY["metrics"]["names"]) <= set(names)
    assert all(metric_class(name).name == name for name in OFFLINE["metrics"]["names"])


def test_64_avatars_are_planned_each_with_its_true_edit(tmp_path):
    study = Study.with_demo_settings(tmp_path, {})
    study.settings = OFFLINE
    study.write_settings()
    plan = study.snakemake("--dry-run")
    jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE)}
    assert jobs["stylize_avatar"] == 64
    assert jobs["photograph_true_edits"] == 32
    # The avatars, the four unstylized heads, and their floors.
    assert jobs["measure_consistency"] >= 68
    assert jobs["train_baseline"] == 4


def test_four_avatars_of_ones_own_photographs_are_planned(tmp_path):
    study = Study.with_demo_settings(tmp_path, {})
    study.settings = yaml.safe_load((ROOT / "config" / "photographs.yaml").read_text())
    study.settings["subjects_table"] = "mine.tsv"
    study.write_settings()
    (tmp_path / "mine").mkdir()
    for i in range(4):
        Image.new("RGB", (48, 64), (i, 0, 0)).save(tmp_path / "mine" / f"{i}.jpg")
    header = "subject\tsource\tphotographs\tmasks\tpronoun\n"
    (tmp_path / "mine.tsv").write_text(header + "anna\tphotographs\tmine\t\ther\n")
    plan = study.snakemake("--dry-run")
    jobs = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", plan, re.MULTILINE)}
    assert jobs["mask_views"] == jobs["estimate_poses"] == 1
    assert jobs["stylize_avatar"] == 4
