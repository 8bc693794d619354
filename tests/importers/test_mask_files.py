"""The one reader of masks: what is foreground in every kind of mask that people bring."""

import cv2
import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.masks import (
    check_foreground,
    find_masks,
    looks_inverted,
    read_mask_file,
    read_masks,
)
from PIL import ExifTags, Image

SHAPE = (64, 48)


def truth() -> np.ndarray:
    """An ellipse off the center, 255 on 0."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.where(((x - 20) / 14) ** 2 + ((y - 30) / 21) ** 2 < 1, 255, 0).astype(np.uint8)


def colors() -> np.ndarray:
    """Colors as of a photograph."""
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def white(alpha: np.ndarray) -> np.ndarray:
    return np.dstack([np.full((*SHAPE, 3), 255, np.uint8), alpha])


def palette(*levels: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray((truth() > 0).astype(np.uint8), "P")
    image.putpalette([value for color in levels for value in color])
    return image


def labels_without_palette() -> Image.Image:
    image = Image.fromarray((truth() > 0).astype(np.uint8), "P")
    image.putpalette([0, 0, 0] * 256)
    return image


OPAQUE = np.full(SHAPE, 255, np.uint8)
KINDS = {
    "white on black": lambda: truth(),
    "opaque RGBA": lambda: np.dstack([truth()] * 3 + [OPAQUE]),
    "transparent RGBA": lambda: np.dstack([truth()] * 3 + [OPAQUE * 0]),
    "gray with opaque alpha": lambda: np.dstack([truth(), OPAQUE]),
    "alpha of white": lambda: white(truth()),
    "alpha of black": lambda: np.dstack([np.zeros((*SHAPE, 3), np.uint8), truth()]),
    "alpha of 0 and 1": lambda: white(truth() // 255),
    "the same in both": lambda: np.dstack([truth()] * 4),
    "cutout of a photograph": lambda: np.dstack([colors(), truth()]),
    "0 and 1": lambda: truth() // 255,
    "0 and 1 in RGB": lambda: np.dstack([truth() // 255] * 3),
    "0 and 7": lambda: truth() // 255 * 7,
    "0 and 128": lambda: truth() // 255 * 128,
    "black and white bits": lambda: Image.fromarray(truth() > 0),
    "red label": lambda: np.dstack([truth() // 2, truth() * 0, truth() * 0]),
    "palette of labels": lambda: palette((0, 0, 0), (128, 0, 0)),
    "palette in gray": lambda: palette((0, 0, 0), (255, 255, 255)),
    "palette of 0 and 1": lambda: palette((0, 0, 0), (1, 1, 1)),
    "palette left empty": labels_without_palette,
    "16 bits": lambda: truth().astype(np.uint16) * 257,
    "16 bits, 0 and 1": lambda: truth().astype(np.uint16) // 255,
}


@pytest.mark.parametrize("most", [1.0, 255.0])
def test_a_mask_of_floating_point_numbers_is_read(tmp_path, most):
    values = truth().astype(np.float32) / np.float32(255 / most)
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(read_mask_file(tmp_path / "a.tiff"), truth())


@pytest.mark.parametrize("kind", KINDS)
def test_the_foreground_is_found_in_every_kind_of_mask(tmp_path, kind):
    made = KINDS[kind]()
    made = made if isinstance(made, Image.Image) else Image.fromarray(made)
    made.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask_file(tmp_path / "a.png"), truth())


def test_soft_edges_stay(tmp_path):
    soft = cv2.GaussianBlur(truth(), (0, 0), 2)
    Image.fromarray(soft).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask_file(tmp_path / "a.png"), soft)
    Image.fromarray(np.dstack([soft] * 3)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_mask_file(tmp_path / "a.jpg").astype(int) - soft).max() < 12


def test_several_labels_of_a_palette_are_all_foreground(tmp_path):
    labels = (truth() > 0).astype(np.uint8)
    labels[30:] *= 2
    image = Image.fromarray(labels, "P")
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask_file(tmp_path / "a.png"), truth())


def test_a_mask_is_turned_by_its_own_exif(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(truth()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_mask_file(tmp_path / "a.png"), np.rot90(truth(), -1))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: np.dstack([truth()] * 3 + [truth()[:, ::-1]]), "another one in its alpha"),
        (colors, "colors as a photograph"),
        (lambda: np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.uint8) % 3, "labels"),
    ],
)
def test_a_mask_that_can_be_read_in_two_ways_is_named(tmp_path, made, said):
    Image.fromarray(made()).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"a\.png .*{said}.*; "):
        read_mask_file(tmp_path / "a.png")


def test_most_masks_that_show_the_background_are_told(tmp_path):
    whole, cut = np.full(SHAPE, 255, np.uint8), truth()
    cut[:, :20] = 255  # A head that the frame cuts.
    for name, mask in (("a", 255 - truth()), ("b", 255 - truth()), ("c", truth())):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    assert [looks_inverted(mask) for mask in (255 - truth(), truth(), whole, cut)] == [
        *(True, False, False, False),
    ]
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    with pytest.raises(InputError, match=r"2 of 3 masks, such as .*a\.png, .*write the head white"):
        read_masks(paths)
    assert len(read_masks(paths[1:])) == 2


def test_a_mask_without_foreground_is_named():
    with pytest.raises(InputError, match=r"a\.png has no foreground.*5 of 255; "):
        check_foreground(np.full(SHAPE, 5, np.uint8), "a.png")
    check_foreground(truth(), "a.png")


@pytest.mark.parametrize(
    "name",
    [
        *("{0}.png", "{0}_mask.png", "{0}-mask.png", "{0}.mask.png", "mask_{0}.png", "{0}.PNG"),
        *(
            "{0}.jpg.png",
            "{0}.JPG.png",
            "{0}.jpg.mask.png",
            "{0}_MASK.jpg",
            "{0}.tiff",
            "sub/{0}.png",
        ),
        *("{0}-removebg-preview.png", "{0}_seg.png", "{0}_fg.png", "{0}.out.png", "{0}_no_bg.png"),
    ],
)
def test_masks_are_found_by_the_names_that_programs_give(tmp_path, name):
    views = {f"IMG_000{i}": tmp_path / f"photos/IMG_000{i}.jpg" for i in range(2)}
    folder = tmp_path / "given"
    for view in views:
        path = folder / name.format(view)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(truth()).save(path)
    expected = {view: folder / name.format(view) for view in views}
    assert find_masks(folder, views) == expected


def test_a_mask_is_found_whose_word_stands_before_the_number(tmp_path):
    for i in range(2):
        Image.fromarray(truth()).save(tmp_path / f"frame_mask_000{i}.png")
    views = {f"frame_000{i}": f"photos/frame_000{i}.jpg" for i in range(2)}
    found = find_masks(tmp_path, views)
    assert found == {v: tmp_path / f"frame_mask_{v[-4:]}.png" for v in views}


def test_a_name_with_mask_goes_first_and_names_in_another_case_go_last(tmp_path):
    views = {"a": "photos/a.jpg", "b": "photos/B.jpg"}
    for name in ("a.png", "a_mask.png", "b.png"):
        Image.fromarray(truth()).save(tmp_path / name)
    found = find_masks(tmp_path, views)
    assert found == {"a": tmp_path / "a_mask.png", "b": tmp_path / "b.png"}


def test_masks_of_equally_named_views_are_told_apart_by_their_folders(tmp_path):
    views = {f"{side}_1": f"photos/{side}/1.jpg" for side in ("left", "right")}
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        Image.fromarray(truth()).save(tmp_path / side / "1.png")
    found = find_masks(tmp_path, views)
    assert found == {"left_1": tmp_path / "left/1.png", "right_1": tmp_path / "right/1.png"}
    (tmp_path / "right/1.png").unlink()
    assert list(find_masks(tmp_path, views)) == ["left_1"]
    (tmp_path / "left/1.png").rename(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png could be of photos/left/1\.jpg and of"):
        find_masks(tmp_path, views)
