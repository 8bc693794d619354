"""The one reader of images: every kind that people bring comes out as upright 8-bit sRGB."""

import io
import struct
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
from headstyle.base.errors import InputError
from headstyle.importers.images import read_picture, turn_upright
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

WIDTH, HEIGHT = 96, 64


def pattern() -> np.ndarray:
    """Smooth colors without any symmetry. Shape `(HEIGHT, WIDTH, 3)`."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.dstack([x * 255 // WIDTH, y * 255 // HEIGHT, 40 + x + y]).astype(np.uint8)


def assert_reads(path, expected, tolerance=0) -> None:
    found = read_picture(path).rgb
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_become_8(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), pattern()[..., ::-1].astype(np.uint16) * 257)
    assert_reads(path, pattern())
    gray = pattern()[..., 0]
    cv2.imwrite(str(path), gray.astype(np.uint16) * 257)
    assert_reads(path, np.dstack([gray] * 3))


def test_gray_palette_and_black_and_white_become_rgb(tmp_path):
    gray = pattern()[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.jpg", quality=100)
    assert_reads(tmp_path / "gray.jpg", np.dstack([gray] * 3), tolerance=2)
    palette = Image.fromarray(pattern()).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert_reads(tmp_path / "palette.png", np.asarray(palette.convert("RGB")))
    Image.fromarray(gray > 100).save(tmp_path / "bits.png")
    assert_reads(tmp_path / "bits.png", np.dstack([np.where(gray > 100, 255, 0)] * 3))


def test_cmyk_becomes_rgb(tmp_path):
    Image.fromarray(pattern()).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    assert_reads(tmp_path / "a.jpg", pattern(), tolerance=6)


def test_transparency_of_every_kind_is_alpha(tmp_path):
    alpha = pattern()[..., 1]
    Image.fromarray(np.dstack([pattern(), alpha])).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "rgba.png").alpha, alpha)
    Image.fromarray(np.dstack([pattern()[..., 0], alpha])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "la.png").alpha, alpha)
    color = tuple(int(c) for c in pattern()[3, 5])
    Image.fromarray(pattern()).save(tmp_path / "color.png", transparency=color)
    found = read_picture(tmp_path / "color.png").shown_alpha
    np.testing.assert_array_equal(found == 0, (pattern() == color).all(axis=2))
    Image.fromarray(pattern()).save(tmp_path / "rgb.png")
    assert read_picture(tmp_path / "rgb.png").alpha is None
    assert (read_picture(tmp_path / "rgb.png").rgba()[..., 3] == 1).all()


@pytest.mark.parametrize("name", ["a.heic", "called.jpg"])
def test_heic_is_read_upright_once_whatever_it_is_called(tmp_path, name):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    pillow_heif.register_heif_opener()
    Image.fromarray(pattern()).save(
        tmp_path / name, format="HEIF", quality=100, chroma=444, exif=exif
    )
    with Image.open(tmp_path / name) as image:
        by_pillow_heif = np.asarray(image.convert("RGB"))
    assert_reads(tmp_path / name, by_pillow_heif)


def test_the_first_image_of_an_mpo_is_the_photograph(tmp_path):
    first, preview = (Image.fromarray(pixels) for pixels in (pattern(), 255 - pattern()))
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[preview], quality=100)
    assert_reads(tmp_path / "a.mpo", pattern(), tolerance=12)


def test_a_tiff_may_hold_smaller_copies_but_no_further_pages(tmp_path):
    smaller = Image.fromarray(pattern()).resize((WIDTH // 2, HEIGHT // 2))
    smaller.encoderinfo = {"tiffinfo": ImageFileDirectory_v2()}
    smaller.encoderinfo["tiffinfo"][254] = 1
    Image.fromarray(pattern()).save(
        tmp_path / "pyramid.tif", save_all=True, append_images=[smaller]
    )
    assert_reads(tmp_path / "pyramid.tif", pattern())
    pages = [Image.fromarray(pattern()), Image.fromarray(255 - pattern())]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"pages\.tif is animated or has several pages \(2\); "):
        read_picture(tmp_path / "pages.tif")


def matrix_profile(primaries: list[tuple[float, float]], gamma: float) -> bytes:
    """An ICC profile of an RGB space of D65 by its primaries (x, y) and a power curve."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    columns = xyz * np.linalg.solve(xyz, white)
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    d50 = np.array([0.9642, 1.0, 0.8249])
    gains = np.diag((bradford @ d50) / (bradford @ white))
    columns = np.linalg.inv(bradford) @ gains @ bradford @ columns

    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"wide\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0\0\0\0",
        b"wtpt": b"XYZ " + bytes(4) + fixed(d50),
    }
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True):
        tags[name] = b"XYZ " + bytes(4) + fixed(column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"para" + bytes(8) + fixed([gamma])
    place, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        index += name + struct.pack(">II", place + len(body), len(content))
        body += content
    header = struct.pack(
        ">I4sI4s4s4s", place + len(body), b"", 0x04200000, b"mntr", b"RGB ", b"XYZ "
    )
    header += bytes(12) + b"acsp" + bytes(28) + fixed(d50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
SRGB = [(0.640, 0.330), (0.300, 0.600), (0.150, 0.060)]


def to_linear(values):
    values = np.asarray(values) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def rgb_to_xyz(primaries) -> np.ndarray:
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    return xyz * np.linalg.solve(xyz, [0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "heic", "webp"])
def test_wide_gamut_is_brought_to_srgb_by_its_profile(tmp_path, suffix):
    srgb = np.array([200, 60, 50])
    linear = np.linalg.solve(rgb_to_xyz(P3), rgb_to_xyz(SRGB) @ to_linear(srgb))
    stored = np.rint(255 * linear ** (1 / 2.2)).astype(np.uint8)
    pillow_heif.register_heif_opener()
    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(np.tile(stored, (HEIGHT, WIDTH, 1)))
    image.save(path, icc_profile=matrix_profile(P3, 2.2), quality=100)
    assert np.abs(stored.astype(int) - srgb).max() > 8
    assert_reads(path, srgb, tolerance=3)


def test_profiles_of_deep_gray_and_transparent_images_count(tmp_path):
    profile = matrix_profile(P3, 1.0)
    level = np.full((HEIGHT, WIDTH), 55, np.uint8)
    # 55 / 255 of the light is 128 in sRGB.
    Image.fromarray(np.dstack([level] * 3 + [level + 100])).save(
        tmp_path / "rgba.png", icc_profile=profile
    )
    assert_reads(tmp_path / "rgba.png", 128, tolerance=1)
    assert (read_picture(tmp_path / "rgba.png").alpha == 155).all()
    Image.fromarray(np.dstack([level] * 3)).quantize(4).save(
        tmp_path / "palette.png", icc_profile=profile
    )
    assert_reads(tmp_path / "palette.png", 128, tolerance=1)


def test_an_srgb_profile_changes_no_pixel(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pattern()).save(tmp_path / "a.png", icc_profile=profile)
    assert_reads(tmp_path / "a.png", pattern())


def test_a_broken_profile_does_not_hide_the_image(tmp_path):
    Image.fromarray(pattern()).save(tmp_path / "a.png", icc_profile=b"not a profile")
    assert_reads(tmp_path / "a.png", pattern())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_renders_and_masks_are_turned_by_exif_too(tmp_path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pattern()).save(tmp_path / "a.png", exif=exif)
    assert_reads(tmp_path / "a.png", turn_upright(pattern(), orientation))


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def test_an_image_that_is_too_large_is_told_with_its_size(tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(16320, 12240))
    with pytest.raises(InputError, match=r"a\.png has 200 megapixels, more than the 179"):
        read_picture(tmp_path / "a.png")


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    with pytest.raises(InputError, match=r"a\.heic cannot be read as an image"):
        read_picture(tmp_path / "a.heic")
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        read_picture(tmp_path / "gone.png")
    Image.fromarray(pattern()).save(buffer := io.BytesIO(), format="PNG")
    (tmp_path / "half.png").write_bytes(buffer.getvalue()[:150])
    with pytest.raises(InputError, match=r"half\.png cannot be read as an image"):
        read_picture(tmp_path / "half.png")
