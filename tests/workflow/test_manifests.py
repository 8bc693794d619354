"""What a stage made is checked where it is read; the user's own files and older results are not."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from headstyle.workflow.manifests import manifest_path
from headstyle.workflow.stage import stage
from job_files import Files


def run(folder: Path, rule: str, inputs: dict, outputs: dict[str, dict], index: str = "") -> None:
    """Run a stage that writes text files.

    Args:
        folder: The results.
        rule: Of the stage.
        inputs: Paths by name.
        outputs: For each output its path as key of the texts that the stage writes, by path.
        index: As for `stage`.
    """
    paths = {name: str(folder / next(iter(texts))) for name, texts in outputs.items()}
    job = SimpleNamespace(
        input=Files(**{name: str(folder / path) for name, path in inputs.items()}),
        output=Files(**paths),
        log=[str(folder / "logs" / f"{rule}.log")],
        rule=rule,
        threads=1,
        resources={},
    )
    with stage(job, index=index):
        for texts in outputs.values():
            for path, text in texts.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                if text is None:
                    (folder / path).mkdir(exist_ok=True)
                else:
                    (folder / path).write_text(text)


def views(folder: Path, text: str = "view") -> None:
    """A stage with an index that stands for its folder."""
    made = {"views/cameras.json": "{}", "views/a.png": text, "views/sub/b.png": text}
    run(folder, "downscale_views", {}, {"cameras": made}, index="cameras")


def baseline(folder: Path) -> None:
    """A stage that makes a folder and a file from the views."""
    run(
        folder,
        "train_baseline",
        {"cameras": "views/cameras.json"},
        {"renders": {"renders": None, "renders/a.png": "render"}, "splats": {"splats.ply": "ply"}},
    )


def measured(folder: Path) -> str:
    """Run the stage that reads all of it; what it told, empty where it went well."""
    inputs = {"cameras": "views/cameras.json", "renders": "renders", "splats": "splats.ply"}
    try:
        run(folder, "measure_consistency", inputs, {"pairs": {"pairs.csv": "1"}})
    except SystemExit:
        return (folder / "logs/measure_consistency.log").read_text()
    return ""


@pytest.fixture
def results(tmp_path) -> Path:
    """Views, renders and splats as their stages leave them."""
    views(tmp_path)
    baseline(tmp_path)
    assert measured(tmp_path) == ""
    return tmp_path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_another(path: Path) -> None:
    path.write_text("of another run")


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit, replace_by_another, Path.unlink])
@pytest.mark.parametrize(
    ("damaged", "declared", "rule"),
    [
        ("views/cameras.json", "views/cameras.json", "downscale_views"),
        ("views/a.png", "views/cameras.json", "downscale_views"),
        ("views/sub/b.png", "views/cameras.json", "downscale_views"),
        ("renders/a.png", "renders", "train_baseline"),
        ("splats.ply", "splats.ply", "train_baseline"),
    ],
)
def test_damage_of_any_kind_is_told_by_name_with_what_to_delete(
    results, damage, damaged, declared, rule
):
    damage(results / damaged)
    told = measured(results)
    assert f"ERROR {results / damaged} is " in told
    assert f"the rule {rule}" in told
    assert f"delete {results / declared} and run the same command again" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit])
@pytest.mark.parametrize("output", ["views/cameras.json", "renders", "splats.ply"])
def test_damaged_checksums_are_told_too(results, damage, output):
    damage(manifest_path(results / output))
    told = measured(results)
    assert f"the checksums {manifest_path(results / output)} are damaged" in told
    assert f"delete {results / output} and run" in told


def test_a_stage_that_runs_again_makes_the_checksums_right(results):
    replace_by_another(results / "views/a.png")
    empty(manifest_path(results / "views/cameras.json"))
    views(results)
    assert measured(results) == ""


def test_a_change_on_purpose_is_accepted_once_its_checksums_are_deleted(results):
    replace_by_another(results / "views/a.png")
    told = measured(results)
    accepted = manifest_path(results / "views/cameras.json")
    assert f"changed the files on purpose, delete {accepted} instead" in told
    accepted.unlink()
    assert measured(results) == ""


def test_results_of_two_runs_do_not_mix(results, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    views(other, "another view")
    baseline(other)
    for name in ("renders", ".renders.sha256"):
        source, target = other / name, results / name
        shutil.rmtree(target, ignore_errors=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    told = measured(results)
    assert f"{results / 'renders'} was made from another " in told
    assert "cameras.json than the one that is there now" in told


def test_results_without_checksums_are_read_as_they_are(results):
    for path in results.rglob("*.sha256"):
        path.unlink()
    replace_by_another(results / "views/a.png")
    assert measured(results) == ""


def test_a_folder_of_results_may_be_moved_and_get_files_of_the_user(results):
    moved = results / "moved"
    moved.mkdir()
    for name in ("views", "renders", "splats.ply", ".renders.sha256", ".splats.ply.sha256"):
        shutil.move(results / name, moved / name)
    (moved / "renders" / ".snakemake_timestamp").touch()
    (moved / "views" / "notes.txt").write_text("mine")
    assert measured(moved) == ""


def test_coreutils_can_check_them(results):
    if shutil.which("sha256sum") is None:
        pytest.skip("there is no sha256sum")
    for output in ("views/cameras.json", "renders", "splats.ply"):
        path = manifest_path(results / output)
        command = ["sha256sum", "--check", "--strict", path.name]
        subprocess.run(command, cwd=path.parent, check=True, capture_output=True)
    line = (results / ".splats.ply.sha256").read_text().splitlines()[2]
    assert line == f"{hashlib.sha256(b'ply').hexdigest()}  splats.ply"


def test_a_stage_that_fails_leaves_no_checksums(tmp_path):
    views(tmp_path)
    outputs = {"cameras": {"views/cameras.json": "{}", "views": "a file where a folder is"}}
    with pytest.raises(SystemExit):
        run(tmp_path, "downscale_views", {}, outputs, index="cameras")
    assert not list(tmp_path.rglob("*.sha256"))
