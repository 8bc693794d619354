"""Truths about photographs that were exposed differently."""

import numpy as np
import pytest
from headstyle.posing.equal_exposure import equalizing_gains, exposure_of, with_gain
from PIL import ExifTags, Image


def photograph(path, seconds=0.02, iso=100, aperture=4.0, color=100):
    image = Image.new("RGB", (8, 6), (color,) * 3)
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    if seconds:
        details[ExifTags.Base.ExposureTime] = seconds
    details[ExifTags.Base.ISOSpeedRatings] = iso
    details[ExifTags.Base.FNumber] = aperture
    image.save(path, exif=exif)
    return path


def test_exposure_grows_with_time_and_sensitivity_and_falls_with_the_f_number(tmp_path):
    assert exposure_of(photograph(tmp_path / "a.jpg")) == pytest.approx(0.125)
    assert exposure_of(photograph(tmp_path / "b.jpg", iso=200)) == pytest.approx(0.25)
    assert exposure_of(photograph(tmp_path / "c.jpg", aperture=8.0)) == pytest.approx(0.125 / 4)
    assert exposure_of(photograph(tmp_path / "d.jpg", seconds=None)) is None


def test_gains_bring_all_photographs_to_their_geometric_mean(tmp_path):
    paths = {
        name: photograph(tmp_path / f"{name}.jpg", seconds=seconds)
        for name, seconds in (("dark", 0.01), ("bright", 0.04))
    }
    assert equalizing_gains(paths) == pytest.approx({"dark": 2.0, "bright": 0.5})
    paths["silent"] = photograph(tmp_path / "silent.jpg", seconds=None)
    assert set(equalizing_gains(paths).values()) == {1.0}


def test_a_gain_multiplies_light_not_pixel_values_and_spares_alpha():
    generator = np.random.default_rng(0)
    image = generator.random((5, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(with_gain(image, 1.0), image)
    darker = with_gain(image, 0.5)
    np.testing.assert_array_equal(darker[..., 3], image[..., 3])
    np.testing.assert_allclose(with_gain(darker, 2.0), image, atol=1e-5)
    # The middle gray of sRGB is 0.7354 encoded for half the light.
    white = np.ones((1, 1, 4), np.float32)
    assert with_gain(white, 0.5)[0, 0, 0] == pytest.approx(0.7354, abs=1e-4)
    assert with_gain(white, 4.0).max() == 1
