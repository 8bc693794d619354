"""True edits of procedural heads: where they change what, and where nothing."""

import dataclasses
import hashlib

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.base.images import to_srgb
from headstyle.capture.head import light_surface, sculpt_head, synthesize_head
from headstyle.capture.identity import RESERVED_SEEDS, draw_identity
from headstyle.capture.operators import (
    COLORS,
    OPERATORS,
    STUDY_OPERATORS,
    Edit,
    edit_surface,
)
from headstyle.capture.operators.base import luminance
from headstyle.capture.photograph import photograph_views, scene_of
from headstyle.capture.primitives.shapes import vertex_normals
from headstyle.capture.rig import CaptureSettings, study_rig
from headstyle.capture.surface import Part
from skimage.color import rgb2hsv

COARSENESS = 3.0
SETTINGS = CaptureSettings(120, 2, 2, 0, 22, 22.3, 2, 95)
OF_THE_STUDY = tuple(STUDY_OPERATORS.values())
ONLY_PAINT = ("red_hair_blue_shirt", *(n for n, o in OPERATORS.items() if o.takes_color))


@pytest.fixture(scope="module")
def head():
    return sculpt_head(1, COARSENESS)


@pytest.fixture(scope="module")
def stranger():
    """A training head with a mouth a little open."""
    seed = next(s for s in range(1000, 1100) if draw_identity(s).mouth_opening_mm > 1)
    return sculpt_head(seed, COARSENESS)


def request(operator, strength=1.0, color="blue"):
    return Edit(operator, strength, color if OPERATORS[operator].takes_color else None)


def edited(surface, operator, strength=1.0, color="blue"):
    return edit_surface(surface, request(operator, strength, color))


def added(before, after):
    return after.vertices[len(before.vertices) :]


def content(surface):
    arrays = (surface.vertices, surface.faces, surface.albedo, surface.parts)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def hue_of(albedo):
    return rgb2hsv(to_srgb(albedo)[:, None])[:, 0, 0] * 360


def test_the_study_has_eight_operators_and_the_others_take_a_color():
    assert list(STUDY_OPERATORS) == [f"P{i}" for i in range(1, 9)]
    assert not any(OPERATORS[name].takes_color for name in OF_THE_STUDY)
    assert all(o.takes_color for name, o in OPERATORS.items() if name not in OF_THE_STUDY)


@pytest.mark.parametrize("operator", OPERATORS)
def test_strength_0_returns_the_same_surface(head, operator):
    assert edited(head, operator, 0) is head


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_same_edit_twice_gives_the_same_bytes_and_leaves_the_head_alone(head, operator):
    before = content(head)
    first, second = edited(head, operator), edited(head, operator)
    assert content(first) == content(second) != before
    assert content(head) == before


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_edited_surface_is_whole(head, stranger, operator):
    for surface in (head, stranger):
        after = edited(surface, operator, 1.2)
        count = len(surface.vertices)
        assert len(after.vertices) == len(after.albedo) == len(after.parts) >= count
        assert (after.parts[:count] == surface.parts).all()
        assert (after.parts[count:] == Part.EXTRA).all()
        assert 0 <= after.faces.min() <= after.faces.max() < len(after.vertices)
        assert np.isfinite(after.vertices).all()
        assert after.albedo.dtype == np.float32
        assert after.albedo.min() >= 0
        assert after.albedo.max() <= 1


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "cowboy_hat"])
def test_a_faint_edit_changes_little_and_a_stronger_one_more(head, operator):
    count = len(head.vertices)
    changes = []
    for strength in (0.02, 0.5, 1.0):
        after = edited(head, operator, strength)
        paint = np.abs(after.albedo[:count] - head.albedo).mean()
        shape = np.abs(after.vertices[:count] - head.vertices).mean() / 0.01
        changes.append(paint + shape)
    faint, half, full = changes
    assert 0 < faint < 0.05 * full
    assert 1.5 * faint < half < 0.8 * full


@pytest.mark.parametrize("operator", ["rabbit", "elf", "cowboy_hat"])
def test_what_an_edit_adds_grows_with_its_strength(head, operator):
    tops = [added(head, edited(head, operator, s))[:, 1].max() for s in (0.3, 0.6, 1.0)]
    assert tops == sorted(tops)
    assert tops[-1] > tops[0] + 0.01


@pytest.mark.parametrize("operator", ONLY_PAINT)
def test_recoloring_moves_nothing(head, operator):
    after = edited(head, operator)
    assert (after.vertices == head.vertices).all()
    assert (after.faces == head.faces).all()


@pytest.mark.parametrize(
    ("operator", "parts"),
    [
        ("red_hair_blue_shirt", {Part.HAIR, Part.BROW, Part.BEARD, Part.SHIRT}),
        ("hair_color", {Part.HAIR, Part.BROW, Part.BEARD}),
        ("shirt_color", {Part.SHIRT}),
        ("skin_color", {Part.SKIN, Part.LIPS}),
        ("eye_color", {Part.EYE}),
        ("lip_color", {Part.LIPS}),
    ],
)
def test_recoloring_paints_its_parts_and_no_other(head, operator, parts):
    after = edited(head, operator, color="green")
    painted = (after.albedo != head.albedo).any(axis=1)
    assert {Part(part) for part in np.unique(head.parts[painted])} == parts


def test_red_hair_is_red_and_a_blue_shirt_blue(head, stranger):
    for surface in (head, stranger):
        after = edited(surface, "red_hair_blue_shirt")
        hair, shirt = after.parts == Part.HAIR, after.parts == Part.SHIRT
        red = hue_of(after.albedo[hair])
        assert (np.minimum(red, 360 - red) < 20).mean() > 0.99
        assert (np.abs(hue_of(after.albedo[shirt]) - 225) < 20).all()


@pytest.mark.parametrize("color", COLORS)
def test_a_named_color_is_what_a_shirt_becomes(head, color):
    shirt = head.parts == Part.SHIRT
    albedo = np.median(edited(head, "shirt_color", color=color).albedo[shirt], axis=0)
    assert to_srgb(albedo) == pytest.approx(COLORS[color], abs=0.06)


def test_the_pupil_and_the_white_of_the_eye_keep_their_colors(head):
    after = edited(head, "eye_color", color="green")
    x, y, _ = (head.vertices * 1000 - head.frame.eye).T
    radius = np.hypot(x, y)
    eye = (head.parts == Part.EYE) & (head.vertices[:, 0] > 0)
    untouched = eye & ((radius > 7) | (radius < 2))
    assert (after.albedo[untouched] == head.albedo[untouched]).all()
    iris = eye & (radius > 4) & (radius < 5)
    assert (np.abs(hue_of(after.albedo[iris]) - 131) < 15).mean() > 0.9


def test_stone_is_grey_everywhere(head, stranger):
    for surface in (head, stranger):
        after = to_srgb(edited(surface, "stone").albedo)
        assert np.ptp(after, axis=1).max() < 0.02
        assert after.std() > 0.03  # it has grain


def test_a_hat_sits_above_the_brows_and_hides_the_hair_under_it(head):
    after = edited(head, "cowboy_hat")
    hat = added(head, after)
    brows = head.vertices[head.parts == Part.BROW, 1]
    assert hat[:, 1].min() > brows.mean()
    assert hat[:, 1].max() > head.vertices[:, 1].max() + 0.02
    for axis in (0, 2):
        assert np.ptp(hat[:, axis]) > np.ptp(head.vertices[head.parts == Part.HAIR, axis]) + 0.05
    seen = np.unique(after.faces)
    hair = seen[(seen < len(head.parts)) & (after.parts[seen] == Part.HAIR)]
    assert after.vertices[hair, 1].max() < 0.075


def test_nothing_sticks_out_of_a_hat():
    for seed in (4, 1006, 1009):  # the high hair of curls
        after = edited(sculpt_head(seed, COARSENESS), "cowboy_hat")
        used = np.unique(after.faces)
        other = used[after.parts[used] != Part.EXTRA]
        assert after.vertices[other, 1].max() < 0.08


@pytest.mark.parametrize(("operator", "rise_m"), [("rabbit", 0.06), ("elf", 0.02)])
def test_long_ears_reach_higher_than_the_ears_they_replace(head, operator, rise_m):
    ears = added(head, edited(head, operator))
    above = head.vertices[:, 1].max() if operator == "rabbit" else 0.001 * (head.frame.ear[1] + 31)
    for side in (-1, 1):
        assert ears[ears[:, 0] * side > 0, 1].max() > above + rise_m


def test_a_rabbit_has_fur_instead_of_skin_and_keeps_its_shirt(head):
    after = edited(head, "rabbit")
    shirt = head.parts == Part.SHIRT
    assert (after.albedo[: len(head.parts)][shirt] == head.albedo[shirt]).all()
    nose = np.linalg.norm(head.vertices * 1000 - head.frame.nose_tip, axis=1).argmin()
    red, green, blue = after.albedo[nose]
    assert red > 1.5 * green
    assert red > 1.5 * blue


@pytest.mark.parametrize("operator", ["rabbit", "cowboy_hat"])
def test_what_is_added_has_a_color_that_the_hair_tells(head, operator):
    def color(seed, hair):
        who = dataclasses.replace(head.who, seed=seed, hair=hair)
        after = edited(dataclasses.replace(head, who=who), operator)
        return np.median(after.albedo[len(head.albedo) :], axis=0)

    dark, same, bright = color(1, (0.1, 0.1, 0.1)), color(2, (0.1, 0.1, 0.1)), color(1, (0.9,) * 3)
    assert np.abs(dark - same).max() < 0.03
    assert luminance(bright) > luminance(dark) + 0.05


def test_an_elf_is_paler(head, stranger):
    dark = sculpt_head(3, COARSENESS)
    for surface in (head, stranger, dark):
        skin = surface.parts == Part.SKIN
        after = edited(surface, "elf").albedo[: len(skin)]
        assert luminance(after[skin]).mean() > luminance(surface.albedo[skin]).mean()


def test_plastic_is_smoother_and_each_part_has_one_color(head):
    after = edited(head, "plastic")
    for part in set(Part) - {Part.EYE, Part.EXTRA}:
        assert np.ptp(after.albedo[head.parts == part], axis=0).max() < 1e-3
    roughness = []
    for surface in (head, after):
        normals = vertex_normals(surface.vertices.astype(np.float32), surface.faces)
        hair = surface.faces[(surface.parts[surface.faces] == Part.HAIR).all(axis=1)]
        turns = np.einsum("ij,ij->i", normals[hair[:, 0]], normals[hair[:, 1]])
        roughness.append(1 - turns.mean())
    assert roughness[1] < 0.5 * roughness[0]


def test_paint_is_more_colorful_than_the_head_and_in_strokes(head):
    after = edited(head, "van_gogh")
    skin = head.parts == Part.SKIN
    before, painted = (to_srgb(surface.albedo[skin]) for surface in (head, after))
    assert np.ptp(painted, axis=1).mean() > 1.2 * np.ptp(before, axis=1).mean()
    assert painted.std(axis=0).mean() > 1.5 * before.std(axis=0).mean()


def test_a_smile_lifts_the_corners_of_the_mouth_and_nothing_above_the_eyes(head, stranger):
    for surface in (head, stranger):
        after = edited(surface, "smile")
        moved = after.vertices - surface.vertices
        frame = surface.frame
        mm = surface.vertices * 1000
        above = mm[:, 1] > frame.eye[1] + frame.eye_upper
        assert (moved[above] == 0).all()
        assert (after.albedo[above] == surface.albedo[above]).all()
        x, y = np.abs(mm[:, 0]), mm[:, 1] - frame.mouth_y
        corner = (np.hypot(x - frame.mouth_half_width, y) < 4) & (mm[:, 2] > 50)
        assert moved[corner, 1].mean() > 0.005
        for side in (-1, 1):
            outwards = side * moved[corner & (mm[:, 0] * side > 0), 0]
            assert outwards.mean() > 0.003


def test_a_smile_shows_white_teeth(head, stranger):
    for surface in (head, stranger):
        before, after = surface.albedo, edited(surface, "smile").albedo
        teeth = (luminance(after) > luminance(before) + 0.2) & (surface.vertices[:, 2] > 0.05)
        assert teeth.sum() > 20
        assert np.abs(surface.vertices[teeth, 1] * 1000 - surface.frame.mouth_y).max() < 6
        assert luminance(after[teeth]).max() > 0.6


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (Edit("beard_off"), "beard_off"),
        (Edit("stone", -0.1), "-0.1"),
        (Edit("stone", float("nan")), "nan"),
        (Edit("hair_color"), "None"),
        (Edit("hair_color", 1.0, "mauve"), "mauve"),
        (Edit("stone", 1.0, "red"), "red"),
    ],
)
def test_a_wrong_edit_is_named(head, edit, named):
    with pytest.raises(InputError, match=named):
        edit_surface(head, edit)


def test_a_synthesized_edit_is_the_lit_edit_of_the_sculpted_head():
    edit = Edit("cowboy_hat")
    at_once = synthesize_head(2, 2 * COARSENESS, edit)
    in_steps = light_surface(edit_surface(sculpt_head(2, 2 * COARSENESS), edit))
    for field in dataclasses.fields(at_once):
        assert np.array_equal(getattr(at_once, field.name), getattr(in_steps, field.name))


@pytest.mark.parametrize("operator", OF_THE_STUDY)
def test_every_edit_is_inside_every_frame_of_the_rig(operator):
    cameras = study_rig(CaptureSettings(1536, 4, 7, 9, 22, 22.3, 2, 95)).cameras
    for seed in (1, 4):
        after = edited(sculpt_head(seed, 2 * COARSENESS), operator)
        for i in range(len(cameras)):
            pose, (width, height) = cameras.world_to_camera[i], cameras.sizes[i]
            x, y, z = cameras.intrinsics[i] @ (pose[:3, :3] @ after.vertices.T + pose[:3, 3:])
            assert 0 < (x / z).min() < (x / z).max() < width, cameras.names[i]
            assert 0 < (y / z).min() < (y / z).max() < height, cameras.names[i]


def test_views_have_alpha_1_inside_0_outside_and_depth_where_the_head_is():
    mesh = synthesize_head(1, 2 * COARSENESS, Edit("stone"))
    cameras = study_rig(SETTINGS).cameras
    views = list(photograph_views(mesh, cameras, 2))
    assert len(views) == len(cameras)
    for (image, depth), (width, height) in zip(views, cameras.sizes, strict=True):
        assert image.shape == (height, width, 4)
        assert image.dtype == depth.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
        assert set(np.unique(image[..., 3])) <= {0, 0.25, 0.5, 0.75, 1}
        assert (image[image[..., 3] == 0] == 0).all()
        assert (depth[image[..., 3] == 1] > 0.3).mean() > 0.999
        assert (depth[image[..., 3] == 0] == 0).mean() > 0.999
        inside = image[image[..., 3] > 0, :3]
        assert np.ptp(inside, axis=1).mean() < 0.1  # stone, in a light almost white
    assert scene_of(mesh) is not None


def test_no_two_of_200_training_heads_are_alike():
    heads = [draw_identity(seed) for seed in range(1000, 1200)]
    for trait in ("skin", "hair", "eye", "clothes", "jaw_width", "nose_length", "hair_volume"):
        assert len({getattr(who, trait) for who in heads}) == 200, trait
    assert {who.hairstyle for who in heads} == {"short", "long", "bob", "curly", "buzz", "bald"}
    assert {who.pattern for who in heads} == {"plaid", "yoke", "dots", "stripes", "plain"}
    for trait in ("lip_tint", "eye_shadow", "beard", "mouth_opening_mm"):
        assert 0.03 < np.mean([bool(getattr(who, trait)) for who in heads]) < 0.7, trait


def test_reserved_heads_have_none_of_the_traits_drawn_freely():
    plain = {
        field.name: field.default
        for field in dataclasses.fields(draw_identity(1))
        if field.default is not dataclasses.MISSING
    }
    for seed in RESERVED_SEEDS:
        who = draw_identity(seed)
        assert who.reserved
        assert {name: getattr(who, name) for name in plain} == plain
    assert not draw_identity(100).reserved


def test_every_hairstyle_can_be_sculpted():
    wanted = {"short", "long", "bob", "curly", "buzz", "bald"}
    for seed in range(1000, 1100):
        who = draw_identity(seed)
        if who.hairstyle in wanted:
            wanted.remove(who.hairstyle)
            surface = sculpt_head(seed, 2 * COARSENESS)
            hair = surface.vertices[surface.parts == Part.HAIR]
            assert (len(hair) == 0) == (who.hairstyle == "bald")
            assert content(surface) == content(sculpt_head(seed, 2 * COARSENESS))
    assert not wanted
