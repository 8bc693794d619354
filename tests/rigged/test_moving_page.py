"""The page of a head that moves, used in a browser."""

import numpy as np
import pytest
from headstyle.base.images import write_image
from headstyle.report.moving.page import Layer, Motion, Moving, moving_page

STEPS, CAMERAS = 3, (0, 4)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Pictures whose red tells the timestep and whose green tells the camera."""
    folder = tmp_path_factory.mktemp("pictures")

    def layer(name, blue):
        files = {}
        for camera in CAMERAS:
            for step in range(STEPS):
                image = np.ones((24, 16, 4), np.float32)
                image[..., :3] = step / STEPS, camera / 5, blue
                files[camera, step] = folder / f"{name}_{camera}_{step}.png"
                write_image(files[camera, step], image)
        return Layer(name, files)

    splits = {
        (c, t): "test" if t == 2 else "val" if c else "train" for c in CAMERAS for t in (0, 1, 2)
    }
    shared = (layer("photograph", 0), layer("baseline", 0.5))
    avatars = {"P1 <b>low": layer("P1 low", 1), "P1 high": layer("P1 high", 0.9)}
    own = Motion("its own", STEPS, CAMERAS, splits, shared, avatars)
    values = {"rmse_corrected": 0.25, "rmse_corrected_excess": 0.125}
    rows = [
        {"prompt": prompt, "strength": strength, **values}
        for prompt, strength in (("photographs", "none"), ("none", "none"), ("P1", "high"))
    ]
    pairs = [
        {**row, "target_timestep": str(step), "rmse_corrected": str(step / 10)}
        for row in rows
        for step in range(STEPS)
    ]
    return Moving("A", (own, own), rows, pairs, ["rmse_corrected"])


def shown(page):
    """Mean color of each pane's picture, as the browser draws it."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#panes img")].map((image) => {
          const canvas = document.createElement("canvas");
          canvas.width = canvas.height = 1;
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0, 1, 1);
          return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((x) => x / 255);
        })"""
    )


def test_a_person_moves_through_time_and_chooses_camera_and_avatar(browser, moving, tmp_path):
    (tmp_path / "rigged.html").write_text(moving_page(moving, 1_000_000))
    for width in (1400, 390):
        page, complaints = browser.new_page(viewport={"width": width, "height": 900}), []
        page.on("console", lambda message, to=complaints: to.append(message.text))
        page.on("pageerror", lambda error, to=complaints: to.append(str(error)))
        page.goto(f"file://{tmp_path / 'rigged.html'}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#place").inner_text() == "timestep 0: seen in training"
        assert page.locator("#avatar option").all_inner_texts() == ["P1 <b>low", "P1 high"]
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.locator("#place").inner_text() == "timestep 2: held-out timestep"
        page.locator("#camera").select_option(label="4 (held out)")
        page.locator("#avatar").select_option(label="P1 high")
        # The page's policy forbids what wait_for_function does.
        page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
        found = np.array(shown(page))
        np.testing.assert_allclose(found[:, 0], 2 / 3, atol=0.05)
        np.testing.assert_allclose(found[:, 1], 0.8, atol=0.05)
        np.testing.assert_allclose(found[:, 2], [0, 0.5, 0.9], atol=0.05)
        assert page.locator("#chart polyline").count() == 3
        assert "0.250" in page.locator("table").inner_text()
        page.keyboard.press("ArrowRight")
        assert page.locator("#place").inner_text() == "timestep 0: held-out camera"
        page.locator("#play").click()
        page.wait_for_timeout(400)
        assert page.locator("#place").inner_text() != "timestep 0: held-out camera"
        page.locator("#play").click()
        assert page.locator("#play").inner_text() == "Play"
        assert not complaints
        page.close()


def test_a_small_limit_leaves_out_cameras(moving):
    small = moving_page(moving, 4_000)
    assert small.count("data:image") < moving_page(moving, 1_000_000).count("data:image")
