"""Truths about what people look at: contact sheets, figures, table pages, and the other pages."""

import json
import re
import shutil
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pillow_heif
import pytest
from fake_results import METRICS, write_fake_results
from headstyle.base.cameras import Cameras
from headstyle.base.errors import RESULT
from headstyle.base.files import read_json
from headstyle.base.tables.rows import read_rows
from headstyle.editing.registry import editor_note, note_is_harmless
from headstyle.report import pictures, plots, sheets, summaries
from headstyle.report.compare import compare_page
from headstyle.report.contact_sheets import SHEET_WIDTH_PX, TableSheet, Tile, grid_sheet, shorten
from headstyle.report.contact_sheets import table_sheet as draw_table
from headstyle.report.figures import read_history, training_curves, write_figure
from headstyle.report.instructions import avatars_of
from headstyle.report.overview import overview_page, views_note
from headstyle.report.pages import MAX_PAGE_BYTES, flat_settings, settings_rows, table_page
from PIL import Image

CONTROL = {
    "editor": "control",
    "control": {"operations": {"P4": "recolor", "P6": "recolor"}, "per_view_randomness": 0.3},
}
EVIL = '<script>alert("x")</script> & "quotes"\nand lines'


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("report") / "results"
    write_fake_results(root, subjects=("A",), views=5, size=(32, 48))
    return root


@pytest.fixture(scope="module")
def subject(results) -> sheets.Subject:
    folder = results / "A"
    return sheets.Subject(
        "A", folder / "masks" / "masks.json", folder / "views", folder / "baseline"
    )


@pytest.fixture
def avatars(results, tmp_path) -> list[sheets.Avatar]:
    quoted = EVIL.replace('"', '""')
    prompts, subjects = tmp_path / "prompts.tsv", tmp_path / "subjects.tsv"
    prompts.write_text(f'prompt\tname\ttext\nP4\tred\t"{quoted} {{pronoun}}"\nP6\t\tmake art\n')
    subjects.write_text("subject\tsource\tpronoun\nA\tprocedural\ther\n")
    return avatars_of("A", results / "A", prompts, subjects, ["P4", "P6"], ["low", "high"])


def scores(results: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    options = {"keep_default_na": False, "na_values": [""]}
    tables = results / "tables"
    return (
        pd.read_csv(tables / "avatars.csv", **options),
        pd.read_csv(tables / "views.csv", **options),
    )


def solid(width: int, height: int, color="red") -> Image.Image:
    return Image.new("RGB", (width, height), color)


class TestContactSheets:
    @pytest.mark.parametrize("count", [1, 2, 7, 37, 60])
    def test_a_grid_is_never_wider_than_a_sheet(self, count):
        sheet = grid_sheet("title", "", [Tile(solid(300, 450), "view")] * count)
        assert sheet.width <= SHEET_WIDTH_PX

    def test_a_grid_shows_every_tile(self):
        colors = [(200, 10 * i, 0) for i in range(11)]
        sheet = grid_sheet("", "", [Tile(solid(40, 40, color), "") for color in colors])
        found = {color for _, color in sheet.getcolors(1 << 20)}
        assert found >= set(colors)

    def test_portrait_and_landscape_keep_their_aspect(self):
        tiles = [Tile(solid(100, 50, (250, 0, 0)), "a"), Tile(solid(50, 100, (0, 0, 250)), "b")]
        pixels = np.asarray(grid_sheet("", "", tiles)).astype(int)
        for channel, aspect in ((0, 2.0), (2, 0.5)):
            rows, columns = np.nonzero((pixels[..., channel] > 200) & (pixels[..., 1] < 50))
            width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
            assert width / height == pytest.approx(aspect, rel=0.05)

    def test_a_table_leaves_a_gap_where_a_cycle_lacks_a_view(self):
        table = TableSheet("t", "", ["one", "two"], ["row"], [[solid(60, 90), None]])
        assert draw_table(table).width <= SHEET_WIDTH_PX

    def test_long_names_are_cut_in_the_middle_to_fit(self):
        short = shorten("a_very_long_view_name_from_a_camera_0042", 120)
        assert short.startswith("a_")
        assert short.endswith("42")
        assert "…" in short

    def test_names_with_line_breaks_stay_on_one_line(self):
        assert shorten("a\nb\tc", 400) == "a b c"


class TestPictures:
    def test_evenly_spaced_keeps_both_ends(self):
        chosen = pictures.evenly_spaced(list(range(37)), 5)
        assert chosen[0] == 0
        assert chosen[-1] == 36
        assert len(set(chosen)) == 5

    def test_few_items_are_all_kept(self):
        assert pictures.evenly_spaced("abc", 5) == ["a", "b", "c"]

    def test_a_walk_along_an_arc_visits_the_views_in_order(self, subject):
        cameras = subject.cameras
        walk = pictures.walk_along_rig(cameras)
        assert walk in (sorted(cameras.names), sorted(cameras.names, reverse=True))

    def test_varied_views_of_an_arc_are_its_middle_and_its_ends(self, subject):
        first, *others = pictures.varied_views(subject.cameras, 3)
        assert first == "view_02"
        assert set(others) == {"view_00", "view_04"}
        assert sorted(pictures.varied_views(subject.cameras, 9)) == list(subject.cameras.names)

    def test_the_frontal_view_of_an_arc_is_its_middle(self, subject):
        assert pictures.frontal_view(subject.cameras) == "view_02"

    def test_the_first_view_stands_for_cameras_all_around_a_head(self):
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        poses = np.tile(np.eye(4), (8, 1, 1))
        poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
        poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
        poses[:, 2, 3] = [3, 3, 3, 3, 1, 3, 3, 3]  # The fifth is a close-up.
        names = tuple("abcdefgh")
        matrix = np.array([[50, 0, 16], [0, 50, 16], [0, 0, 1.0]])
        ring = Cameras(names, np.full((8, 2), 32), np.tile(matrix, (8, 1, 1)), poses)
        assert pictures.frontal_view(ring) == "e"
        assert pictures.shown_view(ring) == pictures.varied_views(ring, 3)[0] == "a"
        arc = ring.select(["h", "a", "b"])
        assert pictures.shown_view(arc) == pictures.frontal_view(arc) == "a"

    def test_near_is_brighter_than_far_and_nothing_is_the_backdrop(self):
        depth = np.array([[1.0, 2.0, 0.0]], dtype=np.float32)
        near, far, nothing = np.asarray(pictures.depth_picture(depth, 1.0, 2.0))[0].astype(int)
        assert near.sum() > far.sum()
        assert tuple(nothing) == pictures.BACKDROP

    def test_depth_without_any_surface_still_has_a_range(self):
        low, high = pictures.depth_range([np.zeros((4, 4), np.float32)])
        assert low < high

    def test_outside_of_a_mask_is_gray(self, tmp_path):
        mask = tmp_path / "mask.png"
        pixels = np.zeros((40, 40), np.uint8)
        pixels[:, 20:] = 255
        Image.fromarray(pixels).save(mask)
        shown = np.asarray(pictures.outlined(solid(40, 40, (200, 30, 30)), mask))
        assert np.ptp(shown[5, 5]) == 0
        assert tuple(shown[5, 35]) == (200, 30, 30)
        assert (shown == pictures.OUTLINE).all(axis=2).any()

    def test_a_turned_photograph_is_shown_upright(self, tmp_path):
        path = tmp_path / "turned.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        solid(80, 40).save(path, exif=exif)
        assert pictures.photograph(path, 100).size == (40, 80)

    @pytest.mark.parametrize(("name", "kind"), [("a.heic", "HEIF"), ("a.png", "PNG")])
    def test_photographs_that_are_no_jpeg_are_shown_too(self, tmp_path, name, kind):
        pillow_heif.register_heif_opener()
        pixels = np.full((40, 80), 40_000 if kind == "PNG" else 156, np.uint16)
        pixels = pixels if kind == "PNG" else np.dstack([pixels.astype(np.uint8)] * 3)
        Image.fromarray(pixels).save(tmp_path / name, format=kind)
        shown = np.asarray(pictures.photograph(tmp_path / name, 100))
        assert np.abs(shown.astype(int) - 156).max() <= 2


class TestSheets:
    @pytest.mark.parametrize("stage", ["photographs", "masks", "views", "baseline", "depth"])
    def test_every_stage_has_a_sheet(self, subject, stage):
        sheet = getattr(sheets, f"{stage}_sheet")(subject)
        assert 200 < sheet.width <= SHEET_WIDTH_PX

    def test_avatars_show_what_the_prompts_table_says(self, avatars):
        assert [avatar.name for avatar in avatars] == ["P4_low", "P4_high", "P6_low", "P6_high"]
        assert avatars[0].prompt_text == f"{EVIL} her"
        assert [folder.name for folder in avatars[0].cycles] == ["cycle0", "cycle1"]

    def test_an_avatar_has_a_row_per_chosen_view(self, subject, avatars):
        one = sheets.avatar_sheet(subject, avatars[0], views=1)
        three = sheets.avatar_sheet(subject, avatars[0], views=3)
        assert three.height > 2 * one.height - 150
        assert three.width <= SHEET_WIDTH_PX

    def test_a_subject_without_avatars_still_has_its_pictures(self, subject):
        assert sheets.avatars_sheet(subject, []).width <= SHEET_WIDTH_PX
        assert sheets.strip_sheet(subject, []).width <= SHEET_WIDTH_PX

    def test_strips_of_like_subjects_share_the_heads(self, subject, avatars, tmp_path):
        strip = sheets.strip_sheet(subject, avatars)
        strip.save(tmp_path / "strip.png")
        stack = sheets.stacked_strips([tmp_path / "strip.png"] * 2)
        assert strip.height < stack.height < 2 * strip.height


class TestFigures:
    @pytest.mark.parametrize("figure", sorted(plots.FIGURES))
    @pytest.mark.parametrize("case", ["plain", "one avatar", "no values", "no avatars", "rated"])
    def test_every_figure_can_be_drawn(self, results, tmp_path, figure, case):
        avatars, views = scores(results)
        if case == "one avatar":
            avatars = avatars[(avatars["prompt"] == "P4") & (avatars["strength"] == "low")]
            views = views[(views["prompt"] == "P4") & (views["strength"] == "low")]
        if case == "no values":
            avatars = avatars.assign(rmse=np.nan, rmse_excess=np.nan)
            views = views.assign(rmse=np.nan)
        if case == "no avatars":
            avatars = avatars[avatars["prompt"] == "none"]
            views = views[views["prompt"] == "none"]
        if case == "rated":
            avatars = avatars.assign(quality=[4.0, np.nan, *[1.0, 2.0, 3.0, 4.0]])
        table = views if figure == "by_prompt" else avatars
        write_figure(tmp_path / "figure.png", plots.FIGURES[figure](table, "rmse"))
        assert (tmp_path / "figure.png").stat().st_size > 1000
        assert plt.get_fignums() == []

    def test_low_high_counts_the_pairs_above_the_line(self):
        rows = [("A", "P1", "low", 1.0), ("A", "P1", "high", 2.0)]
        rows += [("A", "P2", "low", 2.0), ("A", "P2", "high", 1.0)]
        table = pd.DataFrame(rows, columns=["subject", "prompt", "strength", "lpips"])
        figure = plots.low_high(table, "lpips")
        assert "in 1 of 2 pairs" in figure.axes[0].get_title(loc="left")
        plt.close(figure)

    def test_without_ratings_the_figure_says_so(self, results):
        figure = plots.by_quality(scores(results)[0], "rmse")
        assert "summary.ratings" in figure.texts[0].get_text()
        plt.close(figure)

    def test_a_running_mean_of_a_constant_is_that_constant(self, tmp_path):
        history = {"iteration": np.arange(200.0), "loss": np.full(200, 0.25)}
        figure = training_curves("t", {"a": history}, ["loss"], marks=[100])
        _, mean, mark = figure.axes[0].lines
        assert np.allclose(mean.get_ydata(), 0.25)
        assert set(mark.get_xdata()) == {100}
        plt.close(figure)

    def test_a_figure_keeps_its_size_and_its_colors_with_a_palette(self, tmp_path):
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.plot([0, 1], color="#0072B2", lw=20)
        write_figure(tmp_path / "f.png", figure)
        with Image.open(tmp_path / "f.png") as picture:
            assert picture.size == (450, 300)
            colors = {color for _, color in picture.convert("RGB").getcolors(1 << 16)}
        assert {(255, 255, 255), (0, 114, 178)} <= colors

    def test_the_legend_of_the_bars_names_strengths_and_both_references(self, results):
        figure = plots.by_subject(scores(results)[0], "rmse")
        names = [text.get_text() for text in figure.legends[0].get_texts()]
        assert names == ["low", "high", "baseline", "floor: photographs"]
        plt.close(figure)

    def test_curves_leave_out_columns_without_values(self, tmp_path):
        path = tmp_path / "history.tsv"
        path.write_text("iteration\tloss\tpsnr\n0\t1.0\t\n1\t0.5\t\n")
        history = read_history(path)
        figure = training_curves("t", {"a": history}, ["loss", "psnr", "splats"])
        assert [axes.get_ylabel() for axes in figure.axes] == ["loss"]
        plt.close(figure)


def cells(html: str) -> list[list[str]]:
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in body.split("<tr>")[1:]]


class TestTablePages:
    @pytest.mark.parametrize("name", ["avatars", "views", "strengths"])
    def test_a_page_has_every_row_of_its_table(self, results, name):
        rows = read_rows(results / "tables" / f"{name}.csv", RESULT)
        shown = cells(table_page(*summaries.PAGES[name][:2], rows))
        assert len(shown) == len(rows)
        assert all(len(line) == len(rows[0]) for line in shown)

    @pytest.mark.parametrize("name", ["thresholds", "agreement"])
    def test_an_empty_table_says_why(self, results, name):
        title, intro, empty = summaries.PAGES[name]
        html = table_page(
            title, intro, read_rows(results / "tables" / f"{name}.csv", RESULT), empty
        )
        assert "<table" not in html
        assert "summary.ratings" in html

    def test_text_from_data_cannot_become_markup(self):
        html = table_page("t", EVIL, [{EVIL: EVIL, "rmse": "0.5"}])
        assert "<script>alert" not in html
        assert html.count(escape(EVIL)) >= 2

    def test_numbers_of_a_column_have_equal_decimals(self):
        rows = [{"rmse": "0.0612345"}, {"rmse": "0.1"}, {"rmse": ""}]
        assert cells(table_page("", "", rows)) == [["0.0612"], ["0.1000"], ["–"]]

    def test_counts_have_no_decimals(self):
        assert cells(table_page("", "", [{"splats": "12345.0"}])) == [["12,345"]]

    def test_a_tiny_probability_is_not_shown_as_zero(self):
        assert cells(table_page("", "", [{"wilcoxon_p": "3.2e-7"}])) == [["3e−07"]]

    def test_subjects_named_by_numbers_stay_text(self):
        assert cells(table_page("", "", [{"subject": "007"}])) == [["007"]]

    def test_a_page_too_large_for_the_report_is_cut_and_says_so(self):
        rows = [{"view": f"view_{i}", "rmse": "0.123456"} for i in range(40_000)]
        html = table_page("t", "", rows)
        assert len(html.encode()) <= MAX_PAGE_BYTES
        assert "of 40,000 rows" in html

    def test_settings_show_what_the_study_has_in_their_place(self):
        study = {"seed": 0, "baseline": {"iterations": 30000, "sh_degree": 3}}
        run = {"baseline": {"iterations": 900, "extra": 1, "sh_degree": 3}, "seed": 0}
        rows = [tuple(row.values()) for row in settings_rows(run, study)]
        assert rows == [
            ("seed", "0", ""),
            ("baseline.iterations", "900", "30000"),
            ("baseline.sh_degree", "3", ""),
            ("baseline.extra", "1", "(not set)"),
        ]

    def test_columns_that_no_subject_fills_are_left_out(self, results):
        paths = [str(results / "A" / "baseline" / "metrics.json")]
        found = summaries.baseline_rows(["A"], paths)[0]
        given = {key for key, value in read_json(paths[0]).items() if value is not None}
        assert set(found) - {"subject"} <= given

    def test_settings_are_flat_and_complete(self):
        config = {"a": {"b": [1, 2], "c": None}, "d": True, "e": {}}
        shown = {row["key"]: row["value"] for row in flat_settings(config)}
        assert shown == {"a.b": "1, 2", "a.c": "null", "d": "true", "e": "(empty)"}

    def test_pose_errors_stand_only_with_subjects_that_have_a_truth(self, results):
        poses = [str(results / "A" / "poses" / "poses.json")] * 2
        truth = [str(results / "A" / "poses" / "truth.json")]
        first, second = summaries.poses_rows(["A", "B"], poses, truth)
        assert first["center_max_percent"] == pytest.approx(0.34)
        assert second["center_max_percent"] is None
        assert first["registered"] == 5
        assert "too few matches" in first["reasons"]


class TestPages:
    def test_the_comparing_page_keeps_its_limit_and_its_views(self, subject, avatars):
        html = compare_page(subject, avatars[:2], 300_000)
        data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))
        assert len(html.encode()) <= 300_000
        assert data["views"] == pictures.walk_along_rig(subject.cameras)
        layers = data["avatars"]["P4_high"]["layers"]
        assert [layer["name"] for layer in layers] == ["edit, cycle 0", "edit, cycle 1", "avatar"]
        assert all(len(layer["pictures"]) == 5 for layer in layers)

    def test_the_true_edit_stands_last_where_it_is_known(self, subject, avatars):
        truth = subject.views.parent / "true_edits" / avatars[0].prompt
        shutil.copytree(subject.views, truth)
        html = compare_page(subject, avatars[:2], 300_000)
        shutil.rmtree(truth.parent)
        data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))
        assert [layer["name"] for layer in data["references"]] == ["true edit"]
        assert data["references"][0]["pictures"] == data["layers"][0]["pictures"]

    def test_a_small_limit_shows_fewer_views(self, subject, avatars):
        html = compare_page(subject, avatars[:2], 20_000)
        data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))
        assert len(data["views"]) < 5

    def test_a_prompt_cannot_end_the_script_that_holds_it(self, subject, avatars):
        html = compare_page(subject, avatars[:1], 300_000)
        assert "</script> &" not in html
        data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))
        assert data["avatars"]["P4_low"]["text"] == avatars[0].prompt_text

    @pytest.fixture
    def entry(self, results, subject, tmp_path):
        strip = tmp_path / "strip.jpg"
        sheets.strip_sheet(subject, []).save(strip)
        folder = results / "A"
        return {
            "strip": strip,
            "poses": read_json(folder / "poses" / "poses.json"),
            "baseline": read_json(folder / "baseline" / "metrics.json"),
        }

    def test_the_overview_says_which_filters_stood_in_for_an_editor(self, entry):
        html = overview_page({"A": entry}, [], {}, METRICS, shown=4, note=editor_note(CONTROL))
        assert "No diffusion model took part" in html
        assert "(recolor)" in html
        assert "per_view_randomness 0.3" in html
        trained = {"editor": "instruct_pix2pix", "model": "mini", "revision": None}
        html = overview_page({"A": entry}, [], {}, METRICS, 4, editor_note(trained), True)
        assert "No diffusion model" not in html
        said = "The edits come from headstyle&#x27;s own small model under the MIT license."
        assert f'<p class="note">{said}</p>' in html
        assert (note_is_harmless(trained), note_is_harmless(CONTROL)) == (True, False)

    def test_the_first_page_says_what_was_dropped_and_what_that_costs(self, entry):
        html = overview_page({"A": entry}, [], {}, METRICS, shown=4)
        assert "5 of 6 photographs have a pose. Left out: blurred_&lt;b&gt;." in html
        assert "the splats do not show or guess" in html
        assert "poses.go_on" not in html

    def test_views_that_are_enough_to_go_on_are_told_as_few(self):
        names = [f"v{i}" for i in range(13)]
        poses = {
            "registered": names,
            "dropped": {f"lost{i:02d}": "why" for i in range(10)},
            "went_on": True,
            "attempts": [{}, {}],
            "captures": [names, ["x", "y", "z"]],
        }
        note = views_note(poses)
        assert "13 of 23 photographs have a pose" in note
        assert "lost07 and 2 others." in note
        assert "after 2 attempts. The run went on because poses.go_on" in note
        assert "2 parts that do not overlap: v0, v1, v2, v3, v4, v5, v6, v7 and 5 others" in note
        assert "x, y, z" in note
        assert views_note({"registered": names, "dropped": {}}) == ""

    def test_the_overview_counts_avatars_better_than_their_own_baseline(self, entry):
        rows = [
            {"subject": s, "prompt": p, "strength": "low", "rmse": str(value), "ssim": str(value)}
            for s, p, value in (
                ("A", "none", 0.04),
                ("A", "photographs", 0.05),
                ("A", "P4", 0.03),
                ("A", "P6", 0.06),
                ("B", "none", 0.01),
                ("B", "P4", 0.03),
            )
        ]
        html = overview_page({"A": entry}, rows, {}, ["rmse"], shown=4, note=editor_note(CONTROL))
        assert "own head: 1 of 3 by RMSE." in html
        # Of a similarity higher is better.
        html = overview_page({"A": entry}, rows, {}, ["ssim"], shown=4, note=editor_note(CONTROL))
        assert "own head: 2 of 3 by SSIM." in html

    def test_the_overview_shows_all_scenes_and_escapes_prompts(self, results, entry):
        rows = read_rows(results / "tables" / "avatars.csv", RESULT)
        note = editor_note(CONTROL)
        html = overview_page({"A": entry}, rows, {"P4": EVIL}, METRICS, shown=4, note=note)
        assert "<script>alert" not in html
        assert "1 head, 4 stylized avatars" in html
        assert len(cells(html)) == 6
        assert "5 of 6" in html
        assert "http" not in html.replace("http-equiv", "")

    def test_pages_need_no_other_file(self, subject, avatars):
        html = compare_page(subject, avatars[:1], 300_000)
        assert not re.search(r'(src|href)="(?!data:)', html)
