"""Truths about photographs that were exposed differently."""

import numpy as np
import pytest
from headstyle.posing.equal_exposure import (
    PointColors,
    agreeing_gains,
    equalizing_gains,
    exposure_of,
    point_colors,
    with_gain,
)
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


def observed(gains, outliers=0.0, noise=0.02):
    """200 points of random colors in views whose light was multiplied by gains `(V, 3)`."""
    generator = np.random.default_rng(1)
    colors = generator.uniform(0.1, 0.4, (200, 3))
    views = []
    for gain in gains:
        # Neighboring views share two thirds of their points.
        points = (np.arange(60) + 20 * len(views)) % 200
        light = colors[points] * gain * np.exp(generator.normal(0, noise, (60, 3)))
        highlights = generator.random(60) < outliers
        light[highlights] *= 3
        views.append(PointColors(points, light))
    return views


def test_the_colors_of_shared_points_tell_exposure_and_white_balance():
    gains = np.exp(np.random.default_rng(2).normal(0, 0.3, (10, 3)))
    found = agreeing_gains(observed(gains, outliers=0.1), np.ones(10))
    np.testing.assert_allclose(np.exp(np.log(found).mean(axis=0)), 1)
    left = np.log(found * gains)
    assert (left - left.mean(axis=0)).std() < 0.03


def test_a_view_without_points_keeps_the_gain_of_exif():
    gains, first = np.ones((10, 3)), np.ones(10)
    first[9] = 2.0
    views = observed(gains, noise=0.0)
    views[9] = PointColors(np.zeros(0, np.int64), np.zeros((0, 3)))
    found = agreeing_gains(views, first)
    np.testing.assert_allclose(found[9] / found[0], 2, rtol=0.02)
    np.testing.assert_allclose(agreeing_gains([views[9]] * 10, first)[9] / 2, 2**-0.1)


def test_colors_of_points_are_read_inside_the_foreground_where_they_are_not_clipped():
    image = np.full((8, 12, 4), 0.5, np.float32)
    image[..., 3] = 0
    image[:, 4:, 3] = 1
    image[:, 8:, :3] = 1.0
    places = np.array([(1.5, 4.5), (6.5, 4.5), (10.5, 4.5), (-3.0, 4.5), (np.nan, np.nan)])
    seen = point_colors(image, places, np.arange(5))
    assert seen.points.tolist() == [1]
    np.testing.assert_allclose(seen.light, 0.2140, atol=1e-4)
