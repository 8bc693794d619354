"""Each profile plans the whole study with real Snakemake and its executor plugin."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake_runs import jobs, run_snakemake
from study import ROOT

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
# The rules that ask for a GPU, with those that take over another's resources.
USE = {
    "train_baseline": ("fit_unedited",),
    "stylize_avatar": ("stylize_by_schedule",),
    "measure_consistency": ("measure_renders", "measure_unedited"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_plans_the_study(name, tmp_path):
    planned = run_snakemake(
        tmp_path,
        *("-n", "--quiet", "rules", "--snakefile", ROOT / "Snakefile"),
        *("--workflow-profile", ROOT / "profiles" / name),
        *([] if "executor" in profile(name) else ["--cores", "1"]),
        *(store(tmp_path) if "default-storage-provider" in profile(name) else []),
    )
    assert jobs(planned)["stylize_avatar"] == 64


def test_every_gpu_of_a_pod_has_a_maker_and_a_limit():
    """`gpu=1` is refused by the plugin without the one, and by Kubernetes without the other.

    `test_kubernetes.py` has a pod made by this profile.
    """
    asked = profile("kubernetes")["default-resources"]
    assert asked["gpu_manufacturer"] == "'nvidia'"
    assert asked["scale"] == 0
    # Where one rule had values of its own, it would lose these.
    assert "set-resources" not in profile("kubernetes")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_never_holds_a_lock_that_outlives_its_run(name):
    assert profile(name)["nolock"] is True


@pytest.mark.parametrize("name", [name for name in PROFILES if name != "default"])
def test_on_a_cluster_a_killed_job_is_tried_again(name):
    assert profile(name)["retries"] >= 2


def test_every_rule_that_asks_for_a_gpu_asks_the_scheduler_too():
    rules = {
        match[1]
        for file in (ROOT / "rules").glob("*.smk")
        for match in re.finditer(
            r"^rule (\w+):(?:(?!^rule |^use rule ).*\n)*?\s+gpu=", file.read_text(), re.MULTILINE
        )
    }
    assert {"train_baseline", "stylize_avatar", "train_editor"} <= rules
    rules |= {other for rule in rules for other in USE.get(rule, ())}
    assert set(profile("cluster-generic")["set-resources"]) == rules


def test_each_line_of_a_scheduler_has_only_what_snakemake_fills_in():
    text = (ROOT / "profiles" / "cluster-generic" / "config.yaml").read_text()
    lines = re.findall(r"cluster-generic-submit-cmd: (?:>-\n)?(.*(?:\n  .*)*)", text)
    assert len(lines) == 4
    for line in lines:
        fields = set(re.findall(r"{(.*?)}", line))
        assert fields <= {
            *("threads", "resources.mem_mb", "resources.runtime", "resources.submit_gpu"),
        }
        assert {"threads", "resources.mem_mb", "resources.submit_gpu"} <= fields


def store(folder: Path) -> list[str]:
    """Options for a store that is a folder, in place of the one that a profile names."""
    return ["--default-storage-provider", "fs", "--default-storage-prefix", f"{folder}/store"]


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
