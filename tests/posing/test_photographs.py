import struct

import cv2
import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.images import turn_upright
from headstyle.posing.photographs import (
    find_photographs,
    list_photographs,
    read_info,
    read_photograph,
    read_photograph_with_alpha,
    select_photographs,
)
from PIL import ExifTags, Image

WIDTH, HEIGHT = 96, 64


def pattern(width=WIDTH, height=HEIGHT):
    """An image without any symmetry."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack([x * 255 // width, y * 255 // height, (x + 2 * y) % 256]).astype(np.uint8)


def save(path, pixels=None, orientation=None, **details):
    """Save a photograph with EXIF orientation and further EXIF fields by their names."""
    exif = Image.Exif()
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    for name, value in details.items():
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[name]] = value
    Image.fromarray(pattern() if pixels is None else pixels).save(path, exif=exif)
    return path


def test_every_suffix_in_any_case_is_a_photograph_and_all_else_is_not(tmp_path):
    for name in ("b.JPG", "a.jpeg", "c.PNG", "d.tif", "e.TIFF", "f.webp"):
        save(tmp_path / name)
    save(tmp_path / ".hidden.jpg")
    (tmp_path / "a.xmp").write_text("sidecar")
    (tmp_path / "rig.tsv").write_text("view")
    (tmp_path / "truth.png").mkdir()
    assert list(list_photographs(tmp_path)) == ["a", "b", "c", "d", "e", "f"]
    assert list_photographs(tmp_path)["b"] == tmp_path / "b.JPG"


def test_a_missing_an_empty_and_a_lonely_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere is not a folder"):
        list_photographs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no photographs"):
        list_photographs(tmp_path)
    save(tmp_path / "one.jpg")
    with pytest.raises(InputError, match="only one photograph"):
        list_photographs(tmp_path)


def test_two_photographs_with_one_stem_are_both_named(tmp_path):
    save(tmp_path / "a.jpg"), save(tmp_path / "a.png"), save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"a\.png and a\.jpg have the same stem"):
        list_photographs(tmp_path)


@pytest.mark.parametrize(
    ("stem", "view"),
    [
        ("my head", "my_head"),
        ("-rf", "_rf"),
        ("na\u00efve", "na\u00efve"),
        ("nai\u0308ve", "na\u00efve"),  # As macOS writes it.
        ("DSC (1)", "DSC__1_"),
        ("{subject}", "_subject_"),
        ("a;b", "a_b"),
    ],
)
def test_a_view_is_called_after_its_photograph_by_what_is_safe_in_a_file_name(tmp_path, stem, view):
    save(tmp_path / "a.jpg"), save(tmp_path / f"{stem}.jpg")
    assert list_photographs(tmp_path)[view] == tmp_path / f"{stem}.jpg"


def test_names_that_would_coincide_are_numbered(tmp_path):
    save(tmp_path / "a b.jpg"), save(tmp_path / "a_b.jpg"), save(tmp_path / "a;b.jpg")
    names = {path.name: view for view, path in list_photographs(tmp_path).items()}
    assert names == {"a_b.jpg": "a_b", "a b.jpg": "a_b-2", "a;b.jpg": "a_b-3"}


def test_a_name_with_a_control_character_is_refused(tmp_path):
    save(tmp_path / "a.jpg"), save(tmp_path / "a\nb.jpg")
    with pytest.raises(InputError, match="rename it"):
        list_photographs(tmp_path)


def test_photographs_in_folders_are_views_by_their_path(tmp_path):
    for place in ("left/0001.jpg", "right/0001.jpg", "masks/0001.png", "images_4/0001.jpg"):
        (tmp_path / place).parent.mkdir()
        save(tmp_path / place)
    listing = find_photographs(tmp_path)
    assert listing.files == {
        "left_0001": tmp_path / "left/0001.jpg",
        "right_0001": tmp_path / "right/0001.jpg",
    }
    assert listing.left_out == ("1 in the folder images_4", "1 in the folder masks")
    save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg")
    listing = find_photographs(tmp_path)
    assert list(listing.files) == ["a", "b"]
    assert listing.left_out == ("1 in the folder left", "1 in the folder right")


def test_what_is_left_out_is_counted_with_the_reason(tmp_path):
    save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg")
    for name in ("a.CR2", "b.cr2", "c.mov", "d.psd", "._a.jpg", "a.xmp", "rig.tsv"):
        (tmp_path / name).touch()
    raw, video, other = find_photographs(tmp_path).left_out
    assert raw == "2 .cr2 (RAW: develop them to JPEG or TIFF)"
    assert video.startswith("1 .mov (video")
    assert other == "1 .psd"


def test_a_broken_link_is_named(tmp_path):
    save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "not_fetched")
    with pytest.raises(InputError, match=r"b\.jpg is a broken link"):
        list_photographs(tmp_path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_and_their_headers_are_upright(tmp_path, orientation):
    # Lossless, so that the expected pixels can be compared exactly.
    path = save(tmp_path / "a.png", orientation=orientation)
    operations = [None, 0, 3, 1, 5, 4, 6, 2]  # Pillow's transpositions, in the order of EXIF 1-8
    expected = Image.fromarray(pattern())
    if orientation > 1:
        expected = expected.transpose(Image.Transpose(operations[orientation - 1]))
    pixels, info = read_photograph(path), read_info(path)
    assert np.array_equal(pixels, np.asarray(expected))
    assert (info.width, info.height) == expected.size
    assert info.stored_size == (WIDTH, HEIGHT)
    assert np.array_equal(turn_upright(pattern(), orientation), np.asarray(expected))


def test_selection_goes_by_upright_orientation(tmp_path):
    save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg", orientation=6)
    save(tmp_path / "c.jpg"), save(tmp_path / "d.jpg", orientation=8)
    photographs = list_photographs(tmp_path)
    assert list(select_photographs(photographs, "landscape")) == ["a", "c"]
    assert list(select_photographs(photographs, "portrait")) == ["b", "d"]
    assert list(select_photographs(photographs, "any")) == ["a", "b", "c", "d"]


def test_a_selection_that_leaves_less_than_two_names_its_keys(tmp_path):
    save(tmp_path / "a.jpg"), save(tmp_path / "b.jpg", orientation=6)
    with pytest.raises(InputError, match=r"photographs\.orientation"):
        select_photographs(list_photographs(tmp_path), "portrait")


def test_focal_length_in_pixels_from_the_focal_plane(tmp_path):
    # 21 mm before a sensor of 22.7 mm = 5184 px at 5798.66 px/inch; the file is a smaller copy.
    path = save(
        tmp_path / "a.jpg",
        FocalLength=21.0,
        FocalPlaneXResolution=5798.657718,
        FocalPlaneResolutionUnit=2,
        ExifImageWidth=5184,
    )
    assert read_info(path).focal_px == pytest.approx(21 / 22.7073 * WIDTH, rel=1e-4)


def test_focal_length_in_pixels_from_the_35_mm_equivalent(tmp_path):
    path = save(tmp_path / "a.jpg", FocalLengthIn35mmFilm=43)
    diagonal = np.hypot(WIDTH, HEIGHT)
    assert read_info(path).focal_px == pytest.approx(43 / 43.27 * diagonal)


@pytest.mark.parametrize("details", [{}, {"FocalLength": 21.0}, {"FocalLengthIn35mmFilm": 0}])
def test_focal_length_is_unknown_where_exif_does_not_tell(tmp_path, details):
    assert read_info(save(tmp_path / "a.jpg", **details)).focal_px is None


def text_file(path):
    path.write_text("these are not pixels")


def truncated(path):
    save(path, np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def floating(path):
    cv2.imwrite(str(path), pattern()[..., 0].astype(np.float32) / 255)


def animated(path):
    frames = [Image.fromarray(np.full_like(pattern(), level)) for level in (0, 80, 160)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def tiny(path):
    save(path, pattern(8, 8))


def empty(path):
    path.touch()


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("a.jpg", text_file, "cannot be decoded"),
        ("a.jpg", truncated, "cannot be decoded"),
        ("a.png", truncated, "cannot be decoded"),
        ("a.tif", truncated, "cannot be decoded"),
        ("a.jpg", empty, "cannot be decoded"),
        ("a.tif", floating, "floating-point numbers"),
        ("a.webp", animated, "animated"),
        ("a.png", animated, "animated"),
        ("a.tif", animated, "several pages"),
        ("a.png", tiny, "only 8x8 px"),
    ],
)
def test_an_unusable_photograph_gets_one_sentence_that_names_it(tmp_path, name, write, reason):
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError) as caught:
        read_photograph(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert reason in message
    assert "\n" not in message
    assert "; " in message  # the next move


def test_a_missing_photograph_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jpg does not exist"):
        read_photograph(tmp_path / "gone.jpg")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_does_not_hide_the_photograph(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(pattern()).save(path, exif=b"Exif\0\0MM" + struct.pack(">HLH", 42, 8, 9))
    assert read_photograph(path).shape == (HEIGHT, WIDTH, 3)
    assert read_info(path).focal_px is None


def test_alpha_comes_with_the_photograph_where_it_tells_anything(tmp_path):
    alpha = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    path = save(tmp_path / "opaque.png", np.dstack([pattern(), alpha]))
    assert read_info(path).with_alpha
    assert read_photograph_with_alpha(path).shown_alpha is None
    alpha[:4] = 0
    path = save(tmp_path / "cut.png", np.dstack([pattern(), alpha]), orientation=6)
    found = read_photograph_with_alpha(path)
    np.testing.assert_array_equal(found.shown_alpha, turn_upright(alpha, 6))
    np.testing.assert_array_equal(found.rgb, turn_upright(pattern(), 6))
