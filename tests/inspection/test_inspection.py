"""`headstyle inspect`: what it says of photographs, cameras, splats and results."""

import numpy as np
import pytest
import torch
from ball import write_ball
from fake_results import write_fake_results
from films import picture, write_video
from foreign_folder import write_scene
from headstyle.base.errors import InputError
from headstyle.base.files import read_json, write_json
from headstyle.commands.main import main
from headstyle.importers.cameras import camera_formats, find_cameras
from headstyle.importers.lenses import Lens
from headstyle.inspection.look import inspect_path
from headstyle.rendering.splat_files import write_splats
from PIL import Image
from splat_reference import make_scene


def said(found, what: str) -> str:
    return "; ".join(words for key, words in found.lines if key == what)


@pytest.fixture
def photographs(tmp_path):
    """Three portrait photographs, a landscape one, a broken one, a film, and masks of two."""
    folder = tmp_path / "my head" / "images"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (90, 60, 3), dtype=np.uint8)
    for name in ("a.jpg", "b.jpg", "c.JPG"):
        Image.fromarray(noise).save(folder / name)
    Image.fromarray(noise.transpose(1, 0, 2)).save(folder / "d.png")
    (folder / "e.jpg").write_bytes(b"no image")
    (folder / "raw.nef").write_bytes(b"")
    masks = folder.parent / "masks"
    masks.mkdir()
    for name in ("a", "b"):
        Image.fromarray(noise[..., 0]).save(masks / f"{name}.png")
    return folder


def test_photographs_are_counted_by_size_and_what_is_wrong_is_named(photographs):
    found = inspect_path(photographs)
    assert found.title.endswith("images: 5 photographs")
    assert said(found, "sizes") == "3 of 60x90 px, 1 of 90x60 px"
    assert said(found, "orientation") == "3 portrait, 1 landscape"
    assert "e.jpg cannot be decoded" in said(found, "cannot be read")
    assert "1 .nef (RAW" in said(found, "left out")
    assert said(found, "masks").startswith("2 of 4 views have one in ")
    assert said(found, "without mask") == "c, d"


def test_masks_among_photographs_and_cameras_that_cannot_be_read_are_told(tmp_path):
    for name in ("a.png", "b.png", "a_mask.png", "b_mask.png"):
        Image.new("L", (60, 90), 9).save(tmp_path / name)
    (tmp_path / "transforms.json").write_text('{"frames": [{}]}')
    found = inspect_path(tmp_path)
    assert found.title.endswith(": 2 photographs")
    assert said(found, "masks") == f"2 of 2 views have one in {tmp_path}"
    assert found.subject["masks"] == str(tmp_path)
    assert "frame 0 has no file_path" in said(found, "cameras")


def test_copies_and_folders_of_photographs_are_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (4, 90, 60, 3), dtype=np.uint8)
    for place, kept in (("anna", 2), ("ben", 4)):
        (tmp_path / place).mkdir()
        for i in range(kept):
            Image.fromarray(noise[i]).save(tmp_path / place / f"{i}.png")
    found = inspect_path(tmp_path)
    assert said(found, "folders") == "2 in anna, 4 in ben"
    assert said(found, "copies") == "ben/0.png of anna/0.png; ben/1.png of anna/1.png"
    (tmp_path / "head.zip").touch()
    with pytest.raises(InputError, match=r"head\.zip is an archive; unpack it"):
        inspect_path(tmp_path / "head.zip")


def test_the_row_of_the_subjects_table_names_what_was_found(photographs, tmp_path, capsys):
    assert main(["inspect", str(photographs), "--out", str(tmp_path / "out")]) == 0
    assert "60x90 px" in capsys.readouterr().out
    head, row = (tmp_path / "out" / "subjects.tsv").read_text().splitlines()
    cells = dict(zip(head.split("\t"), row.split("\t"), strict=True))
    assert cells["subject"] == "my-head"
    assert cells["source"] == "photographs"
    assert cells["photographs"] == str(photographs)
    assert cells["masks"] == str(photographs.parent / "masks")
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_cameras_are_told_with_their_convention_scale_overlap_and_missing_images(tmp_path):
    scene = write_scene(tmp_path / "scene")
    (tmp_path / "scene" / "renders").rename(tmp_path / "scene" / "images")
    content = scene.cameras.read_text().replace('"file_path": "', '"file_path": "images/')
    scene.cameras.write_text(content)
    next((tmp_path / "scene" / "images").glob("*.png")).unlink()
    path = tmp_path / "scene" / "transforms.json"
    content = read_json(path)
    for frame, mask in zip(content["frames"], ("transforms.json", "none.png"), strict=False):
        frame["mask_path"] = mask
    write_json(path, content)
    found = inspect_path(tmp_path / "scene")
    assert "transforms.json" in found.title
    assert said(found, "convention").startswith("OpenGL")
    assert said(found, "lenses") == "5 PINHOLE 72x96 px"
    assert said(found, "images").startswith("1 of 5 are missing: images/")
    assert said(found, "with them") == "2 masks (1 missing: none.png)"
    # The rig of the tests stands 2.6 units before the sphere.
    assert said(found, "scale").startswith("2.6 to 2.6 units")
    assert "in 1 group;" in said(found, "overlap")
    assert said(found, "depth").startswith("5 .npy in ")
    assert found.subject["poses"] == str(tmp_path / "scene")
    assert found.subject["photographs"] == str(tmp_path / "scene" / "images")


def test_distorted_lenses_of_every_format_that_holds_them_are_counted(tmp_path):
    scene = write_scene(tmp_path / "scene")
    kind, place = find_cameras(scene.cameras)
    poses = kind.read(place, dict.fromkeys(kind.names(place), (72, 96)))
    bent = {}
    for name, pose in poses.items():
        params = (*pose.lens.params, 0.1, 0.0, 0.0, 0.0)
        bent[name] = type(pose)(Lens("OPENCV", 72, 96, params), pose.world_to_camera)
    seen = 0
    for index, known in enumerate(camera_formats()):
        folder = tmp_path / f"cameras{index}"
        folder.mkdir()
        name = {"colmap": "", "metashape": "cameras.xml"}.get(
            type(known).__module__.rpartition(".")[2], "transforms.json"
        )
        try:
            known.write(folder / name, bent)
            find_cameras(folder / name)
        except InputError:
            continue  # A format of pinholes, or one with another name.
        assert said(inspect_path(folder / name), "distortion").startswith("5 of 5 views")
        seen += 1
    assert seen >= 2


def test_splats_are_told_and_drawn(tmp_path):
    write_splats(tmp_path / "a.spz", torch.nn.ParameterDict(make_scene(60, 2)))
    assert main(["inspect", str(tmp_path / "a.spz"), "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "findings.txt").read_text()
    assert "60 splats" in text
    assert "degree 2" in text
    with Image.open(tmp_path / "out" / "splats.png") as drawn:
        assert min(drawn.size) > 300


def test_results_are_told_by_subject_and_a_subject_by_its_cameras_and_splats(tmp_path):
    write_fake_results(tmp_path / "results")
    found = inspect_path(tmp_path / "results")
    assert found.title.endswith("results of 2 subjects")
    assert said(found, "A").startswith("6 views, 6 of 64x96 px")
    assert "avatars.csv" in said(found, "tables")
    assert len(found.pictures) == 6
    write_ball(tmp_path / "B" / "views")
    alone = inspect_path(tmp_path / "B")
    assert "cameras of 4 views" in alone.title
    assert not alone.subject


def test_a_video_is_told_with_its_upright_size_and_length(tmp_path):
    write_video(tmp_path / "head.mp4", [picture(step) for step in range(20)], quarter_turns=1)
    for path in (tmp_path / "head.mp4", tmp_path):
        found = inspect_path(path)
        assert found.title.endswith("head.mp4: a video")
        assert said(found, "size") == "96x128 px, upright"
        assert said(found, "length") == "2.0 s at 10 frames a second"
        assert found.subject["photographs"] == str(path)


def test_bad_input_is_one_sentence(tmp_path, capsys):
    for path, words in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "holds no photographs"),
        (tmp_path / "a.txt", "is in no format of cameras that is known"),
        (tmp_path / "a.png", "is one image; name the folder"),
    ):
        if path.suffix:
            path.write_text("hello")
        assert main(["inspect", str(path), "--out", str(tmp_path / "out")]) == 1
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1
        if path.suffix:
            path.unlink()
    assert not (tmp_path / "out").exists()
