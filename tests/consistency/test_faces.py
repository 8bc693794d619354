"""Truths about the face metrics; the networks are stand-ins of the real ones' shapes."""

import numpy as np
import pytest
import torch
from analytic import cameras_around, photograph
from headstyle.base.errors import InputError
from headstyle.consistency.metrics import required_weights
from headstyle.consistency.metrics.face_landmarks import carry
from headstyle.consistency.pair_batches import make_scene
from headstyle.consistency.parts.faces import Face, FaceFinder
from headstyle.consistency.scoring import score
from torch import nn

POINTS = np.array([[-0.3, -0.3, -0.9], [0.3, -0.3, -0.9], [0, 0, -1], [-0.2, 0.4, -0.9], [0.2] * 3])
POINTS[4] = [0.2, 0.4, -0.9]
POINTS /= np.linalg.norm(POINTS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def head():
    cameras = cameras_around([-8, 0, 8], [(160, 200)] * 3)
    return cameras, *photograph(cameras)


def seen(cameras, view):
    """Where the points on the sphere lie in a view."""
    pose = cameras.world_to_camera[view]
    pixels = (POINTS @ pose[:3, :3].T + pose[:3, 3]) @ cameras.intrinsics[view].T
    return pixels[:, :2] / pixels[:, 2:]


class Detector(nn.Module):
    """Of YuNet's outputs: for strides 8, 16, 32 class, objectness, box and landmarks per cell."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(3, channels, stride, stride)
            for channels in (1, 1, 4, 10)
            for stride in (8, 16, 32)
        )

    def forward(self, image):
        outputs = []
        for i, conv in enumerate(self.convs):
            cells = conv(image / 255).flatten(2).transpose(1, 2)
            outputs.append(torch.sigmoid(cells) if i < 6 else cells)
        return tuple(outputs)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    torch.manual_seed(0)
    names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    detector, recognizer = folder / "yunet.onnx", folder / "sface.onnx"
    torch.onnx.export(
        Detector().eval(), (torch.zeros(1, 3, 224, 160),), detector, dynamo=False,
        input_names=["input"], output_names=names,
        dynamic_axes={"input": {2: "height", 3: "width"}},
    )  # fmt: skip
    embed = nn.Sequential(nn.AvgPool2d(28), nn.Flatten(), nn.Linear(48, 128)).eval()
    torch.onnx.export(
        embed, (torch.zeros(1, 3, 112, 112),), recognizer, dynamo=False,
        input_names=["data"], output_names=["fc1"],
    )  # fmt: skip
    return {"face_detector": str(detector), "face_recognizer": str(recognizer)}


def test_networks_of_the_real_ones_shapes_run(head, networks, monkeypatch):
    monkeypatch.setattr("headstyle.consistency.parts.faces.MIN_SCORE", 0.0)
    images = head[1]
    finder = FaceFinder(*networks.values())
    image = torch.from_numpy(images[0])
    found = finder.find(image[..., :3], image[..., 3] > 0.5)
    assert found.landmarks.shape == (5, 2)
    assert found.embedding.shape == (128,)
    assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-5)
    assert finder.find(image[..., :3], torch.zeros(200, 160, dtype=torch.bool)) is None


def test_landmarks_are_carried_to_where_their_surface_is_seen(head):
    cameras, images, depths = head
    scene = make_scene(images, depths, cameras, 0.5, torch.device("cpu"))
    np.testing.assert_allclose(carry(scene, 0, 2, seen(cameras, 0)), seen(cameras, 2), atol=0.3)
    assert np.isnan(carry(scene, 0, 2, np.array([[1.0, 1.0], [500, 500]]))).all()


@pytest.fixture
def faces(monkeypatch, head):
    """Faces that a detector of no error would find, by the sum of their colors."""
    cameras, images, _ = head
    draw = np.random.default_rng(0)
    person, other = draw.normal(size=(2, 128))
    known = {}
    for view, image in enumerate(images):
        face = Face(seen(cameras, view), 50.0, person / np.linalg.norm(person))
        known[float(torch.from_numpy(image)[..., :3].double().sum())] = face

    def find(self, colors, foreground):
        return known.get(float(colors.double().sum()))

    monkeypatch.setattr(FaceFinder, "find", find)
    return known, other / np.linalg.norm(other)


def test_a_moved_mouth_is_measured_and_a_still_face_is_not(head, networks, faces):
    cameras, images, depths = head
    known, _ = faces
    settings = {"names": ["face_landmarks", "face_identity"], **networks}
    table = score(images, depths, cameras, settings=settings, device="cpu")
    assert (table["face_landmarks"] < 1).all()
    assert table["face_identity"].tolist() == pytest.approx([1] * len(table))
    key = list(known)[1]
    landmarks = known[key].landmarks.copy()
    landmarks[3:] += (0, 5)
    known[key] = Face(landmarks, 50.0, known[key].embedding)
    moved = score(images, depths, cameras, settings=settings, device="cpu")
    moved = moved.set_index(["target", "source"])["face_landmarks"]
    # Two of five landmarks by 5 px, of a diagonal of 50.
    assert moved["v0", "v1"] == pytest.approx(4, abs=1)
    assert moved["v0", "v2"] < 1


def test_another_person_and_no_face_are_told_apart(head, networks, faces):
    cameras, images, depths = head
    known, other = faces
    keys = list(known)
    known[keys[0]] = Face(known[keys[0]].landmarks, 50.0, other)
    del known[keys[2]]
    settings = {"names": ["face_identity"], **networks}
    table = score(images, depths, cameras, settings=settings, device="cpu")
    values = table.set_index(["target", "source"])["face_identity"]
    assert abs(values["v0", "v1"]) < 0.4
    assert np.isnan(values["v1", "v2"])


@pytest.mark.parametrize("key", ["face_detector", "face_recognizer"])
def test_missing_networks_are_told_with_where_to_get_them(networks, key, tmp_path):
    settings = {"names": ["face_identity"], **networks}
    with pytest.raises(InputError, match=f"metrics.{key} is empty; name the file face_"):
        required_weights(settings | {key: None})
    with pytest.raises(InputError, match=f"metrics.{key}: .* does not exist"):
        required_weights(settings | {key: str(tmp_path / "no.onnx")})


def test_a_file_that_is_no_network_is_told(tmp_path):
    path = tmp_path / "face.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no such network"):
        FaceFinder(path)
