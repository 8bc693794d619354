"""A sequence's folder: frames, cameras and meshes."""

import numpy as np
import pytest
from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.rigged.mesh_files import check_rigged
from headstyle.rigged.sequence import (
    MeshSequence,
    RiggedFrame,
    RiggedSequence,
    joined_cameras,
    read_sequence,
    write_sequence,
)
from PIL import Image


@pytest.fixture
def sequence(tmp_path):
    """A tetrahedron that moves for two timesteps, with two cameras."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    meshes = MeshSequence(np.stack([vertices, vertices + 1]), faces)
    Image.new("RGBA", (4, 6), (10, 20, 30, 255)).save(tmp_path / "shared.png")
    frames = []
    for step in (0, 1):
        for camera in (0, 1):
            pose = np.eye(4)
            pose[2, 3] = 3 + camera
            name = f"{step:05d}_{camera:02d}"
            cameras = Cameras((name,), np.array([(4, 6)]), np.eye(3)[None] * 5, pose[None])
            split = "test" if step else ("val" if camera else "train")
            frames.append(
                RiggedFrame(name, step, camera, cameras, tmp_path / "shared.png", None, split)
            )
    return RiggedSequence(meshes, tuple(frames))


def test_a_sequence_comes_back_as_it_was_written(sequence, tmp_path):
    write_sequence(tmp_path / "sequence", sequence, driven=sequence)
    for folder in (tmp_path / "sequence", tmp_path / "sequence" / "driven"):
        found = read_sequence(folder)
        np.testing.assert_array_equal(found.meshes.vertices, sequence.meshes.vertices)
        np.testing.assert_array_equal(found.meshes.faces, sequence.meshes.faces)
        assert [f.name for f in found.frames] == ["00000_00", "00000_01", "00001_00", "00001_01"]
        assert [f.split for f in found.frames] == ["train", "val", "test", "test"]
        assert [f.name for f in found.of_split("test")] == ["00001_00", "00001_01"]
        assert found.at(0) == found.frames[:2]
        assert found.frames[0].image.is_file()
        cameras = joined_cameras(found.frames)
        assert cameras.names[3] == "00001_01"
        np.testing.assert_array_equal(cameras.centers[3], [0, 0, -4])


def test_damaged_meshes_are_told_in_one_sentence(sequence, tmp_path):
    write_sequence(tmp_path / "sequence", sequence)
    np.savez(tmp_path / "sequence" / "meshes.npz", vertices=np.zeros((2, 4, 3)), faces=[[0, 1, 9]])
    with pytest.raises(InputError, match=r"meshes\.npz .*beyond the 4 there are"):
        read_sequence(tmp_path / "sequence")


def test_no_python_object_is_read(sequence, tmp_path):
    write_sequence(tmp_path / "sequence", sequence)
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "sequence" / "meshes.npz", vertices=objects, faces=objects)
    with pytest.raises(InputError, match="not numbers"):
        read_sequence(tmp_path / "sequence")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"subjects": {"N": {"source": "sequence", "meshes": "x"}}}, r"\.N has no frames; name a"),
        (
            {"subjects": {"N": {"source": "sequence", "frames": "no", "meshes": "x"}}},
            "names no, wh",
        ),
        ({"subjects": {"N": {"source": "synthetic", "frames": "x"}}}, "N has frames, which the so"),
        ({"prompts": ["P9"]}, r"names 'P9', which is not in study\.prompts \(P1, P2\); add it"),
    ],
    ids=["no_frames", "no_such_path", "not_taken", "unknown_prompt"],
)
def test_a_wrong_head_of_the_configuration_is_told(section, sentence):
    with pytest.raises(InputError, match=sentence):
        check_rigged({"subjects": {}, "prompts": [], **section}, ["P1", "P2"])
