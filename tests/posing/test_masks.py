import json
import os
import shutil
import subprocess
import sys

import headstyle.posing.masks
import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.base.files import read_json
from headstyle.importers.images import turn_upright
from headstyle.posing.given_masks import (
    masks_follow_stored_pixels,
    read_given_mask,
)
from headstyle.posing.masks import (
    ChromaKey,
    Masker,
    chroma_key,
    coverage,
    largest_region,
    make_mask,
    mask_flags,
    matting_weights,
    read_mask,
)
from headstyle.posing.photographs import PhotographInfo
from own_process import SCRIPTS, run_stage
from PIL import ExifTags, Image

STUDY_KEY = ChromaKey(hue_deg=(58, 155), saturation_percent=(15, 100), value_percent=(40, 100))
SETTINGS = {
    "steps": ["chroma_key"],
    "matting_model": "u2net",
    "matting_weights": None,
    "chroma_key": {
        "hue_deg": [58, 155],
        "saturation_percent": [15, 100],
        "value_percent": [40, 100],
    },
    "min_coverage": 0.005,
}
GREEN, SKIN = (0, 177, 64), (224, 172, 140)


def swatch(rgb):
    return np.full((1, 1, 3), rgb, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "alpha"),
    [
        (GREEN, 0),
        ((0, 255, 0), 0),  # hue 120
        ((120, 255, 120), 0),  # saturation 53 %
        (SKIN, 255),
        ((255, 255, 255), 255),  # no saturation
        ((0, 90, 0), 255),  # value 35 %
        ((0, 110, 0), 0),  # value 43 %
        ((225, 255, 225), 255),  # saturation 12 %
        ((255, 255, 0), 0),  # hue 60
        ((255, 240, 0), 255),  # hue 56.5
        ((0, 255, 140), 0),  # hue 153
        ((0, 255, 160), 255),  # hue 158
        ((0, 0, 255), 255),
        ((0, 102, 0), 0),  # value exactly 40 %
    ],
)
def test_a_color_is_keyed_only_inside_all_three_intervals(rgb, alpha):
    assert chroma_key(swatch(rgb), STUDY_KEY)[0, 0] == alpha


def test_a_hue_interval_can_run_through_zero():
    red_screen = ChromaKey((340, 20), (15, 100), (40, 100))
    assert chroma_key(swatch((255, 0, 0)), red_screen)[0, 0] == 0
    assert chroma_key(swatch((255, 0, 60)), red_screen)[0, 0] == 0
    assert chroma_key(swatch((0, 255, 0)), red_screen)[0, 0] == 255


def test_each_step_only_removes_foreground():
    photograph = np.concatenate([swatch(GREEN), swatch(SKIN), swatch(SKIN)], axis=1)
    soft = np.array([[255, 255, 100]], dtype=np.uint8)
    both = make_mask(photograph, ["matting", "chroma_key"], STUDY_KEY, lambda _: soft)
    assert both.tolist() == [[0, 255, 100]]
    assert make_mask(photograph, ["chroma_key"], STUDY_KEY, None).tolist() == [[0, 255, 255]]
    assert make_mask(photograph, [], STUDY_KEY, None).tolist() == [[255, 255, 255]]


def test_the_largest_region_is_kept_with_its_soft_edge():
    mask = np.zeros((100, 200), dtype=np.uint8)
    mask[20:80, 20:80] = 255
    mask[20:80, 80:82] = 100  # Its soft edge.
    mask[20:80, 82:90] = 20  # Too far from it.
    mask[40:60, 120:150] = 255  # Another thing.
    mask[40:60, 118:120] = 100
    mask[80:90, 80:90] = 255  # Touches it by a corner only.
    expected = mask.copy()
    expected[:, 82:] = 0
    expected[80:90, 80:90] = 0
    np.testing.assert_array_equal(largest_region(mask), expected)
    photograph = np.full((100, 200, 3), SKIN, dtype=np.uint8)
    steps = ["matting", "largest_region"]
    made = make_mask(photograph, steps, STUDY_KEY, lambda _: mask)
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_a_mask_of_one_region_stays(alpha):
    mask = np.full((10, 20), alpha, dtype=np.uint8)
    mask[:, 15:] = 30
    np.testing.assert_array_equal(largest_region(mask), mask)


def given_mask(path, height=6, width=4):
    pixels = np.random.default_rng(3).integers(0, 256, (height, width), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_given_mask_fits_upright_or_as_stored(tmp_path, orientation):
    upright_photograph = PhotographInfo(6, 4, orientation, None)
    stored = given_mask(tmp_path / "stored.png", height=6, width=4)
    upright = given_mask(tmp_path / "upright.png", height=4, width=6)
    turned = read_given_mask(tmp_path / "stored.png", upright_photograph)
    assert np.array_equal(turned, turn_upright(stored, orientation))
    assert np.array_equal(read_given_mask(tmp_path / "upright.png", upright_photograph), upright)


def test_where_both_orientations_fit_the_other_masks_decide(tmp_path):
    upside_down = PhotographInfo(4, 6, 3, None)
    pixels = given_mask(tmp_path / "a.png")
    assert np.array_equal(read_given_mask(tmp_path / "a.png", upside_down), pixels)
    turned = read_given_mask(tmp_path / "a.png", upside_down, stored=True)
    assert np.array_equal(turned, pixels[::-1, ::-1])
    given_mask(tmp_path / "b.png")
    masks = {"a": tmp_path / "a.png", "b": tmp_path / "b.png"}
    telling, silent = PhotographInfo(6, 4, 6, None), PhotographInfo(4, 6, 1, None)
    assert masks_follow_stored_pixels(masks, {"a": upside_down, "b": telling})
    assert not masks_follow_stored_pixels(masks, {"a": upside_down, "b": silent})


def test_a_given_mask_of_another_size_is_named(tmp_path):
    given_mask(tmp_path / "a.png", 5, 4)
    with pytest.raises(InputError, match=r"a\.png is 4x5 px but its photograph is 4x6 px"):
        read_given_mask(tmp_path / "a.png", PhotographInfo(4, 6, 1, None))


@pytest.mark.parametrize("size", [(120, 180), (60, 90), (41, 61), (43, 65)])
def test_a_given_mask_of_another_scale_is_brought_to_the_photograph(tmp_path, size):
    Image.new("L", (200, 300), 0).save(tmp_path / "a.png")
    half = np.zeros((300, 200), np.uint8)
    half[:, 100:] = 255
    Image.fromarray(half).resize(size).save(tmp_path / "a.png")
    Image.fromarray(half.T).resize(size[::-1]).save(tmp_path / "stored.png")
    for name, orientation in (("a", 1), ("stored", 5)):
        info = PhotographInfo(200, 300, orientation, None)
        mask = read_given_mask(tmp_path / f"{name}.png", info)
        assert mask.shape == half.shape
        assert (mask.astype(int) - half)[:, np.abs(np.arange(200) - 99.5) > 10].any() == 0


def test_masks_that_show_the_background_are_told_before_the_cameras_are_sought(tmp_path):
    folder, given = photograph_folder(tmp_path), tmp_path / "given"
    given.mkdir()
    head = np.zeros((96, 64), np.uint8)
    head[20:, 12:52] = 255
    Image.fromarray(head).save(given / "a.png")
    Image.fromarray(head).save(given / "b.png")
    mask_stage(tmp_path, folder, given=str(given))
    assert "inverted" not in str(read_json(tmp_path / "masks" / "masks.json"))
    for view in ("a", "b"):
        Image.fromarray(255 - head).save(given / f"{view}.png")
    log = mask_stage(tmp_path, folder, given=str(given), succeeds=False)
    assert "2 of 2 masks, such as" in log.splitlines()[-1]
    assert "write the head white and the rest black" in log.splitlines()[-1]


def test_a_given_mask_that_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_text("not pixels")
    with pytest.raises(InputError, match=r"a\.png cannot be read as a mask"):
        read_given_mask(tmp_path / "a.png", PhotographInfo(4, 6, 1, None))


def test_the_alpha_of_a_given_cutout_is_its_mask(tmp_path):
    pixels = np.full((6, 4, 4), 200, dtype=np.uint8)
    pixels[..., 3] = np.arange(24).reshape(6, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    mask = read_given_mask(tmp_path / "a.png", PhotographInfo(4, 6, 1, None))
    assert np.array_equal(mask, pixels[..., 3])


def test_flags_tell_what_is_unusual():
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[30:, 30:70] = 255
    assert mask_flags(mask) == []  # a bust ends at the lower border
    mask[30:60, 30:] = 255
    mask[:40, 40:50] = 255
    assert mask_flags(mask) == ["touches the right border", "touches the top border"]
    assert "covers nearly the whole frame" in mask_flags(np.full_like(mask, 255))
    assert mask_flags(np.zeros_like(mask)) == ["covers little of the frame"]
    assert coverage(np.array([[0, 255], [51, 102]])) == pytest.approx(0.4)


def photograph_folder(tmp_path, orientation=None):
    """Two photographs with a skin-colored block before a green screen."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    pixels = np.full((96, 64, 3), GREEN, dtype=np.uint8)
    pixels[24:, 16:48] = SKIN
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    for view in ("a", "b"):
        Image.fromarray(pixels).save(folder / f"{view}.png", exif=exif)
    return folder


def mask_stage(tmp_path, folder, given="", settings=SETTINGS, succeeds=True, go_on=None, poses=""):
    return run_stage(
        "mask_views",
        {"photographs": [], "made": []},
        {"masks": tmp_path / "masks" / "masks.json"},
        {
            "photographs": folder,
            "orientation": "any",
            "go_on": go_on,
            "min_views": 2,
            "given_masks": given,
            "given_poses": poses,
            "masks": settings,
        },
        tmp_path,
        succeeds=succeeds,
    )


def test_masks_come_with_the_frames_of_given_poses(tmp_path):
    folder = photograph_folder(tmp_path)
    frames = []
    for view in ("a", "b"):
        with Image.open(folder / f"{view}.png") as photograph:
            mask = Image.new("L", photograph.size)
        mask.paste(255, (10, 20, 30, 60))
        mask.save(tmp_path / f"{view}_of_it.png")
        frames.append({"file_path": f"{view}.png", "mask_path": f"{view}_of_it.png"})
    poses = tmp_path / "transforms.json"
    poses.write_text(json.dumps({"frames": frames}))
    shutil.copyfile(folder / "a.png", folder / "frameless.png")
    log = mask_stage(tmp_path, folder, poses=str(poses))
    assert f"the masks are those that {poses} names" in log
    made = read_json(tmp_path / "masks" / "masks.json")
    assert made["steps"] == ["given"]
    assert list(made["views"]) == ["a", "b"]
    assert list(made["left_out"]) == ["frameless"]
    foreground = np.argwhere(read_mask(tmp_path / "masks" / "a.png") == 255)
    assert foreground.min(axis=0).tolist() == [20, 10]
    assert foreground.max(axis=0).tolist() == [59, 29]


def test_what_cannot_be_used_is_left_out_where_enough_is_left(tmp_path):
    folder = photograph_folder(tmp_path)
    whole = (folder / "a.png").read_bytes()
    (folder / "header.png").write_bytes(b"no image")
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (64, 96), GREEN).save(folder / "empty.png")
    log = mask_stage(tmp_path, folder, succeeds=False)
    assert "header.png" in log.splitlines()[-1]
    assert "Traceback" not in log
    log = mask_stage(tmp_path, folder, go_on=0.4)
    content = read_json(tmp_path / "masks" / "masks.json")
    assert list(content["views"]) == ["a", "b"]
    assert sorted(content["left_out"]) == ["empty", "header", "truncated"]
    assert "covers 0.00% of the frame" in content["left_out"]["empty"]
    assert "truncated is left out" in log
    mask_stage(tmp_path, folder, go_on=0.5, succeeds=False)


def test_the_stage_writes_masks_and_says_how_they_were_made(tmp_path):
    folder = photograph_folder(tmp_path)
    mask_stage(tmp_path, folder)
    content = read_json(tmp_path / "masks" / "masks.json")
    assert content["steps"] == ["chroma_key"]
    assert content["views"]["a"] == {
        "photograph": str(folder / "a.png"),
        "width": 64,
        "height": 96,
        "coverage": 0.375,
        "flags": [],
    }
    with Image.open(tmp_path / "masks" / "b.png") as image:
        assert image.mode == "L"
        mask = np.asarray(image)
    assert mask[24:, 16:48].min() == 255
    assert mask.sum() == 72 * 32 * 255


def test_no_masks_keep_the_whole_photographs(tmp_path):
    mask_stage(tmp_path, photograph_folder(tmp_path, orientation=6), given="none")
    content = read_json(tmp_path / "masks" / "masks.json")
    assert content["steps"] == []
    assert content["views"]["a"]["coverage"] == 1
    assert (content["views"]["a"]["width"], content["views"]["a"]["height"]) == (96, 64)


def test_an_all_black_mask_stops_the_stage_and_leaves_nothing(tmp_path):
    folder = photograph_folder(tmp_path)
    (tmp_path / "given").mkdir()
    for view, level in (("a", 255), ("b", 0)):
        Image.new("L", (64, 96), level).save(tmp_path / "given" / f"{view}_mask.png")
    log = mask_stage(tmp_path, folder, given=str(tmp_path / "given"), succeeds=False)
    assert "given/b_mask.png covers 0.00% of the frame" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert not (tmp_path / "masks").exists()


def test_a_photograph_without_a_given_mask_is_named_or_left_out_where_enough_is_left(tmp_path):
    folder, given = photograph_folder(tmp_path), tmp_path / "given"
    given.mkdir()
    shutil.copyfile(folder / "b.png", folder / "c.png")
    for view in ("a", "b"):
        Image.new("L", (64, 96), 255).save(given / f"{view}.png")
    log = mask_stage(tmp_path, folder, given=str(given), succeeds=False)
    assert "given has no mask for view c; add c_mask.png or c.png" in log.splitlines()[-1]
    mask_stage(tmp_path, folder, given=str(given), go_on=0.6)
    content = read_json(tmp_path / "masks" / "masks.json")
    assert list(content["views"]) == ["a", "b"]
    assert "has no mask for view c" in content["left_out"]["c"]
    mask_stage(tmp_path, folder, given=str(given), go_on=0.7, succeeds=False)


def test_a_broken_photograph_is_found_even_where_its_mask_is_given(tmp_path):
    folder = photograph_folder(tmp_path)
    whole = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    log = mask_stage(tmp_path, folder, given="none", succeeds=False)
    assert "photographs/b.png cannot be decoded" in log


def cut_out(folder):
    """Make the second photograph a cut-out: its alpha keeps the block's upper half."""
    with Image.open(folder / "b.png") as image:
        pixels = np.array(image.convert("RGB"))
    alpha = np.zeros(pixels.shape[:2], dtype=np.uint8)
    alpha[24:60, 16:48] = 255
    Image.fromarray(np.dstack([pixels, alpha])).save(folder / "b.png")
    return alpha


def test_the_alpha_of_a_photograph_is_its_mask(tmp_path):
    folder = photograph_folder(tmp_path)
    alpha = cut_out(folder)
    mask_stage(tmp_path, folder)
    assert read_json(tmp_path / "masks" / "masks.json")["steps"] == ["alpha", "chroma_key"]
    with Image.open(tmp_path / "masks" / "b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), alpha)
    with Image.open(tmp_path / "masks" / "a.png") as image:
        assert np.asarray(image).sum() == 72 * 32 * 255


@pytest.mark.parametrize(("given", "columns"), [("none", 32), ("half", 16)])
def test_what_is_transparent_is_no_foreground_whatever_masks_are_given(tmp_path, given, columns):
    folder = photograph_folder(tmp_path)
    cut_out(folder)
    (tmp_path / "half").mkdir()
    half = np.zeros((96, 64), dtype=np.uint8)
    half[:, :32] = 255
    for view in ("a", "b"):
        Image.fromarray(half).save(tmp_path / "half" / f"{view}.png")
    given = str(tmp_path / given) if given == "half" else given
    masker = Masker({v: folder / f"{v}.png" for v in ("a", "b")}, given, SETTINGS)
    assert coverage(masker.mask("b")[0]) == pytest.approx(36 * columns / (96 * 64))


def test_a_given_mask_without_foreground_is_named_even_where_the_bar_is_zero(tmp_path):
    folder = photograph_folder(tmp_path)
    (tmp_path / "given").mkdir()
    for view in ("a", "b"):
        Image.new("L", (64, 96), 0).save(tmp_path / "given" / f"{view}.png")
    photographs = {view: folder / f"{view}.png" for view in ("a", "b")}
    masker = Masker(photographs, str(tmp_path / "given"), SETTINGS | {"min_coverage": 0})
    with pytest.raises(InputError, match=r"given/a\.png has no foreground"):
        masker.mask("a")


def test_missing_matting_weights_are_named_with_the_key(tmp_path):
    with pytest.raises(InputError, match=r"masks\.matting_weights: .*own\.onnx does not exist"):
        matting_weights("u2net_custom", str(tmp_path / "own.onnx"))


def rembg_absent():
    try:
        import rembg  # noqa: F401
    except ImportError:
        return True
    return False


@pytest.mark.skipif(rembg_absent(), reason="needs rembg")
class TestMatting:
    """Everything that loads rembg."""

    @pytest.fixture(autouse=True)
    def no_models(self, tmp_path, monkeypatch):
        monkeypatch.setenv("REMBG_HOME", str(tmp_path / "rembg"))
        monkeypatch.setenv("U2NET_HOME", "")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def test_without_a_network_a_missing_model_is_named_with_its_place(self, monkeypatch):
        monkeypatch.setattr(headstyle.posing.masks, "_reachable", lambda url: False)
        with pytest.raises(InputError, match=r"models/u2net/u2net\.onnx.*copy the file there"):
            matting_weights("u2net", None)

    def test_a_model_that_lies_there_is_found(self, tmp_path):
        path = tmp_path / "rembg" / "models" / "u2net" / "u2net.onnx"
        path.parent.mkdir(parents=True)
        path.touch()
        assert matting_weights("u2net", None) == path

    def test_an_unknown_model_is_answered_with_the_known_ones(self):
        with pytest.raises(InputError, match=r"masks\.matting_model: 'u3net' is unknown.*u2netp"):
            matting_weights("u3net", None)

    def test_a_custom_model_needs_its_file(self):
        with pytest.raises(InputError, match=r"give it as masks\.matting_weights"):
            matting_weights("u2net_custom", None)

    def test_a_file_that_is_no_model_is_named(self, tmp_path):
        (tmp_path / "own.onnx").write_text("not a network")
        with pytest.raises(InputError, match=r"own\.onnx cannot be loaded"):
            headstyle.posing.masks.load_matting("u2net_custom", str(tmp_path / "own.onnx"), 1)

    def test_a_local_network_mattes_the_photograph(self, tmp_path):
        identity_network(tmp_path / "own.onnx")
        matting = headstyle.posing.masks.load_matting("u2net_custom", str(tmp_path / "own.onnx"), 1)
        photograph = np.zeros((96, 64, 3), dtype=np.uint8)
        photograph[:, 32:] = 255
        mask = matting(photograph)
        assert mask.shape == (96, 64)
        assert mask[:, :28].max() < 10
        assert mask[:, 36:].min() > 245


def field(number, value):
    """One field of a protobuf message: an integer, text, or a message."""
    if isinstance(value, int):
        return bytes([number << 3]) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def varint(value):
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def identity_network(path):
    """An ONNX file whose output is its input (1, 3, 320, 320); rembg takes the first channel."""
    dimensions = b"".join(field(1, field(1, size)) for size in (1, 3, 320, 320))
    tensor = field(2, field(1, field(1, 1) + field(2, dimensions)))
    node = field(1, "image") + field(2, "mask") + field(4, "Identity")
    graph = field(1, node) + field(2, "identity")
    graph += field(11, field(1, "image") + tensor) + field(12, field(1, "mask") + tensor)
    opset = field(1, "") + field(2, 13)
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, opset))


def test_rembg_is_not_loaded_where_nothing_is_matted(tmp_path):
    folder = photograph_folder(tmp_path)
    code = (
        "import sys; from pathlib import Path; from headstyle.posing.masks import Masker;"
        f" Masker({{'a': Path({str(folder / 'a.png')!r})}}, '', {SETTINGS!r}).mask('a');"
        " sys.exit('rembg' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
