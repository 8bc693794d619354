"""Truths about the explorer: what it collects, how it is packed, and how it acts in a browser."""

import base64
import gzip
import io
import json
import re
import time
from pathlib import Path

import av
import numpy as np
import pytest
import scipy.spatial
import torch
from explored_ball import (
    EVIL,
    SETTING,
    SIZE,
    ball_splats,
    write_ball_explorer,
    write_foreign_explorer,
)
from headstyle.base.cameras import read_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import read_rgba
from headstyle.consistency.metrics.headline import STEPS
from headstyle.consistency.parts.disagreement import TERMS
from headstyle.consistency.parts.kinds import read_kinds
from headstyle.rendering.renderer import render_views
from headstyle.rendering.splats import read_ply, write_ply
from headstyle.report.explorer import legend, page, pairs
from headstyle.report.explorer.films import fitting_video
from headstyle.report.explorer.pairs import PairLooker
from headstyle.report.explorer.scenes import pairs_content
from headstyle.report.explorer.shown import ShownSubject, study_subject
from headstyle.report.explorer.splats import check_world, packed_splats
from headstyle.report.explorer.subjects import fitting_sizes
from headstyle.report.sheets import Avatar, Subject
from PIL import Image
from study import ROOT

LEAST_PSNR = 30.0
PAIR_READY = "document.querySelectorAll('#pair-pictures figure').length"
READY = f"splats.drawn > 0 && {PAIR_READY}"


def unpacked(packed: dict) -> tuple[dict, dict]:
    """Per property of packed splats its numbers, and the size of a step."""
    content, start = gzip.decompress(base64.b64decode(packed["data"])), 0
    bytes_of = np.frombuffer(content, np.uint8)
    values, steps = {}, {}
    for part in packed["parts"]:
        count = packed["count"] * part["columns"]
        planes = 2 if part["steps"] > 255 else 1
        numbers = bytes_of[start : start + planes * count].reshape(planes, part["columns"], -1)
        start += planes * count
        # The higher bytes come first.
        whole = np.polyval(list(numbers.astype(int)), 256)
        steps[part["name"]] = (part["high"] - part["low"]) / part["steps"]
        values[part["name"]] = part["low"] + steps[part["name"]] * whole.T
    assert start == len(content)
    return values, steps


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    root = tmp_path_factory.mktemp("explorer")
    return root, write_ball_explorer(root / "results", root / "explorer.html")


@pytest.fixture(scope="module")
def scene(made) -> ShownSubject:
    folder = made[0] / "results" / "A"
    subject = Subject("A", folder / "masks/masks.json", folder / "views", folder / "baseline")
    avatar = Avatar("P4_low", folder / "avatars/P4_low", "P4", "", "", "low")
    return study_subject(subject, [avatar], folder / "adjacency.csv")


@pytest.fixture(scope="module")
def looker(scene) -> PairLooker:
    return PairLooker(scene.comparison(scene.scenes[0]), SETTING)


class TestContents:
    def test_the_legend_has_the_kinds_of_the_headline_score(self):
        assert [kind.name for kind in legend.KINDS] == list(TERMS)
        assert {kind.name: kind.step for kind in legend.KINDS} == STEPS
        assert [reason.name for reason in legend.REASONS] == list(pairs.REASONS)

    def test_every_pixel_of_the_head_has_one_reason(self, looker):
        seen = next(looker.pairs(looker.positions))
        head = seen.reasons != pairs.BACKGROUND
        assert (seen.reasons[head] == pairs.COUNTS).mean() > 0.25
        # The side that turns away is hidden from the source.
        assert (seen.reasons == pairs.OCCLUDED).sum() + (seen.reasons == pairs.SILHOUETTE).sum() > 0
        assert (seen.difference[seen.reasons != pairs.COUNTS] == 0).all()

    def test_the_mean_difference_is_that_of_the_metric(self, made, looker):
        _, content = made
        for seen in looker.pairs(looker.positions):
            row = next(
                pair
                for pair in content["content"]["P4_low"]["pairs"]
                if (pair["target"], pair["source"]) == (seen.target, seen.source)
            )
            mean = seen.difference[seen.reasons == pairs.COUNTS].mean()
            assert mean == pytest.approx(row["values"][1], rel=1e-3)

    def test_arrows_start_on_pixels_that_are_compared(self, looker):
        found = looker.kinds()
        seen = {(pair.target, pair.source): pair for pair in looker.pairs(looker.positions)}
        assert set(found) == {(i, i + 1) for i in range(4)}
        heads = [pair.reasons != pairs.BACKGROUND for pair in seen.values()]
        percent = 100 / np.sqrt(np.mean([head.sum() for head in heads]))
        for pair, disagreement in found.items():
            arrows = disagreement.arrows
            columns, rows = (arrows[:, :2] * SIZE).astype(int).T
            head = seen[pair].reasons != pairs.BACKGROUND
            assert head[rows, columns].mean() > 0.9
            # Displacements that cancel within a cell make the mean arrow shorter, never longer.
            lengths = percent * np.linalg.norm(arrows[:, 2:] * SIZE, axis=1)
            assert 0 < lengths.mean() < 1.2 * disagreement.kinds[1]

    def test_kinds_that_the_metric_measured_are_those_that_the_page_would_compute(
        self, scene, looker
    ):
        measured, computed = read_kinds(scene.scenes[0].tables / "kinds.npz"), looker.kinds()
        assert set(measured) == set(computed)
        for pair, found in measured.items():
            assert found.kinds == pytest.approx(computed[pair].kinds, rel=1e-3, abs=1e-5)
            assert found.arrows == pytest.approx(computed[pair].arrows, abs=1e-4)

    def test_a_smaller_share_of_the_page_makes_smaller_pictures(self, scene):
        cameras = read_cameras(scene.cameras)
        large, small = (fitting_sizes(scene, cameras, SETTING, most) for most in (10**7, 10**5))
        assert small.pair_px < large.pair_px
        assert (large.both_ways, small.both_ways) == (True, False)
        content = pairs_content(
            scene.comparison(scene.scenes[0]), scene.scenes[0].tables, ("rmse",), SETTING, small
        )
        assert len(content) == 8
        assert [pair["target"] < pair["source"] for pair in content] == [
            "warped" in pair for pair in content
        ]
        assert small.splats < large.splats

    def test_packed_splats_keep_their_numbers(self):
        splats = ball_splats(0)
        packed = packed_splats(splats, 10_000)
        values, steps = unpacked(packed)
        known = {name: value.detach().numpy() for name, value in splats.items()}
        # The splats lie in an order of their own.
        _, here = scipy.spatial.KDTree(values["means"]).query(known["means"])
        assert sorted(here) == list(range(packed["count"]))
        known["sh1"] = known["shN"].reshape(len(here), -1)
        for name in ("means", "scales", "sh0", "sh1"):
            error = np.abs(values[name][here] - known[name].reshape(len(here), -1))
            assert np.quantile(error, 0.99) <= steps[name]

    def test_the_splats_that_the_views_show_are_kept(self, made):
        cameras = read_cameras(made[0] / "results/A/views/cameras.json")
        splats = ball_splats(0)
        most = len(splats["means"]) // 4
        whole = [view[1] for view in render_views(splats, cameras)]
        known, errors = scipy.spatial.KDTree(splats["means"].detach().numpy()), []
        for rig in (cameras, None):
            values, _ = unpacked(packed_splats(splats, most, cameras=rig))
            _, kept = known.query(values["means"])
            few = {name: value.detach()[kept] for name, value in splats.items()}
            drawn = [view[1] for view in render_views(few, cameras)]
            errors.append(np.mean(np.abs(np.array(drawn) - whole)))
        assert errors[0] < 0.8 * errors[1]

    def test_the_largest_splats_are_kept(self):
        splats = ball_splats(0)
        splats["scales"].data[:10] += 3
        means = packed_splats(splats, 10)["parts"][0]
        first = splats["means"].detach().numpy()[:10]
        assert means["low"] == pytest.approx(first.min())
        assert means["high"] == pytest.approx(first.max())

    def test_a_film_is_encoded_again_until_it_fits_its_share(self, made):
        film = made[0] / "results/A/avatars/P4_low/film/beside_baseline.mp4"
        whole = film.read_bytes()
        assert fitting_video(film, len(whole)) == whole
        smaller = fitting_video(film, len(whole) * 2 // 3)
        assert len(smaller) <= len(whole) * 2 // 3
        with av.open(io.BytesIO(smaller)) as video:
            assert len(list(video.decode(video=0))) == 30
        assert fitting_video(film, len(whole) // 100) is None

    def test_splats_of_another_world_than_the_cameras_are_refused(self, made, scene):
        own, key = made[0] / "results/A/avatars/P4_low/splats.ply", "foreign.mine.splats"
        comparison = scene.comparison(scene.scenes[0])
        check_world(own, comparison, key)
        turned = read_ply(own)
        # The axes of a program in which z points upwards.
        x, y, z = turned["means"].data.T
        turned["means"].data = torch.stack([x, -z, y], dim=1)
        other = made[0] / "turned.ply"
        write_ply(other, turned)
        with pytest.raises(InputError, match=f"do not look like the renders.*leave {key} out"):
            check_world(other, comparison, key)

    def test_a_page_of_a_run_without_avatars_says_so(self):
        text = page.explorer_page("none", [], [], ["rmse"])
        assert "This run has no avatars." in text


# Texts with less contrast than WCAG 2 asks for (AA), with what they have.
FAINT_TEXTS = """(() => {
  const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const rgba = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (e) => {
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] > 127 || !e.parentElement ? own : ground(e.parentElement);
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!says || !e.offsetHeight || e.closest('select, script, style')) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgba(style.color)), light(ground(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
      found.push(`${e.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
  }
  return found;
})()"""


class Opened:
    """A page in the browser, and all that it complained about or asked for."""

    def __init__(
        self, browser, path: Path, fragment: str = "", width: int = 1400, ready: str = READY
    ) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints, self.requests = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{path}{fragment}")
        self.until(ready)

    def until(self, condition: str) -> None:
        """Wait for a condition. The page's policy forbids what the driver's own waiting does."""
        last = time.monotonic() + 30
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < last, condition
            self.page.wait_for_timeout(50)

    def reset(self) -> None:
        """Bring the page back to how it opened, so that the next test need not load it again."""
        self.page.evaluate(
            "change({...Object.fromEntries(Object.keys(state).map((key) => [key, ''])),"
            " avatar: bestFirst(avatars)[0].id}); setTheme('light');"
            " find('keys').hidden = true; document.activeElement.blur(); scrollTo(0, 0)"
        )
        self.until(READY)
        assert self.complaints == []

    def close(self) -> None:
        """Close the page, which must have been quiet and have asked for nothing outside itself."""
        outside = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        files = [url for url in self.requests if url.startswith("file:")]
        self.page.close()
        assert self.complaints == []
        assert outside == []
        assert len(files) == 1


def likeness(opened: Opened, render: np.ndarray) -> float:
    """How alike the drawn splats of the shown scene and a render `(H, W, 4)` are [dB]."""
    height, width = render.shape[:2]
    uri = opened.page.evaluate(
        f"(() => {{ const c = find('splats'); [c.width, c.height] = [{width}, {height}];"
        f" drawInto(splats.scenes.get(avatarNow().id), splatCamera({width}, {height}),"
        f" {width}, {height}); return c.toDataURL(); }})()"
    )
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))), np.float64)
    backdrop = np.array([236, 239, 242]) / 255
    expected = render[..., :3] * render[..., 3:] + backdrop * (1 - render[..., 3:])
    return float(-10 * np.log10(np.square(drawn[..., :3] / 255 - expected).mean()))


@pytest.fixture(scope="module")
def shared(browser, made):
    """One page that the tests below share, as loading one takes longer than most of them."""
    found = Opened(browser, made[0] / "explorer.html")
    yield found
    found.close()


@pytest.fixture
def opened(shared):
    shared.reset()
    return shared


class TestBrowser:
    def test_the_reports_link_opens_a_page_too_large_for_a_data_address(self, browser):
        rst = (ROOT / "report" / "workflow.rst").read_text(encoding="utf-8")
        link = re.search(r"`Open the explorer <javascript:(.+)>`_", rst)[1]
        # Space in an address is lost where the report is made.
        code = "".join(link.split()).replace('{{config["results_dir"]}}', "results")
        page = browser.new_page()
        page.evaluate(
            "window.results = {'results/explorer.html': {data_uri: 'data:text/html,hello'}};"
            "window.app = {setView: (view) => { window.shown = view; }};"
            f"setTimeout({json.dumps(code)})"
        )
        page.wait_for_function("window.shown")
        assert page.evaluate("window.shown.contentPath").startswith("blob:")
        page.close()

    def test_a_click_leads_from_the_matrix_to_the_pixels_of_a_pair(self, opened):
        page = opened.page
        assert page.locator(".matrix button").count() == 2
        page.locator(".matrix button").nth(1).click()
        assert page.locator("#avatar-title").inner_text() == "A: P4 high"
        assert page.locator("#prompt").inner_text() == f"evil: “{EVIL}”"
        opened.until("rig.places")
        x, y = page.evaluate(
            "(() => { const [a, b] = [rig.places[0], rig.places[1]];"
            " return [0.5 * (a.x + b.x), 0.5 * (a.y + b.y)]; })()"
        )
        page.locator("#rig").click(position={"x": x, "y": y})
        names = {"view_00", "view_01"}
        assert {page.evaluate("state.target"), page.evaluate("state.source")} == names
        before = page.locator("#pair").input_value()
        page.locator("#swap").click()
        assert page.locator("#pair").input_value() == " ".join(reversed(before.split()))
        opened.until("document.querySelector('#pair-pictures').innerText.includes('counts')")
        assert page.locator(".decides").count() == 1

    def test_keys_reach_everything(self, opened):
        page = opened.page
        page.keyboard.press("/")
        page.keyboard.type("nobody")
        assert page.locator("#nothing").is_visible()
        page.locator("#search").fill("")
        page.keyboard.press("Escape")
        first = page.evaluate("avatarNow().id")
        page.keyboard.press("]")
        assert page.evaluate("avatarNow().id") != first
        page.locator(".matrix button").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert page.evaluate("state.avatar") == "A/P4_high"
        view = page.evaluate("viewNow()")
        page.locator("body").focus()
        page.keyboard.press("Tab")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("viewNow()") != view
        page.keyboard.press(" ")
        assert page.locator("#play").get_attribute("aria-pressed") == "true"
        page.keyboard.press(" ")
        for canvas, moved in (("#rig", "rig.yaw"), ("#splats", "splats.yaw")):
            page.locator(canvas).focus()
            page.keyboard.press("ArrowLeft")
            assert page.evaluate(moved) != 0

    def test_keys_zoom_the_views_to_pixels_and_move_them(self, opened):
        page = opened.page
        for _ in range(8):
            page.keyboard.press("+")
        assert page.evaluate("views.zoom") == pytest.approx(1.25**8, rel=1e-3)
        assert page.locator("#panes .pixels").count() == page.locator("#panes .well").count()
        page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate("views.x") > 0.5
        page.keyboard.press("0")
        assert page.evaluate("[views.zoom, views.x, views.y]") == [1, 0.5, 0.5]

    def test_two_fingers_zoom_all_views_around_their_middle(self, opened):
        page = opened.page
        page.locator("#panes").scroll_into_view_if_needed()
        box = page.locator("#panes .well").nth(1).bounding_box()
        x, y = box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"]
        touch = page.context.new_cdp_session(page)
        for kind, gap in (("touchStart", 10), ("touchMove", 20), ("touchMove", 30)):
            points = [{"x": x, "y": y + gap, "id": 0}, {"x": x, "y": y - gap, "id": 1}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert page.evaluate("views.zoom") == pytest.approx(3, rel=0.01)
        # What lay between the fingers, a quarter of the frame from its left, stays there.
        assert page.evaluate("views.x - 0.25 / views.zoom") == pytest.approx(0.25, abs=0.01)

    def test_a_link_opens_the_same_state(self, browser, made, opened):
        page = opened.page
        page.locator("#metric").select_option("ciede2000_corrected")
        page.locator("#sort").select_option("worst")
        page.locator("#camera").select_option("view_03")
        page.locator("#left").select_option("photograph")
        page.locator(".swipe .well").hover()
        page.mouse.wheel(0, -600)
        opened.until("views.zoom > 2")
        state = page.evaluate("({...state})")
        again = Opened(browser, made[0] / "explorer.html", "#" + page.url.split("#")[1])
        assert again.page.evaluate("({...state})") == state
        assert again.page.locator("#left").input_value() == "photograph"
        assert again.page.evaluate("views.zoom") == pytest.approx(page.evaluate("views.zoom"), 1e-3)
        again.close()

    def test_splats_are_drawn_as_the_renderer_draws_them(self, opened, made):
        folder = made[0] / "results" / "A" / "avatars" / "P4_low"
        opened.page.evaluate("change({avatar: 'A/P4_low', scene: 'avatar', camera: 'view_01'})")
        opened.until("splats.scenes.has('A/P4_low')")
        assert likeness(opened, read_rgba(folder / "renders" / "view_01.png")) >= LEAST_PSNR

    def test_splats_are_colored_by_their_inconsistency_where_it_is_known(self, opened):
        page = opened.page
        for name, is_known in (("high", False), ("low", True)):
            page.evaluate(f"change({{avatar: 'A/P4_{name}', scene: 'avatar'}})")
            opened.until(f"splats.scenes.has('A/P4_{name}')")
            opened.until(f"find('inconsistency-label').hidden !== {str(is_known).lower()}")
        page.evaluate("drawSplats()")
        before = page.evaluate("find('splats').toDataURL()")
        page.locator("#inconsistency").check()
        page.evaluate("drawSplats()")
        assert page.evaluate("find('splats').toDataURL()") != before
        assert "ΔE00" in page.locator("#splats-scale").inner_text()

    def test_a_film_plays_where_one_was_made(self, opened):
        page = opened.page
        page.evaluate("change({avatar: 'A/P4_high'})")
        opened.until("find('film-part').hidden && find('splats-title').offsetHeight")
        page.evaluate("change({avatar: 'A/P4_low'})")
        opened.until("!find('film-part').hidden && find('film').readyState >= 2")
        page.locator("#film").focus()
        page.evaluate("find('film').play()")
        opened.until("find('film').currentTime > 0.1")
        assert page.locator(".flicker tbody").inner_text().split() == [
            "RMSE",
            *["0.0100", "0.0200"] * 2,
        ]

    @pytest.mark.parametrize("width", [1400, 390])
    def test_nothing_is_wider_than_the_window(self, browser, made, width):
        found = Opened(browser, made[0] / "explorer.html", width=width)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
        assert found.page.locator("img:not([alt])").count() == 0
        unnamed = (
            "[...document.querySelectorAll('button, select, input, canvas[tabindex]')].filter(e =>"
            " !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).length"
        )
        assert found.page.evaluate(unnamed) == 0
        found.close()

    def test_every_text_stands_out_from_its_ground_in_light_and_dark(self, opened):
        page = opened.page
        page.locator("#keys-button").click()
        for theme in ("light", "dark"):
            page.evaluate(f"setTheme('{theme}')")
            assert page.evaluate(FAINT_TEXTS) == []

    def test_brightness_alone_tells_the_order_of_the_colors(self, opened):
        colors = np.array(opened.page.evaluate("STOPS"))
        assert (np.diff(colors @ (0.2126, 0.7152, 0.0722)) > 0).all()

    def test_all_that_can_be_used_is_reached_by_the_tab_key(self, opened):
        page = opened.page
        page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            name = page.evaluate("document.activeElement.id || document.activeElement.className")
            reached.add(name)
        wanted = {"keys-button", "theme", "metric", "value", "strength", "sort", "search"}
        wanted |= {"previous", "next", "rig", "pair", "swap", "slider", "play", "left", "right"}
        wanted |= {"reset", "handle", "scene", "swipe", "camera", "turn", "splats"}
        # Without an excess in the table there is nothing to choose.
        assert wanted - reached <= {"value"}

    def test_the_page_may_load_nothing(self, browser, made):
        text = (made[0] / "explorer.html").read_text(encoding="utf-8")
        assert "default-src 'none'" in text
        assert "connect-src 'none'" in text
        assert not re.search(r"""(src|href)=["']https?:""", text)
        assert EVIL not in text
        found = Opened(browser, made[0] / "explorer.html")
        found.page.evaluate("fetch('https://example.org/').catch(() => 0)")
        assert any("Content Security Policy" in text for text in found.complaints)
        found.complaints.clear()
        found.requests.clear()
        found.page.close()


@pytest.fixture(scope="module")
def foreign(made) -> Path:
    root, _ = made
    write_foreign_explorer(root / "results", root / "foreign.html")
    return root / "foreign.html"


class TestForeignScenes:
    """The explorer of what another method rendered, of which less is known."""

    def test_what_is_known_of_a_scene_is_shown_and_the_rest_is_not_there(self, browser, foreign):
        found = Opened(browser, foreign, "#avatar=mine%2Frenders")
        page = found.page
        assert page.locator("#matrix-title").inner_text() == "All scenes"
        assert page.locator(".matrix thead th").all_inner_texts() == [EVIL, "renders"]
        values = page.locator(".matrix td button").all_inner_texts()
        assert values == ["0.200", "0.300", "0.400"]
        assert "before the edit 0.100" in page.locator("#numbers").inner_text()
        assert page.locator("#strength-label").is_hidden()
        # Only the splats before the edit are known, so there is nothing to swipe between.
        assert page.locator("#scene-label").is_hidden()
        assert page.evaluate("views.layers.map((layer) => layer.name)") == [
            "before the edit",
            "renders",
        ]
        assert page.locator(".kinds tbody tr").count() == 5
        page.locator(".matrix td button").nth(1).click()
        found.until(f"{PAIR_READY} && find('splats-part').hidden")
        assert page.locator("#avatar-title").inner_text() == "plain: renders"
        assert page.locator("[data-part=splats-part]").is_hidden()
        assert page.evaluate("views.layers.map((layer) => layer.name)") == ["renders"]
        assert page.locator("#left-label").is_hidden()
        assert page.locator("#numbers").get_by_text("before the edit").count() == 0
        found.until("document.querySelectorAll('.kinds tbody tr').length === 4")
        found.close()

    def test_splats_that_another_program_wrote_turn_and_look_as_rendered(
        self, browser, foreign, made
    ):
        found = Opened(browser, foreign, "#avatar=theirs%2Frenders&camera=view_01")
        assert found.page.locator("[data-part=splats-part]").is_visible()
        assert "before the edit" not in found.page.locator("#splats-note").inner_text()
        splats = read_ply(made[0] / "results" / "theirs.ply")
        cameras = read_cameras(made[0] / "results/A/views/cameras.json").select(["view_01"])
        [(_, render, _, _)] = render_views(splats, cameras)
        [(_, without_directions, _, _)] = render_views(splats, cameras, sh_degree=0)
        assert likeness(found, render) >= LEAST_PSNR > likeness(found, without_directions)
        before = found.page.evaluate("find('splats').toDataURL()")
        found.page.evaluate("turnSplats(80, 0)")
        found.until(f"find('splats').toDataURL() !== {json.dumps(before)}")
        found.close()

    def test_a_click_on_the_rig_opens_a_pair_with_its_heat_map(self, browser, foreign):
        found = Opened(browser, foreign, "#avatar=plain%2Frenders", width=390, ready=PAIR_READY)
        page = found.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        found.until("rig.places")
        x, y = page.evaluate(
            "[0, 1].map((k) => 0.5 * rig.places.slice(1, 3).reduce((s, p) => s + p['xy'[k]], 0))"
        )
        page.locator("#rig").click(position={"x": x, "y": y})
        assert {page.evaluate("state.target"), page.evaluate("state.source")} == {
            "view_01",
            "view_02",
        }
        found.until("document.querySelector('#pair-pictures').innerText.includes('ΔE00')")
        page.locator("#swap").click()
        found.until("find('pair-pictures').innerText.includes('only one of the two directions')")
        assert page.locator("#pair-kinds tbody tr").count() == 4
        page.locator("#swap").click()
        found.until("find('pair-pictures').innerText.includes('ΔE00')")
        found.close()
