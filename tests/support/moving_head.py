"""A small procedural head that moves, as a sequence and as a folder of GaussianAvatars."""

import json
from pathlib import Path

import numpy as np
from headstyle.importers.cameras.base import poses_of_cameras
from headstyle.importers.cameras.nerfstudio import transforms_content
from headstyle.rigged.sequence import SPLITS, RiggedSequence, joined_cameras
from headstyle.rigged.synthesis import SynthesisSettings

SMALL = SynthesisSettings(
    timesteps=4,
    held_out_timesteps=1,
    driven_timesteps=1,
    camera_rows=1,
    camera_columns=3,
    held_out_cameras=1,
    long_side_px=96,
    focal_length_mm=22,
    sensor_long_side_mm=22.3,
    samples_per_side=2,
    coarseness=10,
    photographed_coarseness=6,
)


def write_gaussian_avatars(folder: Path, sequence: RiggedSequence, first_timestep: int = 3) -> None:
    """Frames as GaussianAvatars reads them, and the meshes as NPZ files beside them."""
    for split in SPLITS:
        frames = sequence.of_split(split)
        poses = poses_of_cameras(joined_cameras(frames))
        content = transforms_content(poses)
        for entry, frame in zip(content["frames"], frames, strict=True):
            step = first_timestep + frame.timestep
            name = f"images/{step:05d}_{frame.camera_index:02d}.png"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(frame.image.read_bytes())
            entry |= {"file_path": name, "timestep_index": step}
            entry |= {"camera_index": frame.camera_index}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content))
    (folder / "meshes").mkdir()
    for step, vertices in enumerate(sequence.meshes.vertices):
        path = folder / "meshes" / f"{first_timestep + step:05d}.npz"
        np.savez(path, vertices=vertices, faces=sequence.meshes.faces)
