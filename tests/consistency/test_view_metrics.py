"""Truths about metrics that look at whole views: epipolar lines, CLIP, the re-fitted scene."""

import runpy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from analytic import cameras_around, photograph, texture
from headstyle.base.cameras import write_cameras
from headstyle.base.errors import InputError
from headstyle.base.images import write_image
from headstyle.consistency.metrics import load_metrics, required_weights
from headstyle.consistency.metrics.tsed import epipolar_distances, fundamental_matrix
from headstyle.consistency.parts.clip import Clip, clip_files, download_clip, head_square
from headstyle.consistency.parts.clip_path import clip_along_path
from headstyle.consistency.scoring import score
from headstyle.rendering.splats import splats_from_points
from job_files import Files
from safetensors.torch import load_file
from study import ROOT
from tiny_pipeline import write_tokenizer
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

CPU = torch.device("cpu")
RED, BLUE = np.float32([0.3, -0.2, -0.2, 0]), np.float32([-0.2, -0.2, 0.3, 0])


def spots(points):
    """A texture with many distinct corners."""
    draw = np.random.default_rng(0)
    waves = np.sin(points @ draw.normal(0, 14, (3, 24)) + draw.uniform(0, 6, 24))
    return np.clip(0.5 + 0.12 * waves @ draw.normal(0, 1, (24, 3)), 0, 1)


def tinted(images, tints):
    return [np.clip(image + tint, 0, 1) for image, tint in zip(images, tints, strict=True)]


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-8, 0, 8], [(160, 200)] * 3)
    return cameras, *photograph(cameras, colors=spots)


def test_a_point_lies_on_its_own_epipolar_lines():
    cameras = cameras_around([-8, 30], [(160, 200)] * 2)
    points = np.random.default_rng(0).normal(0, 0.3, (20, 3))
    places = []
    for view in range(2):
        seen = points @ cameras.world_to_camera[view, :3, :3].T
        seen = (seen + cameras.world_to_camera[view, :3, 3]) @ cameras.intrinsics[view].T
        places.append(seen[:, :2] / seen[:, 2:])
    matrix = fundamental_matrix(cameras, 0, 1)
    np.testing.assert_allclose(epipolar_distances(matrix, *places), 0, atol=1e-9)
    # The cameras turn around the vertical: moving up leaves the lines by about as much.
    distances = epipolar_distances(matrix, places[0], places[1] + (0, 2))
    assert np.median(distances) == pytest.approx(2, rel=0.1)


def test_views_of_one_surface_match_on_epipolar_lines_and_displaced_ones_do_not(head):
    cameras, images, depths = head
    settings = {"names": ["tsed"]}
    assert (score(images, depths, cameras, settings=settings)["tsed"] == 1).all()
    displaced = [images[0], np.roll(images[1], 9, axis=0), images[2]]
    table = score(displaced, depths, cameras, settings=settings).set_index(["target", "source"])
    assert table["tsed"]["v0", "v1"] == 0
    assert table["tsed"]["v2", "v0"] == 1


def test_views_without_matches_are_inconsistent_and_backgrounds_give_none(head):
    cameras, images, depths = head
    draw = np.random.default_rng(0)
    settings = {"names": ["tsed"]}
    plain = [np.where(image[..., 3:] > 0, np.float32([0.5, 0.5, 0.5, 1]), 0) for image in images]
    assert (score(plain, depths, cameras, settings=settings)["tsed"] == 0).all()
    noise = draw.random((200, 160, 4)).astype(np.float32) * (1, 1, 1, 0)
    loud = [np.where(image[..., 3:] > 0, image, noise) for image in images]
    assert (score(loud, depths, cameras, settings=settings)["tsed"] == 1).all()
    assert score(images, depths, cameras, [("v0", "v0")], settings=settings)["tsed"].isna().all()


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    """A CLIP model of random weights, in the format of the hub."""
    folder = tmp_path_factory.mktemp("clip")
    tokenizer = write_tokenizer(folder / "tokenizer")
    text = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 24,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    size = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    vision = {"image_size": 32, "patch_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPConfig(text_config=text | size, vision_config=vision | size, projection_dim=16)
        CLIPModel(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    shape = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=shape).save_pretrained(
        folder / "model"
    )
    return str(folder / "model")


CLIP = ["clip_consistency", "clip_similarity"]


def test_the_same_edit_in_all_views_has_one_direction_in_clip_and_unlike_edits_have_several(
    head, clip_model
):
    cameras, images, depths = head
    settings = {"names": CLIP, "clip_model": clip_model}
    given = {"unedited": images, "instruction": "Paint it red", "settings": settings}
    alike = score(tinted(images, [RED] * 3), depths, cameras, **given)
    unlike = score(tinted(images, [RED, BLUE, RED]), depths, cameras, **given)
    assert (alike["clip_consistency"] > 0.9).all()
    different = unlike.set_index(["target", "source"])["clip_consistency"]
    assert different["v0", "v1"] < alike["clip_consistency"].min()
    assert alike[CLIP].abs().max(axis=None) <= 1 + 1e-6
    # The similarity is the target's own.
    assert unlike.groupby("target")["clip_similarity"].nunique().eq(1).all()
    untold = score(tinted(images, [RED] * 3), depths, cameras, **given | {"instruction": None})
    assert untold["clip_similarity"].isna().all()


def test_clip_similarity_is_the_cosine_of_the_edits_and_the_texts_directions(head, clip_model):
    cameras, images, depths = head
    edited = tinted(images, [RED] * 3)
    settings = {"names": CLIP, "clip_model": clip_model, "clip_neutral_text": "a head"}
    given = {"unedited": images, "instruction": "Paint it red", "settings": settings}
    table = score(edited, depths, cameras, [("v0", "v1")], **given)
    clip = Clip(clip_model, CPU)
    after, before = (
        head_square(torch.tensor(i[0][..., :3]), mask, mask)
        for mask in (torch.tensor(images[0][..., 3] > 0.5),)
        for i in (edited, images)
    )
    moved = torch.sub(*clip.embed_images([after, before]))
    meant = torch.sub(*clip.embed_texts(["Paint it red", "a head"]))
    expected = torch.nn.functional.cosine_similarity(moved, meant, dim=0)
    assert table["clip_similarity"][0] == pytest.approx(float(expected), abs=1e-5)


def cosines(first, second):
    return torch.nn.functional.cosine_similarity(first, second, dim=-1)


@pytest.mark.parametrize("frame", ["head", "whole"])
def test_the_scores_of_other_papers_are_the_cosines_that_they_define(head, clip_model, frame):
    cameras, images, depths = head
    edited, captions = tinted(images, [RED] * 3), ("a photo of a head", "a red head")
    settings = {
        "names": ["clip_direction", "clip_caption", "clip_image"],
        "clip_model": clip_model,
        "clip_frame": frame,
    }
    given = {"unedited": images, "settings": settings}
    table = score(edited, depths, cameras, [("v0", "v1")], captions=captions, **given)
    clip, mask = Clip(clip_model, CPU), torch.tensor(images[0][..., 3] > 0.5)
    shown = mask if frame == "head" else torch.ones_like(mask)
    squares = [head_square(torch.tensor(i[0][..., :3]), mask, shown) for i in (edited, images)]
    after, before = clip.embed_images(squares)
    said_before, said_after = clip.embed_texts(captions)
    expected = {
        "clip_direction": cosines(after - before, said_after - said_before),
        "clip_caption": cosines(after, said_after),
        "clip_image": cosines(after, before),
    }
    for name, value in expected.items():
        assert table[name][0] == pytest.approx(float(value), abs=1e-5), name
    untold = score(edited, depths, cameras, [("v0", "v1")], **given)
    assert untold[["clip_direction", "clip_caption"]].isna().all(axis=None)
    same = score(images, depths, cameras, [("v0", "v1")], **given)
    assert same["clip_image"][0] == pytest.approx(1, abs=1e-5)


def test_along_a_closed_path_the_same_edit_is_consistent_and_changing_ones_are_not(
    head, clip_model
):
    _, images, _ = head
    path = [images[i] for i in (0, 1, 2, 1, 0, 1, 2, 1)]
    clip = Clip(clip_model, CPU)
    captions = ("a photo of a head", "a red head")
    alike = clip_along_path(clip, tinted(path, [RED] * 8), path, captions)
    turned = clip_along_path(clip, tinted(path, [RED, BLUE] * 4), path)
    assert alike["short_clip_consistency"] > 0.9
    assert turned["short_clip_consistency"] < alike["short_clip_consistency"] - 0.1
    # Frames 7 apart on a closed path of 8 are neighbors in the other direction.
    assert alike["long_clip_consistency"] == pytest.approx(alike["short_clip_consistency"])
    assert np.isnan(turned["clip_direction"])
    assert -1 <= alike["clip_direction"] <= 1


def test_the_scores_of_a_film_are_written_as_one_row(head, clip_model, tmp_path):
    cameras, images, _ = head
    for name, frames in (("edited", tinted(images, [RED] * 3)), ("before", images)):
        (tmp_path / name).mkdir()
        write_cameras(tmp_path / name / "cameras.json", cameras)
        for view, frame in zip(cameras.names, frames, strict=True):
            write_image(tmp_path / name / f"{view}.png", frame.astype(np.float32))
    job = SimpleNamespace(
        input=Files(frames=str(tmp_path / "edited"), unedited=str(tmp_path / "before")),
        output=Files(scores=str(tmp_path / "clip.csv")),
        params=SimpleNamespace(
            labels=["A", "P3", "low"],
            captions=["a head", "a red head"],
            metrics={"clip_model": clip_model, "clip_revision": None, "clip_frame": "head"},
        ),
        log=[str(tmp_path / "log.txt")],
        rule="clip_of_film",
        threads=1,
        resources={},
    )
    script = str(ROOT / "workflow_scripts" / "clip_of_film.py")
    runpy.run_path(script, {"snakemake": job}, run_name="__main__")
    row = pd.read_csv(tmp_path / "clip.csv").iloc[0]
    assert list(row[["subject", "prompt", "strength", "frames"]]) == ["A", "P3", "low", 3]
    assert row["short_clip_consistency"] > 0.9
    assert abs(row["clip_direction"]) <= 1


def test_a_head_is_embedded_in_its_own_square_wherever_it_stands():
    colors, mask = torch.rand(20, 30, 3), torch.zeros(20, 30, dtype=torch.bool)
    mask[4:10, 5:17] = True
    square = head_square(colors, mask, mask)
    assert square.shape == (12, 12, 3)
    assert torch.equal(square[3:9], colors[4:10, 5:17])
    assert (square[:3] == 0.5).all()
    moved = (image.roll((3, 9), (0, 1)) for image in (colors, mask, mask))
    assert torch.equal(head_square(*moved), square)


def test_a_missing_clip_model_is_told_with_the_ways_out(head, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for model, message in (
        (None, r"metrics\.clip_model is null: .* name it, or take them out"),
        ("nobody/nothing", r"config\.json is missing: .* nor in the hub's cache"),
        (str(tmp_path), r"config\.json is missing"),
    ):
        settings = {"clip_model": model, "clip_revision": "0" * 40}
        with pytest.raises(InputError, match=message):
            required_weights(settings | {"names": ["clip_consistency"]})
        with pytest.raises(InputError, match=message):
            load_metrics(settings | {"names": ["clip_similarity"]}, CPU)


def test_a_clip_model_of_the_hub_needs_its_commit():
    settings = {"names": ["clip_consistency"], "clip_model": "openai/clip-vit-base-patch32"}
    with pytest.raises(InputError, match=r"clip_revision is null.*needs its commit"):
        required_weights(settings)
    with pytest.raises(InputError, match="clip_revision is null"):
        download_clip("openai/clip-vit-base-patch32")


def test_a_clip_model_states_its_files_and_a_broken_one_is_told(clip_model, tmp_path):
    paths = clip_files(clip_model)
    assert len(load_file(paths[1])) > 10
    for path in paths:
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as a CLIP model"):
        Clip(str(tmp_path), CPU)


def test_clip_without_unedited_views_is_told(head, clip_model):
    cameras, images, depths = head
    settings = {"names": ["clip_consistency"], "clip_model": clip_model}
    with pytest.raises(InputError, match="unedited views, which are missing"):
        score(images, depths, cameras, settings=settings)


@pytest.fixture(scope="module")
def scene():
    """Six small views of a sphere, and splats on its surface."""
    cameras = cameras_around([-25, -15, -5, 5, 15, 25], [(40, 48)] * 6)
    points = np.random.default_rng(0).normal(size=(400, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    splats = splats_from_points(points, texture(points), 0, 0)
    splats["opacities"].data.fill_(3)
    return cameras, *photograph(cameras), splats


def test_views_that_contradict_each_other_leave_a_residual_that_alike_ones_do_not(scene):
    cameras, images, depths, splats = scene
    settings = {"names": ["refit_residual"], "refit_iterations": 100, "min_overlap": 0}

    def residual(edited):
        return score(edited, depths, cameras, splats=splats, settings=settings)["refit_residual"]

    alike = residual(tinted(images, [RED] * 6))
    unlike = residual(tinted(images, [RED, BLUE, BLUE, RED, RED, BLUE]))
    assert unlike.mean() > 2 * alike.mean()
    assert unlike.mean() > alike.mean() + 0.1
    assert residual(tinted(images, [RED] * 6)).equals(alike)


def test_a_residual_needs_splats_and_views(scene):
    cameras, images, depths, splats = scene
    settings = {"names": ["refit_residual"]}
    with pytest.raises(InputError, match="splats of the unedited scene, which are missing"):
        score(images, depths, cameras, settings=settings)
    few = cameras.select(cameras.names[:3])
    with pytest.raises(InputError, match="at least 4 views, there are 3"):
        score(images[:3], depths[:3], few, splats=splats, settings=settings)
