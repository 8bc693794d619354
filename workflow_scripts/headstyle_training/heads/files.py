"""Sculpted heads on disk, so that several trainings and several runs need not sculpt them again.

One uncompressed .npz file per head, several MB at the trainings' coarseness; no pickle. Worker
processes write them, so nothing here needs torch.
"""

import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from headstyle.base.files import whole_file

from headstyle_training.heads.surfels import (
    GEOMETRY,
    PAINT,
    EditedSurfels,
    PackedHead,
    Surfels,
    draw_edits,
    free_groups,
    pack_head,
)

logger = logging.getLogger("headstyle.models")


def made_head(seed: int, coarseness: float, cache: Path | None) -> PackedHead | Path:
    """What a worker returns: a head, or its file, which is quicker to hand over than the head."""
    if cache is not None:
        try:
            return keep_head(cache, seed, coarseness)
        except OSError as error:
            logger.warning("%s takes no more heads (%s)", cache, error)
    return pack_head(seed, coarseness)


def head_file(folder: Path, seed: int, coarseness: float) -> Path:
    """Where the head of a seed is kept."""
    return folder / f"head_{seed}_{coarseness:g}.npz"


def keep_head(folder: Path, seed: int, coarseness: float) -> Path:
    """Sculpt a head and write its file, unless it is there; returns the file.

    Args:
        folder: Folder of the files; it is made where it is missing.
        seed: As in `pack_head`.
        coarseness: As in `pack_head`.
    """
    path = head_file(folder, seed, coarseness)
    if path.exists() and read_head(path, seed) is not None:
        return path
    head = pack_head(seed, coarseness)
    arrays: dict[str, Any] = {"geometry": head.original.geometry, "paint": head.original.paint}
    for i, edited in enumerate(head.edits):
        arrays[f"paint_{i}"] = edited.paint
        if edited.geometry is not None:
            arrays[f"geometry_{i}"] = edited.geometry
    with whole_file(path) as partial:
        np.savez(partial, **arrays)
    return path


def read_head(path: Path, seed: int) -> PackedHead | None:
    """The head of a file; None where the file is not one of this seed's heads.

    Args:
        path: As `keep_head` returned it.
        seed: Seed of the head; it decides the edits.
    """
    edits = draw_edits(seed)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        original = Surfels(arrays["geometry"], arrays["paint"])
        paints = [arrays[f"paint_{i}"] for i in range(len(edits))]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        logger.warning("%s is not a head (%s); it is sculpted again", path, error)
        return None
    geometries = [arrays.get(f"geometry_{i}") for i in range(len(edits))]
    if original.geometry.dtype != GEOMETRY or any(paint.dtype != PAINT for paint in paints):
        logger.warning("%s was written by another version; it is sculpted again", path)
        return None
    return PackedHead(
        seed,
        original,
        tuple(
            EditedSurfels(edit, geometry, paint, free_groups(original.paint, paint))
            for edit, geometry, paint in zip(edits, geometries, paints, strict=True)
        ),
    )
