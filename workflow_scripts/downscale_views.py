"""Undistort and downscale the posed photographs into training views with alpha.

Input:  masks     masks.json, with {view}.png beside it and the photographs' paths inside
        capture   rig.tsv of a procedural capture; none for the user's photographs
        poses     poses.json, with the COLMAP model sparse/0 beside it
Output: cameras   cameras.json; beside it {view}.png (RGBA, straight alpha), transforms.json for
                  nerfstudio, and points.npz (positions, colors of the foreground's points)
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from headstyle.base.cameras import Cameras, write_cameras
from headstyle.base.files import read_json, whole_folder, write_points
from headstyle.base.images import RgbaImage, write_image
from headstyle.base.progress import progress
from headstyle.importers.colmap_models import SparseModel, read_model
from headstyle.importers.companions import points_of_data_set
from headstyle.importers.pinholes import undistortion_map
from headstyle.posing.equal_exposure import (
    PointColors,
    agreeing_gains,
    equalizing_gains,
    point_colors,
    with_gain,
)
from headstyle.posing.masks import read_mask
from headstyle.posing.photographs import read_photograph
from headstyle.posing.undistortion import (
    full_size_cameras,
    make_view,
    points_in_view,
    points_to_start_from,
    view_size,
    write_transforms,
)
from headstyle.workflow.stage import stage
from numpy.typing import NDArray

if TYPE_CHECKING:
    from snakemake.script import snakemake


@dataclass(frozen=True)
class Views:
    """The views that are to be made."""

    model: SparseModel
    cameras: Cameras
    full_size: Cameras
    photographs: dict[str, Any]
    """Entries of masks.json by view."""
    masks_folder: Path

    def made(self, what: str = "views") -> Iterator[tuple[int, RgbaImage]]:
        """Each view with its index; one lens after the other, since its map is large."""
        last_lens, pixel_map = None, None
        lenses = self.model.lenses
        order = sorted(range(len(self.cameras)), key=lambda i: (str(lenses[i]), i))
        for i in progress(order, what):
            view = self.cameras.names[i]
            if lenses[i] != last_lens:
                last_lens = lenses[i]
                pixel_map = undistortion_map(lenses[i], self.full_size.intrinsics[i])
            photograph = read_photograph(self.photographs[view]["photograph"])
            mask = read_mask(self.masks_folder / f"{view}.png")
            yield i, make_view(photograph, mask, pixel_map, tuple(self.cameras.sizes[i].tolist()))

    def gains(self, method: str) -> NDArray[np.float64]:
        """By how much to multiply the light of each view. Shape `(V, 3)`."""
        if method == "none":
            return np.ones((len(self.cameras), 3))
        paths = {view: entry["photograph"] for view, entry in self.photographs.items()}
        by_exif = equalizing_gains(paths)
        first = np.array([by_exif[view] for view in self.cameras.names])
        if method == "exif":
            return np.repeat(first[:, None], 3, axis=1)
        seen: dict[int, PointColors] = {}
        for i, image in self.made("colors of views"):
            points = self.model.observations[self.model.observations[:, 1] == i, 0]
            pixels = points_in_view(self.model.positions[points], self.cameras, i)
            seen[i] = point_colors(image, pixels, points)
        return agreeing_gains([seen[i] for i in range(len(seen))], first)


def write_views(folder: Path, views: Views, gains: NDArray[np.float64]) -> list[NDArray[Any]]:
    """Write each view's PNG and return the alphas, in the cameras' order."""
    alphas: dict[int, NDArray[np.float32]] = {}
    for i, image in views.made():
        write_image(folder / f"{views.cameras.names[i]}.png", with_gain(image, gains[i]))
        alphas[i] = image[..., 3]
    return [alphas[i] for i in range(len(alphas))]


if __name__ == "__main__":
    with stage(snakemake, index="cameras") as log:
        masks_path, images = Path(snakemake.input.masks), snakemake.params.images
        photographs = read_json(masks_path)["views"]
        model = read_model(Path(snakemake.input.poses).parent / "sparse")
        full_size = full_size_cameras(model)
        size_px, side = images["size_px"], images["side"]
        sizes = [view_size(width, height, size_px, side) for width, height in full_size.sizes]
        cameras = full_size.scaled(np.array(sizes))
        output = Path(snakemake.output.cameras)
        views = Views(model, cameras, full_size, photographs, masks_path.parent)
        gains = views.gains(images["equalize_exposure"])
        with whole_folder(output.parent) as folder:
            alphas = write_views(folder, views, gains)
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
