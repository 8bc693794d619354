"""A ball on a plinth, seen by a ring of known cameras, and masks of it that disagree."""

from dataclasses import replace

import cv2
import numpy as np
from corner import look_at
from headstyle.importers.colmap_models import SparseModel
from headstyle.importers.lenses import Lens, colmap_camera
from headstyle.posing.agreement.corrections import compare_masks

SIZE, VIEWS, DISTANCE = (120, 160), 12, 4.0
LENS = Lens("SIMPLE_PINHOLE", *SIZE, (150.0, SIZE[0] / 2, SIZE[1] / 2))
NAMES = tuple(f"v{i:02}" for i in range(VIEWS))
WITH_PLINTH = NAMES[::3]
PLINTH = np.array([(x, y, z) for x in (-0.9, 0.9) for y in (-0.9, 0.9) for z in (-1.6, -1.1)])


def ring():
    """Cameras at three heights all around, looking at the ball's center."""
    poses = []
    for i in range(VIEWS):
        azimuth, elevation = 2 * np.pi * i / VIEWS, np.radians((-5, 10, 25)[i % 3])
        level = np.cos(elevation)
        ray = np.array([np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation)])
        poses.append(look_at(DISTANCE * ray, np.zeros(3)))
    return np.array(poses)


def model():
    """The ball's model: each view sees the points on its side."""
    points = np.random.default_rng(0).normal(size=(900, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    poses = ring()
    centers = -np.einsum("cji,cj->ci", poses[:, :3, :3], poses[:, :3, 3])
    seen = np.argwhere(points @ centers.T > 1.3)
    colors = np.zeros((len(points), 3), np.uint8)
    return SparseModel(NAMES, (LENS,) * VIEWS, poses, points, colors, seen)


def write_model(folder):
    """Write the ball's model in COLMAP's format."""
    import pycolmap

    scene, written = model(), pycolmap.Reconstruction()
    for number, (name, pose) in enumerate(zip(NAMES, scene.world_to_camera, strict=True), 1):
        if number == 1:
            written.add_camera_with_trivial_rig(colmap_camera(1, LENS))
        image = pycolmap.Image(name=f"{name}.png", camera_id=1, image_id=number)
        view = np.flatnonzero(scene.observations[:, 1] == number - 1)
        seen = scene.positions[scene.observations[view, 0]]
        image.points2D = [pycolmap.Point2D(xy) for xy in pixels_of(pose, seen)]
        written.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose[:3]))
    places = [0] * VIEWS
    tracks = {}
    for point, view in scene.observations.tolist():
        element = pycolmap.TrackElement(view + 1, places[view])
        tracks.setdefault(point, pycolmap.Track()).add_element(element)
        places[view] += 1
    for point, track in tracks.items():
        written.add_point3D(scene.positions[point], track, np.zeros(3, np.uint8))
    folder.mkdir(parents=True)
    written.write_binary(folder)


def pixels_of(pose, points):
    pixels = (points @ pose[:3, :3].T + pose[:3, 3]) * [LENS.params[0], LENS.params[0], 1]
    return pixels[:, :2] / pixels[:, 2:] + LENS.params[1:]


def ball_mask(pose):
    """The ball's silhouette with a soft edge: rays that pass its center within its radius."""
    x, y = np.meshgrid(*(np.arange(side) + 0.5 for side in SIZE))
    rays = np.stack([x - LENS.params[1], y - LENS.params[2], np.full_like(x, LENS.params[0])], -1)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    off = np.linalg.norm(np.cross(rays, pose[:3, 3]), axis=2)
    return np.uint8(255 * np.clip(0.5 + (1 - off) / 0.05, 0, 1))


def plinth_mask(pose):
    hull = cv2.convexHull(pixels_of(pose, PLINTH).astype(np.float32)).astype(np.int32)
    return cv2.fillConvexPoly(np.zeros(SIZE[::-1], np.uint8), hull, 255)


def true_masks():
    return {name: ball_mask(pose) for name, pose in zip(NAMES, ring(), strict=True)}


def masks_with_plinth():
    """A third of the masks has the plinth too."""
    return {
        name: np.maximum(mask, plinth_mask(pose)) if name in WITH_PLINTH else mask
        for (name, mask), pose in zip(true_masks().items(), ring(), strict=True)
    }


def photographs():
    """A gray ball on a dark plinth before a bright wall."""
    pictures = []
    for pose in ring():
        ball, plinth = ball_mask(pose)[..., None] / 255, plinth_mask(pose)[..., None] / 255
        picture = (230 * (1 - plinth) + 60 * plinth) * (1 - ball) + 140 * ball
        pictures.append(np.repeat(np.uint8(picture), 3, axis=2))
    return pictures


WITH_HOLE, HOLE = "v04", (slice(70, 92), slice(50, 72))


def masks_that_disagree():
    """A third of the masks has the plinth too, and another mask has lost a part in its middle."""
    masks = masks_with_plinth()
    masks[WITH_HOLE] = masks[WITH_HOLE].copy()
    masks[WITH_HOLE][HOLE] = 0
    return masks


def compare(masks, scene, views=VIEWS):
    names = NAMES[:views]
    if views < VIEWS:
        scene = replace(
            scene,
            views=names,
            lenses=scene.lenses[:views],
            world_to_camera=scene.world_to_camera[:views],
            observations=scene.observations[scene.observations[:, 1] < views],
        )
    pictures = dict(zip(NAMES, photographs(), strict=True))
    return compare_masks(scene, {name: masks[name] for name in names}, pictures, 0.75, 0.85)


def wrong_cameras():
    """Every view has the pose of another one, and looks past the ball."""
    poses = ring()[np.random.default_rng(1).permutation(VIEWS)]
    turned = np.eye(4)
    for i in range(VIEWS):
        turned[:3, :3], _ = cv2.Rodrigues(np.array([0.0, (-1) ** i * 0.3, 0.25 * (-1) ** (i // 2)]))
        poses[i] = turned @ poses[i]
    return replace(model(), world_to_camera=poses)


def one_wrong_camera():
    """One view of twelve looks past the ball."""
    poses, turned = ring(), np.eye(4)
    turned[:3, :3], _ = cv2.Rodrigues(np.array([0.0, 0.4, 0.0]))
    poses[5] = turned @ poses[5]
    return replace(model(), world_to_camera=poses)


def all_cases():
    """What came of each case. Run in one process of its own, as pycolmap is loaded."""
    no_points = replace(model(), observations=np.empty((0, 2), np.int64))
    return {
        "true": compare(true_masks(), model()),
        "disagree": compare(masks_that_disagree(), model()),
        "no points": compare(masks_that_disagree(), no_points),
        "few": compare(masks_with_plinth(), model(), views=7),
        "wrong": compare(masks_with_plinth(), wrong_cameras()),
        "one wrong": compare(true_masks(), one_wrong_camera()),
    }
