"""profiles/kubernetes submits jobs, to a stand-in that refuses what Kubernetes refuses."""

import shutil

import pytest
import yaml
from kubernetes_stand_in import kubernetes, refused
from snakemake_runs import run_snakemake
from study import ROOT
from two_jobs import RULES


@pytest.mark.slow
def test_pods_get_what_their_jobs_ask_for_and_bring_back_what_they_make(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_kubernetes")
    pytest.importorskip("snakemake_storage_plugin_fs")
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed, by which the store's plugin copies")
    for name in ("work", "profile", "pods", "store"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "Snakefile").write_text(RULES)
    content = yaml.safe_load((ROOT / "profiles" / "kubernetes" / "config.yaml").read_text())
    # The store is a folder here. Jobs go one by one, so that each can be asked what it got.
    content |= {"default-storage-provider": "fs", "default-storage-prefix": f"{tmp_path}/store"}
    del content["groups"], content["group-components"]
    (tmp_path / "profile" / "config.yaml").write_text(yaml.safe_dump(content))
    with kubernetes(tmp_path / "pods") as cluster:
        run_snakemake(
            tmp_path / "work",
            *("--workflow-profile", tmp_path / "profile", "--seconds-between-status-checks", "1"),
            environment=cluster.environment(),
        )
        light, heavy = sorted(cluster.containers(), key=lambda pod: "nvidia" in str(pod))
    assert {path.name for path in (tmp_path / "store").glob("*.txt")} == {"light.txt", "heavy.txt"}
    for pod, memory in ((light, "400M"), (heavy, "500M")):
        assert pod["image"] == "registry.example.org/headstyle:cuda"
        assert pod["resources"]["requests"]["memory"] == memory
        # Who takes more is killed, and tried again with more.
        assert pod["resources"]["limits"]["memory"] == memory
    assert heavy["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in light["resources"]["requests"]


def test_a_gpu_without_a_limit_is_refused_as_kubernetes_refuses_it():
    assert "limit" in refused({"requests": {"cpu": "950m", "nvidia.com/gpu": "1"}})
    assert not refused({"requests": {"cpu": "950m"}})
