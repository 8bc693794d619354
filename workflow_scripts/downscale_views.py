"""Undistort and downscale the posed photographs into training views with alpha.

Input:  masks     masks.json, with {view}.png beside it and the photographs' paths inside
        capture   rig.tsv of a procedural capture; none for the user's photographs
        poses     poses.json, with the COLMAP model sparse/0 beside it
Output: cameras   cameras.json; beside it {view}.png (RGBA, straight alpha), transforms.json for
                  nerfstudio, and points.npz (positions, colors of the foreground's points)
"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.files import read_json, whole_folder, write_points
from headstyle.base.images import write_image
from headstyle.base.progress import progress
from headstyle.importers.colmap_models import SparseModel, read_model
from headstyle.importers.companions import points_of_data_set
from headstyle.importers.pinholes import undistortion_map
from headstyle.posing.equal_exposure import equalizing_gains, with_gain
from headstyle.posing.masks import read_mask
from headstyle.posing.photographs import read_photograph
from headstyle.posing.undistortion import (
    full_size_cameras,
    make_view,
    points_to_start_from,
    view_size,
    write_transforms,
)
from headstyle.workflow.stage import stage
from numpy.typing import NDArray

if TYPE_CHECKING:
    from snakemake.script import snakemake


def write_views(
    folder: Path,
    model: SparseModel,
    cameras: Cameras,
    full_size: Cameras,
    photographs: dict[str, Any],
    masks_folder: Path,
    gains: dict[str, float],
) -> list[NDArray[np.float32]]:
    """Write each view's PNG and return the alphas, in the cameras' order."""
    alphas: dict[int, NDArray[np.float32]] = {}
    last_lens, pixel_map = None, None
    # One lens after the other, since its map is large.
    order = sorted(range(len(cameras)), key=lambda i: (str(model.lenses[i]), i))
    for i in progress(order, "views"):
        view, lens = cameras.names[i], model.lenses[i]
        if lens != last_lens:
            last_lens, pixel_map = lens, undistortion_map(lens, full_size.intrinsics[i])
        photograph = read_photograph(photographs[view]["photograph"])
        mask = read_mask(masks_folder / f"{view}.png")
        image = make_view(photograph, mask, pixel_map, tuple(cameras.sizes[i].tolist()))
        write_image(folder / f"{view}.png", with_gain(image, gains.get(view, 1.0)))
        alphas[i] = image[..., 3]
    return [alphas[i] for i in range(len(cameras))]


if __name__ == "__main__":
    with stage(snakemake, index="cameras") as log:
        masks_path, images = Path(snakemake.input.masks), snakemake.params.images
        photographs = read_json(masks_path)["views"]
        gains = {}
        if images.get("equalize_exposure"):
            gains = equalizing_gains({v: p["photograph"] for v, p in photographs.items()})
        model = read_model(Path(snakemake.input.poses).parent / "sparse")
        full_size = full_size_cameras(model)
        size_px, side = images["size_px"], images["side"]
        sizes = [view_size(width, height, size_px, side) for width, height in full_size.sizes]
        cameras = full_size.scaled(np.array(sizes))
        output = Path(snakemake.output.cameras)
        with whole_folder(output.parent) as folder:
            alphas = write_views(
                folder, model, cameras, full_size, photographs, masks_path.parent, gains
            )
            given = points_of_data_set(snakemake.params.given_poses)
            points = points_to_start_from(model, cameras, alphas, given)
            write_points(folder / "points.npz", *points)
            write_transforms(folder / "transforms.json", cameras)
            write_cameras(folder / output.name, cameras)
        for (width, height), count in Counter(sizes).items():
            log.info("%d views of %dx%d px", count, width, height)
        unscaled = sum(tuple(a) == b for a, b in zip(full_size.sizes, sizes, strict=True))
        if unscaled:
            log.info("%d views keep their photograph's size: it is not larger than asked", unscaled)
