"""A run in 3D: what the viewer sends to the browser, and what it does while a run is at work."""

import io
import re
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import torch
from fake_results import write_fake_results
from headstyle.base.errors import InputError
from headstyle.commands.main import main
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import write_ply
from headstyle.review.scenes import (
    Frame,
    cameras_in,
    pictures_in,
    read_cloud,
    scenes_in,
)
from headstyle.review.viewer import Viewer
from headstyle.training.checkpoints import write_state
from PIL import Image
from splat_reference import make_scene

COUNT = 40
# viser 1.1 makes three.js say this of all splats, whatever they are: their corners have no z.
OF_VISER = "THREE.BufferGeometry.computeBoundingSphere()"


def splats(count):
    return torch.nn.ParameterDict(make_scene(count))


def write_inconsistency(folder, values):
    measured = {"inconsistency": values, "inconsistency_excess": values * 0}
    write_ply(folder / "inconsistency.ply", splats(len(values)), measured)


@pytest.fixture
def results(tmp_path):
    """Subject A with a baseline and one avatar."""
    folder = tmp_path / "results"
    write_fake_results(folder, ("A",), ("P4",), ("low",), views=3)
    write_ply(folder / "A" / "baseline" / "splats.ply", splats(COUNT))
    write_ply(folder / "A" / "avatars" / "P4_low" / "splats.ply", splats(COUNT + 1))
    return folder


@pytest.fixture
def viewer(results):
    pytest.importorskip("viser", reason="the extra headstyle[view] is not installed")
    viewer = Viewer(results, "127.0.0.1", 0)
    yield viewer
    viewer.stop()


def cloud_of(subject):
    cameras = cameras_in(subject)
    return read_cloud(scenes_in(subject)["baseline"][-1], cameras, Frame.of_cameras(cameras))


def test_splats_come_in_a_frame_in_which_the_cameras_are_ten_units_away(results):
    cameras = cameras_in(results / "A")
    frame = Frame.of_cameras(cameras)
    # The rig of the fake results stands 3 units around the origin.
    assert frame.scale == pytest.approx(10 / 3)
    assert frame.center == pytest.approx(np.zeros(3), abs=1e-9)
    cloud, scene = cloud_of(results / "A"), splats(COUNT)
    assert cloud.centers == pytest.approx(scene["means"].detach().numpy() * 10 / 3, rel=1e-5)
    # A covariance has the squared sizes of its splat as eigenvalues.
    sizes = np.sort(np.exp(scene["scales"].detach().numpy()) * 10 / 3, axis=1)
    assert np.sqrt(np.linalg.eigvalsh(cloud.covariances)) == pytest.approx(sizes, rel=1e-3)


def test_colors_are_those_that_the_middle_of_the_rig_sees(results):
    # Equal opaque splats that fill the view of the middle camera, with color by direction.
    cameras = cameras_in(results / "A")
    scene = splats(5)
    with torch.no_grad():
        scene["means"] *= 0.001
        scene["scales"].fill_(0.0)
        scene["opacities"].fill_(20.0)
        for name in ("sh0", "shN"):
            scene[name][:] = scene[name][:1] * 0.3
    write_ply(results / "A" / "baseline" / "splats.ply", scene)
    middle = cameras.select([cameras.names[1]])
    with torch.no_grad():
        _, image, *_ = next(render_views(scene, middle))
    seen = image[image.shape[0] // 2, image.shape[1] // 2, :3]
    assert cloud_of(results / "A").colors[0] == pytest.approx(seen, abs=0.02)


def test_depth_is_bright_where_near_and_alpha_is_white(results):
    cloud = cloud_of(results / "A")
    brightness = cloud.shown("depth").sum(axis=1)
    assert brightness[cloud.depths.argmin()] > brightness[cloud.depths.argmax()] + 0.5
    assert (cloud.shown("alpha") == 1).all()
    assert cloud.modes() == ("color", "depth", "alpha")


def test_inconsistency_is_a_mode_where_it_was_measured_for_these_splats(results):
    values = np.linspace(0, 1, COUNT)[::-1]
    write_inconsistency(results / "A" / "baseline", values)
    cloud = cloud_of(results / "A")
    assert cloud.modes() == ("color", "depth", "alpha", "inconsistency", "inconsistency_excess")
    brightness = cloud.shown("inconsistency").sum(axis=1)
    assert (np.diff(brightness) <= 1e-6).all()
    # Of a training that was repeated, the values belong to other splats.
    write_inconsistency(results / "A" / "baseline", values[:-1])
    assert "inconsistency" not in cloud_of(results / "A").modes()
    (results / "A" / "baseline" / "inconsistency.ply").write_text("broken")
    with pytest.raises(InputError, match=r"inconsistency\.ply .*map_inconsistency"):
        cloud_of(results / "A")


def test_states_come_in_the_order_of_the_training(results):
    folder = results / "A" / "avatars" / "P4_low"
    for iteration in (1000, 200):
        (folder / "iterations").mkdir(exist_ok=True)
        write_ply(folder / "iterations" / f"{iteration}.ply", splats(4))
    state = folder / ".partial" / "checkpoint" / "training.safetensors"
    state.parent.mkdir(parents=True)
    write_state(state, {f"splats.{name}": value for name, value in splats(7).items()}, {})
    steps = scenes_in(results / "A")["P4_low"]
    names = ["iteration 200", "iteration 1000", "latest checkpoint", "end of the training"]
    assert [step.name for step in steps] == names
    cameras = cameras_in(results / "A")
    assert len(read_cloud(steps[2], cameras, Frame.of_cameras(cameras))) == 7
    state.write_bytes(b"broken")
    with pytest.raises(InputError, match="wait for the next checkpoint"):
        read_cloud(steps[2], cameras, Frame.of_cameras(cameras))


def test_pictures_are_photographs_then_edits_of_each_cycle_then_renders(results):
    names = ["photographs", "edits of cycle 0", "edits of cycle 1", "renders"]
    assert list(pictures_in(results / "A", "P4_low")) == names
    assert list(pictures_in(results / "A", "baseline")) == ["photographs", "renders"]


def test_the_browser_gets_the_splats_and_each_camera_in_its_place(viewer, results):
    with urllib.request.urlopen(viewer.address) as answer:
        assert b"<html" in answer.read()
    cameras, cloud = cameras_in(results / "A"), cloud_of(results / "A")
    assert np.asarray(viewer.splats.centers) == pytest.approx(cloud.centers)
    nodes = viewer.cameras()
    assert list(nodes) == list(cameras.names)
    frame = Frame.of_cameras(cameras)
    for i, node in enumerate(nodes.values()):
        assert node.position == pytest.approx(frame.moved(cameras.centers)[i], abs=1e-6)
        assert node.aspect == pytest.approx(64 / 96)
        assert node.image.shape == (96, 64, 3)


def opaque_splats(color):
    """Splats of one color; zero is gray."""
    scene = splats(COUNT)
    with torch.no_grad():
        scene["opacities"].fill_(5.0)
        scene["shN"].zero_()
        scene["sh0"][:] = torch.tensor(color)
    return scene


def test_a_browser_draws_the_splats_and_what_follows_them(browser, results):
    """`headstyle view --follow` in its own process, as a person runs it."""
    pytest.importorskip("viser", reason="the extra headstyle[view] is not installed")
    path = results / "A" / "baseline" / "splats.ply"
    write_ply(path, opaque_splats((2.0, -2.0, -2.0)))
    command = [sys.executable, "-m", "headstyle", "view", str(results), "--port", "0", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            lines = iter(server.stdout.readline, "")
            address = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
            page, complaints = browser.new_page(viewport={"width": 640, "height": 480}), []
            page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            until(page, lambda red, green: red > 0.02)
            write_ply(path, opaque_splats((-2.0, 2.0, -2.0)))
            until(page, lambda red, green: green > 0.02 and red < 0.01)
            page.close()
            assert [text for text in complaints if OF_VISER not in text] == []
        finally:
            server.terminate()


def until(page, is_reached):
    """Wait until the shares of red and of green pixels on the screen are as wanted."""
    last = time.monotonic() + 60
    while True:
        shown = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float64)
        red, green, blue = shown.transpose(2, 0, 1)
        shares = [
            float((one > 1.6 * np.maximum(two, blue)).mean())
            for one, two in ((red, green), (green, red))
        ]
        if is_reached(*shares):
            return
        assert time.monotonic() < last, shares
        page.wait_for_timeout(200)


def test_the_controls_change_what_is_shown(viewer):
    first = np.array(viewer.splats.rgbs)
    viewer.mode.value = "alpha"
    viewer.refresh()
    assert (np.asarray(viewer.splats.rgbs) == 255).all()
    viewer.mode.value = "color"
    viewer.refresh()
    assert (np.asarray(viewer.splats.rgbs) == first).all()
    viewer.scene.value = "P4_low"
    viewer.pictures.value = 2
    viewer.refresh()
    assert len(viewer.splats.centers) == COUNT + 1
    assert "edits of cycle 1" in viewer.told.content


def test_what_a_run_replaces_is_shown_at_the_next_look(viewer, results):
    viewer.look_again()
    assert not viewer.look_again()
    write_ply(results / "A" / "baseline" / "splats.ply", splats(COUNT + 9))
    assert viewer.look_again()
    assert len(viewer.splats.centers) == COUNT + 9
    (results / "A" / "baseline" / "splats.ply").write_text("broken")
    assert viewer.look_again()
    # A file that cannot be read is told of; the last good scene stays.
    assert "cannot be read" in viewer.told.content
    assert len(viewer.splats.centers) == COUNT + 9


def test_who_looks_at_the_latest_state_goes_on_to_the_next(viewer, results):
    folder = results / "A" / "baseline"
    assert not viewer.step.visible
    (folder / "iterations").mkdir()
    (folder / "splats.ply").rename(folder / "iterations" / "100.ply")
    viewer.look_again()
    write_ply(folder / "iterations" / "200.ply", splats(COUNT + 3))
    viewer.look_again()
    assert (viewer.step.value, len(viewer.splats.centers)) == (1, COUNT + 3)
    viewer.step.value = 0
    write_ply(folder / "splats.ply", splats(COUNT + 4))
    viewer.look_again()
    assert (viewer.step.value, len(viewer.splats.centers)) == (0, COUNT)


def test_new_edits_of_a_cycle_reach_the_cameras(viewer, results):
    viewer.scene.value = "P4_low"
    viewer.pictures.value = 1
    viewer.refresh()
    viewer.look_again()
    before = {name: node.image for name, node in viewer.cameras().items()}
    changed = results / "A" / "avatars" / "P4_low" / "edits" / "cycle0" / "view_01.png"
    changed.unlink()
    Image.new("RGBA", (64, 96), (255, 0, 0, 255)).save(changed)
    assert viewer.look_again()
    assert (viewer.cameras()["view_01"].image == (255, 0, 0)).all()
    assert viewer.cameras()["view_00"].image is before["view_00"]


def test_splats_that_vanish_are_waited_for(viewer, results):
    # Snakemake deletes the outputs of a job that it does again.
    for path in results.rglob("splats.ply"):
        path.unlink()
    viewer.refresh()
    assert "no splats now" in viewer.told.content
    viewer.look_again()
    assert "no subject with splats" in viewer.told.content
    write_ply(results / "A" / "baseline" / "splats.ply", splats(COUNT + 2))
    assert viewer.look_again()
    assert len(viewer.splats.centers) == COUNT + 2


def test_without_viser_one_sentence_says_how_to_install_it(results, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(results)]) == 1
    assert "pip install 'headstyle[view]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--host", "203.0.113.7"), "an address of this machine"),
        (("--port", "70000"), "1 to 65535"),
    ],
)
def test_an_address_that_cannot_be_used_ends_in_one_sentence(results, capsys, words, told):
    pytest.importorskip("viser", reason="the extra headstyle[view] is not installed")
    assert main(["view", str(results), *words]) == 1
    assert told in capsys.readouterr().err


def test_a_folder_without_splats_ends_in_one_sentence(tmp_path, capsys):
    pytest.importorskip("viser", reason="the extra headstyle[view] is not installed")
    assert main(["view", str(tmp_path)]) == 1
    assert "no subject with splats" in capsys.readouterr().err
