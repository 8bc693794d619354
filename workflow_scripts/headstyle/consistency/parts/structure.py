"""Structure from motion on the views of a scene: which views, matches and points COLMAP finds.

Source: Schönberger and Frahm, "Structure-from-Motion Revisited", CVPR 2016. Intrinsics are given;
poses are not. So it depends on nothing but what the views show.
"""

import hashlib
import tempfile
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headstyle.base.cameras import Cameras
from headstyle.base.errors import InputError
from headstyle.consistency.metrics.base import Metric
from headstyle.consistency.pairs import PairBatch, Scene
from headstyle.consistency.parts.filling import continued
from headstyle.importers.lenses import Lens, colmap_camera, load_pycolmap

MAX_FEATURES = 4096
"""Most features of a view."""
LEAST_VIEWS = 3
"""A model of fewer views is none."""
SEED = 0
_KEPT = 4
_known: "OrderedDict[str, Structure]" = OrderedDict()
# Three metrics ask for the same views one after the other.


@dataclass(frozen=True)
class Structure:
    """What COLMAP finds in the views of a scene."""

    registered: NDArray[np.bool_]
    """Which views belong to the largest model. Shape `(C,)`."""
    matches: NDArray[np.int64]
    """Verified matches of each pair of views. Symmetric, 0 on the diagonal. Shape `(C, C)`."""
    points: NDArray[np.int64]
    """How many points of the largest model each view observes. Shape `(C,)`."""


class StructureMetric(Metric):
    """A metric that holds the structure of the edited views against that of the unedited ones."""

    direction = "higher"
    warp = "corrected"
    # COLMAP would run once more for the ceiling.
    has_ceiling = False

    def __init__(self, settings: Mapping[str, Any], device: torch.device) -> None:
        super().__init__(settings, device)
        self._ratios: Tensor | None = None

    def prepare(self, scene: Scene) -> None:
        if scene.unedited is None:
            raise InputError(
                f"{self.name} needs the views before the edit, which are missing; give them, or "
                "take it out of metrics.names"
            )
        limit = self.settings["foreground_alpha"]
        before = structure(
            [view[..., :3] for view in scene.unedited],
            [view[..., 3] > limit for view in scene.unedited],
            scene.cameras,
        )
        after = structure(scene.colors, scene.foreground, scene.cameras)
        ratios = np.broadcast_to(self.ratios(after, before), after.matches.shape)
        self._ratios = torch.tensor(ratios, dtype=torch.float64, device=self.device)

    def __call__(self, batch: PairBatch) -> Tensor:
        assert self._ratios is not None, "prepare() comes first"
        return self._ratios[list(batch.targets), list(batch.sources)]

    @abstractmethod
    def ratios(self, after: Structure, before: Structure) -> NDArray[np.float64]:
        """Value of each target (rows) and source (columns), NaN where nothing is known.

        Shape `(C, C)`, or `(C, 1)` where the source does not matter.
        """


def ratio(after: NDArray[Any], before: NDArray[Any], least: int) -> NDArray[np.float64]:
    """`after` over `before`, NaN where `before` is less than `least`."""
    known = before >= least
    return np.where(known, after / np.where(known, before, 1), np.nan)


def structure(
    colors: Sequence[Tensor], foreground: Sequence[Tensor], cameras: Cameras
) -> Structure:
    """Run COLMAP on views; the same views are not run twice in a row.

    Args:
        colors: sRGB in [0, 1]. Shape `(H, W, 3)` each.
        foreground: Where features are looked for. Shape `(H, W)` each, bool.
        cameras: Give the intrinsics.
    """
    views = [_picture(image, mask) for image, mask in zip(colors, foreground, strict=True)]
    digest = hashlib.sha256(cameras.intrinsics.tobytes())
    for pixels, mask in views:
        digest.update(repr(pixels.shape).encode() + pixels.tobytes() + mask.tobytes())
    key = digest.hexdigest()
    if key not in _known:
        _known[key] = _found(views, cameras)
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return _known[key]


def _picture(image: Tensor, mask: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A view as COLMAP reads it, the background filled from the foreground, and its mask."""
    image, mask = image.cpu(), mask.cpu()
    if mask.any():
        image = continued(image.permute(2, 0, 1)[None], mask[None, None])[0].permute(1, 2, 0)
    pixels = (image.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    return pixels, mask.numpy().astype(np.uint8) * np.uint8(255)


def _found(
    views: Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]], cameras: Cameras
) -> Structure:
    pycolmap = load_pycolmap()
    pycolmap.set_random_seed(SEED)
    count, threads = len(cameras), torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="headstyle-") as folder:
        work = Path(folder)
        for part in ("images", "masks", "models"):
            (work / part).mkdir()
        for i, (pixels, mask) in enumerate(views):
            Image.fromarray(pixels).save(work / "images" / f"{i}.png")
            Image.fromarray(mask).save(work / "masks" / f"{i}.png.png")
        database = work / "database.db"
        _write_cameras(pycolmap, database, cameras)
        extraction = pycolmap.FeatureExtractionOptions(num_threads=threads, use_gpu=False)
        extraction.sift.max_num_features = MAX_FEATURES
        reader = pycolmap.ImageReaderOptions(mask_path=work / "masks")
        pycolmap.extract_features(
            *(database, work / "images"),
            reader_options=reader,
            extraction_options=extraction,
            device=pycolmap.Device.cpu,
        )
        verification = pycolmap.TwoViewGeometryOptions()
        verification.ransac.random_seed = SEED
        pycolmap.match_exhaustive(
            database,
            pycolmap.FeatureMatchingOptions(num_threads=threads, use_gpu=False),
            verification_options=verification,
            device=pycolmap.Device.cpu,
        )
        matches = _matches(pycolmap, database, count)
        # That no views fit together is a finding here, no error.
        pycolmap.logging.minloglevel = int(pycolmap.logging.FATAL)
        models = pycolmap.incremental_mapping(
            database, work / "images", work / "models", _options(pycolmap)
        )
    registered, points = np.zeros(count, bool), np.zeros(count, np.int64)
    sizes = {number: (m.num_reg_images(), m.num_points3D()) for number, m in models.items()}
    if sizes and max(sizes.values())[0] >= LEAST_VIEWS:
        largest = models[max(sizes, key=lambda number: sizes[number])]
        for image in largest.images.values():
            if image.has_pose:
                registered[int(Path(image.name).stem)] = True
                points[int(Path(image.name).stem)] = image.num_points3D
    return Structure(registered, matches, points)


def _write_cameras(pycolmap: Any, path: Path, cameras: Cameras) -> None:
    """Write cameras and images under fixed numbers, which threads would give out in any order."""
    database = pycolmap.Database.open(path)
    for i, (width, height) in enumerate(cameras.sizes.tolist()):
        matrix, number = cameras.intrinsics[i], i + 1
        params = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
        camera = colmap_camera(number, Lens("PINHOLE", width, height, params))
        database.write_camera(camera, use_camera_id=True)
        rig = pycolmap.Rig(rig_id=number)
        rig.add_ref_sensor(camera.sensor_id)
        database.write_rig(rig, use_rig_id=True)
        entry = pycolmap.Image(name=f"{i}.png", camera_id=number, image_id=number)
        database.write_image(entry, use_image_id=True)
        frame = pycolmap.Frame(frame_id=number, rig_id=number)
        frame.add_data_id(entry.data_id)
        database.write_frame(frame, use_frame_id=True)
    database.close()


def _matches(pycolmap: Any, path: Path, count: int) -> NDArray[np.int64]:
    database = pycolmap.Database.open(path)
    matches = np.zeros((count, count), np.int64)
    for pair, number in zip(*database.read_two_view_geometry_num_inliers(), strict=True):
        first, second = (image - 1 for image in pycolmap.pair_id_to_image_pair(pair))
        matches[first, second] = matches[second, first] = number
    database.close()
    return matches


def _options(pycolmap: Any) -> Any:
    """Mapping on one thread, whose sums are the same in each run, with the given intrinsics."""
    options = pycolmap.IncrementalPipelineOptions(
        num_threads=1, random_seed=SEED, min_model_size=3, ba_refine_focal_length=False
    )
    options.ba_refine_principal_point = options.ba_refine_extra_params = False
    options.mapper.num_threads = 1
    options.mapper.random_seed = options.triangulation.random_seed = SEED
    return options
