"""Real Snakemake runs on a tiny study: from photographs to the report, and what a rerun redoes."""

import csv
import filecmp
import os
import re
import resource
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from headstyle.base.cameras import read_cameras
from headstyle.base.files import read_json
from headstyle.base.locks import claim_folder
from headstyle.posing.pose_errors import similarity
from headstyle.rendering.splat_files import read_splats, write_splats
from headstyle.workflow.archive.verifying import verify
from PIL import Image
from snakemake_runs import jobs, run_snakemake
from stage_forks import OWN_INTERPRETERS
from study import ROOT, Study, merged
from tiny_study import TINY

pytestmark = pytest.mark.slow

AVATAR = "avatars/recolor_low"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_scene_of_every_subject_is_in_the_tables(finished):
    avatars = rows(finished.folder / "results/tables/avatars.csv")
    scenes = {(row["subject"], row["prompt"], row["strength"]) for row in avatars}
    stylized = {(s, p, g) for s in "AB" for p in ("recolor",) for g in ("low", "high")}
    assert stylized <= scenes
    assert {("A", "none", "none"), ("B", "none", "none")} <= scenes
    assert all(0 < float(row["rmse"]) < 1 and float(row["ciede2000"]) > 0 for row in avatars)


def test_every_avatar_shows_where_its_views_disagree(finished):
    avatar = finished.folder / f"results/A/{AVATAR}"
    plain, mapped = (read_splats(avatar / f"{n}.ply") for n in ("splats", "inconsistency"))
    assert all(torch.equal(plain[key], mapped[key]) for key in plain)
    summary = read_json(avatar / "inconsistency.json")
    assert 0 < summary["median"] < summary["p95"] < 100
    assert (finished.folder / "results/plots/A/inconsistency_recolor_low.jpg").is_file()


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.snakemake()


def test_exports_are_made_when_they_are_named(copy):
    exported = [
        "results/A/baseline/exports/colmap",
        f"results/A/{AVATAR}/exports/turntable.mp4",
        f"results/A/{AVATAR}/splats.spz",
        "results/tables/avatars.parquet",
        "results/tables/evaluation.csv",
    ]
    copy.snakemake(*exported)
    assert all((copy.folder / path).exists() for path in exported)
    evaluated = rows(copy.folder / "results/tables/evaluation.csv")
    assert {row["subject"] for row in evaluated} == {"A", "B", "all"}
    assert all(float(row["psnr"]) > 10 and float(row["fps"]) > 0 for row in evaluated)
    assert "Nothing to be done" in copy.snakemake()


def test_known_splats_are_taken_as_they_are(copy):
    scene = copy.folder / "results/A/baseline"
    before = read_json(scene / "metrics.json")
    write_splats(copy.folder / "known.spz", read_splats(scene / "splats.ply"))
    table = copy.folder / "config" / "subjects.tsv"
    head, *lines = table.read_text().splitlines()
    known = ["known.spz" if line.startswith("A\t") else "" for line in lines]
    width = len(head.split("\t"))
    padded = ["\t".join((line.split("\t") + [""] * width)[:width]) for line in lines]
    rows = [
        f"{line}\t{file}" for line, file in zip([head, *padded], ["splats", *known], strict=True)
    ]
    table.write_text("\n".join(rows) + "\n")
    copy.settings = merged(copy.settings, {"baseline": {"iterations": 0}})
    copy.write_settings()
    copy.snakemake("results/A/baseline/metrics.json")
    after = read_json(scene / "metrics.json")
    assert after["iterations"] == 0
    # A few splats lie outside most foregrounds; the others have 8 bits a number.
    assert 0.6 * before["splats"] < after["splats"] <= before["splats"]
    assert after["psnr"] > before["psnr"] - 2


def test_every_job_leaves_a_log_and_a_benchmark(finished):
    results = finished.folder / "results"
    for rule in ("estimate_poses", "train_baseline", "stylize_avatar_recolor_low"):
        assert (results / "logs" / "A" / f"{rule}.log").read_text()
        assert (results / "benchmarks" / "A" / f"{rule}.tsv").read_text().startswith("s\t")


def test_nothing_half_written_is_left(finished):
    assert not list((finished.folder / "results").rglob("*.partial-*"))


def test_a_single_stage_can_be_asked_for_by_its_file(study):
    planned = jobs(study(**TINY).snakemake("-n", "results/A/adjacency.csv"))
    assert planned == {
        "synthesize_capture": 1,
        "mask_views": 1,
        "estimate_poses": 1,
        "downscale_views": 1,
        "camera_adjacency": 1,
    }


@pytest.mark.parametrize(
    ("change", "first", "untouched"),
    [
        ({"metrics": {"depth_tolerance": 0.02}}, "measure_consistency", "stylize_avatar"),
        ({"metrics": {"names": ["rmse"]}}, "measure_consistency", "train_baseline"),
        ({"stylization": {"iterations": 9}}, "stylize_avatar", "train_baseline"),
        ({"baseline": {"ssim_weight": 0.3}}, "train_baseline", "camera_adjacency"),
        ({"adjacency": {"neighbors": 3}}, "camera_adjacency", "train_baseline"),
        ({"images": {"size_px": 80}}, "downscale_views", "estimate_poses"),
        ({"masks": {"min_coverage": 0.01}}, "mask_views", "synthesize_capture"),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(
    finished, change, first, untouched
):
    changed = Study(finished.folder, merged(finished.settings, change))
    planned = jobs(changed.snakemake("-n"))
    finished.write_settings()
    assert first in planned
    assert untouched not in planned


def test_a_new_prompt_adds_its_avatars_and_redoes_no_other(copy):
    changes = {
        "study": {"prompts": ["recolor", "plain"]},
        "editing": {"control": {"operations": {"plain": "identity"}}},
    }
    table = copy.folder / "config/control_prompts.tsv"
    table.write_text(table.read_text() + "plain\tunchanged\tLeave {pronoun} alone\n")
    planned = jobs(Study(copy.folder, merged(copy.settings, changes)).snakemake("-n"))
    assert planned["stylize_avatar"] == 4
    assert "train_baseline" not in planned


def test_the_same_inputs_give_the_same_bytes(copy, monkeypatch):
    # Not even the seed of Python's hashes is the same.
    monkeypatch.setenv(OWN_INTERPRETERS, "yes")
    folder = copy.folder / "results/A/avatars/recolor_low"
    again = copy.folder / "again"
    shutil.copytree(folder, again)
    copy.snakemake(
        "--forcerun",
        "stylize_avatar",
        "--until",
        "measure_consistency",
        "--",
        str(Path("results/A/avatars/recolor_low/consistency/views.csv")),
    )
    for name in ("splats.ply", "run.json", "consistency/views.csv"):
        assert filecmp.cmp(folder / name, again / name, shallow=False), name


def test_one_job_makes_the_avatars_of_a_subject_that_are_wanted_and_no_others(copy):
    avatars = [f"results/A/avatars/recolor_{strength}/run.json" for strength in ("low", "high")]
    again = ("--cores", "1", "--forcerun", "stylize_avatar", "--")
    copy.snakemake(*again, *avatars)
    logs = [path.read_text() for path in (copy.folder / "results/logs/A").glob("stylize_*.log")]
    assert sum("made by another job" in log for log in logs) == 1
    before = (copy.folder / avatars[1]).stat().st_mtime_ns
    copy.snakemake(*again, avatars[0])
    assert (copy.folder / avatars[1]).stat().st_mtime_ns == before
    assert not list((copy.folder / "results/A/avatars").glob("*/.partial"))


@pytest.mark.parametrize(
    ("stage", "target", "product"),
    [
        ("synthesize_capture", "capture/rig.tsv", "capture/r0c0.jpg"),
        ("mask_views", "masks/masks.json", "masks/r0c0.png"),
        ("estimate_poses", "poses/poses.json", "poses/sparse/0/images.bin"),
        ("train_baseline", "baseline/splats.ply", "baseline/splats.ply"),
        ("stylize_avatar_recolor_low", f"{AVATAR}/splats.ply", f"{AVATAR}/edits/cycle0/r0c0.png"),
    ],
)
def test_a_stage_killed_in_the_middle_is_done_again_with_the_same_result(
    copy, monkeypatch, stage, target, product
):
    monkeypatch.setenv(OWN_INTERPRETERS, "yes")
    subject = copy.folder / "results/A"
    before = (subject / target).read_bytes(), (subject / product).read_bytes()
    (subject / target).unlink()
    copy.kill_in_the_middle(f"results/logs/A/{stage}.log", f"results/A/{target}")
    assert not (subject / target).exists()
    copy.snakemake(f"results/A/{target}")
    assert ((subject / target).read_bytes(), (subject / product).read_bytes()) == before
    assert not list(subject.rglob("*.partial-*"))


def test_the_report_is_one_file_that_opens_offline(finished):
    finished.snakemake("--report", "results/report.html")
    html = (finished.folder / "results/report.html").read_text()
    assert len(html) > 100_000
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?://", html)


def test_the_archive_holds_the_study_and_the_report_and_is_told_when_it_is_old(finished):
    report = finished.folder / "results/report.html"
    report.write_text("<title>a report</title>")
    finished.snakemake("archive")
    archive = finished.folder / "results/archive.zip"
    assert verify(archive).files > 40
    with zipfile.ZipFile(archive) as file:
        names = set(file.namelist())
        settings = yaml.safe_load(file.read("config/settings.yaml"))
        tables = file.read("results/tables/avatars.csv")
    assert tables == (finished.folder / "results/tables/avatars.csv").read_bytes()
    assert settings["study"]["subjects"] == finished.settings["study"]["subjects"]
    assert {"versions.txt", "config/subjects.tsv", "config/prompts.tsv"} <= names
    assert {"results/report.html", "results/A/baseline/splats.ply"} <= names
    os.utime(report, (0, 0))
    told = finished.snakemake("archive", "--forcerun", "archive", succeeds=False)
    assert "report.html is older than the tables; write it again" in told
    report.unlink()


def test_planning_another_subject_costs_the_same_in_a_large_study(study):
    prompts = [f"P{i}" for i in range(1, 9)]
    growing = study(
        study={"prompts": prompts},
        prompts_table="config/prompts.tsv",
        editing={"control": {"operations": dict.fromkeys(prompts, "identity")}},
    )
    seconds = {}
    # The first plan fills caches, so the second one's seconds count.
    for count in (1, 1, 30, 90):
        subjects = [f"S{seed}" for seed in range(count)]
        rows = [f"{subject}\tprocedural\t{subject[1:]}\n" for subject in subjects]
        table = growing.folder / "config/subjects.tsv"
        table.write_text("subject\tsource\tseed\n" + "".join(rows))
        growing.settings["study"]["subjects"] = subjects
        growing.write_settings()
        # Seconds of the processor: another program beside the tests does not change them much.
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        planned = jobs(
            run_snakemake(
                growing.folder,
                *("--snakefile", ROOT / "Snakefile", "--configfile", "settings.yaml"),
                *("--cores", "2", "-n", "--quiet", "rules"),
                # In a process of its own, whose seconds count as this one's.
                environment={},
            )
        )
        seconds[count] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        assert planned["stylize_avatar"] == count * len(prompts) * 2
    # It would be 3.9 times as much if the time grew with the square of the subjects.
    of_the_next_60 = (seconds[90] - seconds[30]) / 60
    of_the_first_29 = (seconds[30] - seconds[1]) / 29
    assert of_the_next_60 < 2 * of_the_first_29


def test_a_run_beside_another_one_is_refused(finished):
    claim = claim_folder(finished.folder / "results")
    text = finished.snakemake("--forcerun", "summarize", succeeds=False)
    claim.release()
    assert "is being computed by another run" in text


def test_a_missing_backbone_stops_the_run_before_any_other_job(study, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    wants = study(**merged(TINY, {"metrics": {"names": ["rmse", "lpips"]}}))
    text = wants.snakemake(succeeds=False)
    assert "squeezenet1_1" in text
    assert "metrics.lpips_weights" in text
    assert not (wants.folder / "results/A").exists()


def test_the_published_statistics_come_out_of_the_published_numbers(study):
    reference = study()
    reference.snakemake("reference_tables")
    tables = reference.folder / "results/reference/tables"
    agreement = {row["metric"]: float(row["spearman"]) for row in rows(tables / "agreement.csv")}
    assert agreement == {
        "lpips": pytest.approx(-0.20, abs=5e-3),
        "rmse": pytest.approx(-0.06, abs=5e-3),
        "ciede2000": pytest.approx(0.31, abs=5e-3),
    }


def test_masks_are_the_true_ones(finished):
    for path in sorted((finished.folder / "results/A/masks").glob("*.png")):
        found = np.array(Image.open(path)) > 127
        true = (
            np.array(Image.open(finished.folder / "results/A/capture/truth/masks" / path.name))
            > 127
        )
        assert (found & true).sum() / (found | true).sum() > 0.99, path.name


def test_every_camera_is_found_where_it_stood(finished):
    for subject in "AB":
        truth = read_json(finished.folder / f"results/{subject}/poses/truth.json")
        assert truth["missing"] == []
        assert truth["rotation_error_deg"]["median"] <= 0.3
        assert truth["center_error_fraction"]["median"] <= 0.005


def test_the_baselines_depth_is_the_true_one(finished):
    folder = finished.folder / "results/A"
    cameras = read_cameras(folder / "views/cameras.json")
    true_cameras = read_cameras(folder / "capture/truth/cameras.json").select(cameras.names)
    scale, _, _ = similarity(cameras.centers, true_cameras.centers)
    for name, size in zip(cameras.names, cameras.sizes.tolist(), strict=True):
        depth = np.load(folder / f"baseline/depth/{name}.npz")["median"] * scale
        true = np.load(folder / f"capture/truth/depth/{name}.npz")["depth"]
        true = cv2.resize(true, size, interpolation=cv2.INTER_NEAREST)
        both = (depth > 0) & (true > 0)
        assert both.sum() > 0.9 * (true > 0).sum(), name
        assert np.median(np.abs(depth[both] / true[both] - 1)) < 0.02, name
