"""The frozen benchmark: heads, prompts, captions, splits and true edits, with their checksums.

Its definition and checksums are one file, `resources/benchmark/manifest.json`. The pictures are
made from it, and anyone can check that theirs are the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstyle.base.cameras import Cameras, read_cameras, write_cameras
from headstyle.base.errors import InputError, Origin
from headstyle.base.files import read_json, whole_folder, write_json
from headstyle.base.images import read_rgba, write_image
from headstyle.base.progress import progress
from headstyle.capture.head import synthesize_head
from headstyle.capture.operators import Edit
from headstyle.capture.photograph import photograph_views
from headstyle.capture.rig import study_rig

MANIFEST = Path(__file__).parents[3] / "resources" / "benchmark" / "manifest.json"
UNEDITED = "photographs"
"""Folder of a head's pictures before the edit; those of the true edits are called by the prompt."""
_NEAR = 0.01
"""Means of pictures on the 8-bit scale that differ by less are of the same head. A smile, which is
the smallest edit, moves them by 0.06."""
_ORIGIN = Origin(*["get it again from headstyle's repository"] * 2)
_FOLDER = Origin(*["make the benchmark again: headstyle benchmark FOLDER --make"] * 2)


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    same: tuple[str, ...]
    """Sets of pictures, `{subject}/{prompt}`, that are equal in every bit."""
    near: tuple[str, ...]
    """Sets that differ in bits, as of another processor, but agree in their mean colors."""
    different: tuple[str, ...]
    """Sets of other pictures."""


def read_manifest(path: str | Path = MANIFEST) -> dict[str, Any]:
    """The definition and the checksums.

    Raises:
        InputError: the file is missing or its text is not that which was frozen.
    """
    manifest: dict[str, Any] = read_json(path, _ORIGIN)
    if manifest.get("definition_sha256") != definition_digest(manifest["definition"]):
        raise InputError(
            f"{path} has another definition than the one that was frozen; {_ORIGIN.if_wrong}"
        )
    return manifest


def definition_digest(definition: Mapping[str, Any]) -> str:
    """SHA-256 of heads, prompts, captions, splits and rig, however the file is laid out."""
    text = json.dumps(definition, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sets_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """Subject, folder and operator of every set of pictures; the unedited ones have no operator."""
    for subject in definition["subjects"]:
        yield subject, UNEDITED, None
        for prompt, row in definition["prompts"].items():
            yield subject, prompt, row["operator"]


def make(definition: Mapping[str, Any], folder: str | Path) -> None:
    """Photograph all heads before and after all true edits.

    Args:
        definition: From the manifest.
        folder: Is made: `cameras.json`, `{subject}/photographs/{view}.png` and
            `{subject}/true_edits/{prompt}/{view}.png`, RGBA with straight alpha.
    """
    cameras, samples = _cameras(definition), definition["rig"]["samples_per_side"]
    with whole_folder(folder) as partial:
        for subject, name, operator in progress(list(sets_of(definition)), "sets of pictures"):
            edit = Edit(operator) if operator else None
            seed = definition["subjects"][subject]["seed"]
            mesh = synthesize_head(seed, definition["coarseness"], edit)
            place = partial / _place(subject, name)
            place.mkdir(parents=True)
            taken = photograph_views(mesh, cameras, samples)
            for view, (image, _) in zip(cameras.names, taken, strict=True):
                write_image(place / f"{view}.png", image)
        write_cameras(partial / "cameras.json", cameras)
        write_json(partial / "definition.json", definition)


def checksums(definition: Mapping[str, Any], folder: str | Path) -> dict[str, dict[str, Any]]:
    """For each set of pictures the SHA-256 of all pixels, and the mean of each channel [0-255].

    Raises:
        InputError: a picture is missing or cannot be read.
    """
    names = read_cameras(Path(folder, "cameras.json")).names
    found = {}
    for subject, name, _ in sets_of(definition):
        digest, means = hashlib.sha256(), []
        for view in names:
            path = Path(folder, _place(subject, name), f"{view}.png")
            pixels = np.rint(read_rgba(path) * 255).astype(np.uint8)
            digest.update(f"{view} {pixels.shape}\n".encode())
            digest.update(pixels.tobytes())
            means.append(pixels.reshape(-1, 4).mean(axis=0))
        mean = [round(float(value), 3) for value in np.mean(means, axis=0)]
        found[f"{subject}/{name}"] = {"sha256": digest.hexdigest(), "mean": mean}
    return found


def check(manifest: Mapping[str, Any], folder: str | Path) -> Checked:
    """Hold a folder of the benchmark against the manifest.

    Raises:
        InputError: the folder lacks a picture, or has other cameras.
    """
    definition = manifest["definition"]
    cameras = read_cameras(Path(folder, "cameras.json"))
    wanted = _cameras(definition)
    if cameras.names != wanted.names or not np.allclose(
        cameras.world_to_camera, wanted.world_to_camera, atol=1e-6
    ):
        raise InputError(f"{folder}/cameras.json has other cameras; {_FOLDER.if_wrong}")
    found = checksums(definition, folder)
    kinds: dict[str, list[str]] = {"same": [], "near": [], "different": []}
    for name, frozen in manifest["checksums"].items():
        own = found[name]
        apart = np.abs(np.subtract(own["mean"], frozen["mean"])).max()
        is_same = own["sha256"] == frozen["sha256"]
        kinds["same" if is_same else "near" if apart < _NEAR else "different"].append(name)
    return Checked(*(tuple(kinds[kind]) for kind in ("same", "near", "different")))


def frozen(definition: Mapping[str, Any], folder: str | Path) -> dict[str, Any]:
    """A manifest of a definition and of the pictures that were made from it."""
    return {
        "name": "headstyle heads",
        "version": definition["version"],
        "definition_sha256": definition_digest(definition),
        "definition": dict(definition),
        "checksums": checksums(definition, folder),
    }


def split_of(definition: Mapping[str, Any], split: str) -> Sequence[str]:
    """The subjects of a split: `development` to tune on, `test` to report."""
    subjects: Sequence[str] = definition["splits"][split]
    return subjects


def _cameras(definition: Mapping[str, Any]) -> Cameras:
    return study_rig(dict(definition["rig"])).cameras


def _place(subject: str, name: str) -> str:
    return f"{subject}/{name}" if name == UNEDITED else f"{subject}/true_edits/{name}"
