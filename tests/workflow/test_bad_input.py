"""What a user sees at the end of a real Snakemake run on bad input: one sentence, no traceback."""

from pathlib import Path

import numpy as np
import pytest
from headstyle.base.files import read_json
from PIL import Image
from study import Study

pytestmark = pytest.mark.slow

SIZE = (96, 128)


def photograph(path: Path, seed: int) -> None:
    """Write a photograph of colored squares."""
    squares = np.random.default_rng(seed).integers(0, 255, (16, 12, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(squares).resize(SIZE).save(path)


def mask(path: Path, height: int = SIZE[1], value: int = 255) -> None:
    """Write a mask whose middle has `value`."""
    pixels = np.zeros((height, SIZE[0]), np.uint8)
    pixels[20:-20, 20:-20] = value
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def subjects(study: Study, *rows: tuple[str, str]) -> None:
    """Write a subjects table with rows of (subject, masks); photographs are `photos/{subject}`."""
    lines = [f"{name}\tphotographs\tphotos/{name}\t{masks}\n" for name, masks in rows]
    table = study.folder / "config" / "subjects.tsv"
    table.write_text("subject\tsource\tphotographs\tmasks\n" + "".join(lines))


def check_end(output: str, *said: str) -> None:
    """Check that an output has no traceback, and says what it should in one of its last lines."""
    assert "Traceback" not in output
    end = output.rstrip().splitlines()[-6:]
    assert any(all(words in line for words in said) for line in end), "\n".join(end)


def no_photograph(folder: Path) -> None:
    folder.mkdir(parents=True)


def one_photograph(folder: Path) -> None:
    photograph(folder / "a.jpg", 1)


def two_with_one_stem(folder: Path) -> None:
    photograph(folder / "a.jpg", 1)
    photograph(folder / "a.png", 2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_photograph, ("photos/head holds no photographs", "put two or more")),
        (one_photograph, ("photos/head holds only one photograph (a.jpg)", "put two or more")),
        (two_with_one_stem, ("photos/head/a.png and a.jpg", "rename or remove")),
    ],
)
def test_a_folder_that_is_no_capture_stops_before_any_job(study, make, said):
    broken = study(study={"subjects": ["head"]})
    subjects(broken, ("head", "none"))
    make(broken.folder / "photos" / "head")
    output = broken.snakemake(succeeds=False)
    check_end(output, "subject head", *said)
    assert output.rstrip().splitlines()[-1].startswith("Error: subject head")
    assert not (broken.folder / "results").exists()


@pytest.mark.parametrize("name", ["../x", "two words"])
def test_a_subject_that_cannot_name_a_folder_stops_before_any_job(study, name):
    broken = study(study={"subjects": None})
    subjects(broken, (name, "none"))
    check_end(
        broken.snakemake(succeeds=False),
        f"subjects.tsv, row 2: subject is {name!r}",
        "letters, digits and hyphens",
    )
    assert not (broken.folder / "results").exists()


BROKEN = {
    "truncated": ("photos/truncated/b.jpg cannot be decoded", "truncated", "replace it"),
    "text": ("photos/text/b.jpg cannot be decoded", "not an image", "replace it"),
    "float": ("photos/float/c.tif holds floating-point numbers", "save it as 8-bit RGB"),
    "pages": ("photos/pages/c.tif is animated or has several pages (2)", "save one frame"),
    "heic": ("photos/heic/c.heic cannot be decoded", "replace it"),
    "size": ("masks/size/b.png is 96x100 px", "96x128 px", "make the mask at"),
    "black": ("masks/black/b.png covers 0.00% of the frame", "replace it"),
}
"""What is said of each broken capture."""


def make_broken_captures(folder: Path) -> None:
    """Write two good photographs per capture of `BROKEN`, and what is wrong with it."""
    photos, masks = folder / "photos", folder / "masks"
    masks.mkdir()
    for name in BROKEN:
        photograph(photos / name / "a.jpg", 1)
        photograph(photos / name / "b.jpg", 2)
    truncated = photos / "truncated" / "b.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-400])
    (photos / "text" / "b.jpg").write_text("not a photograph\n")
    Image.fromarray(np.zeros(SIZE[::-1], np.float32)).save(photos / "float" / "c.tif")
    pages = [Image.new("RGB", SIZE, color) for color in ("red", "blue")]
    pages[0].save(photos / "pages" / "c.tif", save_all=True, append_images=pages[1:])
    (photos / "heic" / "c.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    for name, wrong in (("size", {"height": 100}), ("black", {"value": 0})):
        mask(masks / name / "a.png")
        mask(masks / name / "b.png", **wrong)


def test_broken_files_are_each_named_in_one_sentence_at_the_end_and_leave_nothing(study):
    broken = study(study={"subjects": None})
    make_broken_captures(broken.folder)
    given = {name: f"masks/{name}" for name in ("size", "black")}
    subjects(broken, *((name, given.get(name, "none")) for name in BROKEN))
    targets = [f"results/{name}/masks/masks.json" for name in BROKEN]
    output = broken.snakemake("--keep-going", *targets, succeeds=False)
    assert "Traceback" not in output
    summary = output.split("What stopped the run:")[1].splitlines()
    for name, said in BROKEN.items():
        lines = [line for line in summary if f"logs/{name}/mask_views.log" in line]
        assert len(lines) == 1
        assert all(words in lines[0] for words in said), lines[0]
        assert not (broken.folder / "results" / name).exists()


def test_a_single_broken_file_is_named_in_the_last_lines(study):
    broken = study(study={"subjects": ["head"]})
    subjects(broken, ("head", "none"))
    photograph(broken.folder / "photos/head/a.jpg", 1)
    (broken.folder / "photos/head/b.jpg").write_text("not a photograph\n")
    check_end(broken.snakemake(succeeds=False), "photos/head/b.jpg cannot be decoded", "replace it")


def test_photographs_without_overlap_stop_before_any_training(study):
    broken = study(study={"subjects": ["head"]})
    subjects(broken, ("head", "none"))
    for i in range(3):
        photograph(broken.folder / f"photos/head/{i}.jpg", i)
    output = broken.snakemake("results/head/views/cameras.json", succeeds=False)
    check_end(output, "no two of the 3 views can be matched", "overlap more")
    assert not (broken.folder / "results/head/poses/poses.json").exists()
    assert not (broken.folder / "results/head/poses/sparse").exists()


def test_names_of_photographs_may_hold_what_snakemake_takes_for_wildcards(study):
    named = study(study={"subjects": ["head"]})
    subjects(named, ("head", "none"))
    for i, name in enumerate(("a.jpg", "{subject} (1).jpg", "{x}.JPG")):
        photograph(named.folder / "photos/head" / name, i)
    named.snakemake("results/head/masks/masks.json")
    views = read_json(named.folder / "results/head/masks/masks.json")["views"]
    assert sorted(views) == ["_subject___1_", "_x_", "a"]


def test_a_prompt_may_hold_quotes_newlines_and_braces(study):
    text = 'say ""it\'s\n{odd} {{two}} $HOME `id` {wildcards.subject} <b> %s {0} \\n""'
    chosen = study(
        study={"subjects": ["A"], "prompts": ["recolor"]},
        editing={"control": {"operations": {"recolor": "identity"}}},
    )
    (chosen.folder / "config/control_prompts.tsv").write_text(f'prompt\ttext\nrecolor\t"{text}"\n')
    output = chosen.snakemake("-n", "results/A/avatars/recolor_low/run.json")
    assert "stylize_avatar" in output
