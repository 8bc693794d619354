"""Structure from motion by COLMAP."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.importers.lenses import Lens, colmap_camera, lens_of, load_pycolmap

MIN_MODEL_VIEWS = 3
"""Smaller models are not worth reporting."""
MIN_MATCHES = 15
"""COLMAP's least number of verified matches for a pair of views to count as overlapping."""


@dataclass(frozen=True)
class WorkImage:
    """A view as COLMAP sees it: an upright image and mask at working size."""

    view: str
    photograph: str
    """The view's name with the photograph's suffix; the image's name in the model."""
    lens: int
    """Index of its lens."""
    full_size: tuple[int, int]
    """Width and height of the upright photograph [px]."""
    number: int | None = None
    """Names its files instead of the view, where lists of names may hold no spaces."""

    @property
    def file(self) -> str:
        """The name of its file, and its name in COLMAP's database."""
        return f"{self.view if self.number is None else self.number}.png"


@dataclass(frozen=True)
class Settings:
    """How features are found and views are mapped."""

    max_features: int
    mapper: str
    """`incremental` or `global`."""
    seed: int
    threads: int
    faint_features: bool = False
    """Whether features of half the usual contrast count."""
    affine_features: bool = False
    """Whether features follow a surface's slant, over several sizes; takes many times as long."""
    guided_matching: bool = False
    """Whether pairs are matched again along the lines that the first matches tell."""
    few_matches: bool = False
    """Whether half of COLMAP's usual matches are enough to start a model and to place a view."""


@dataclass(frozen=True)
class Mapping:
    """What came of mapping the views."""

    registered: tuple[str, ...]
    """Views of the largest model, sorted."""
    model_views: tuple[tuple[str, ...], ...]
    """Views of every model, the largest first."""
    best_matches: dict[str, int]
    """Largest number of verified matches of each view with any other view."""
    points: int
    mean_track_length: float
    mean_reprojection_error_px: float
    """In pixels of the full photographs."""
    lenses: tuple[Lens, ...]
    """Lenses of the largest model, for the full photographs."""


def find_matches(
    work: Path,
    images: Sequence[WorkImage],
    lenses: Sequence[Lens],
    settings: Settings,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> dict[str, int]:
    """Find features inside the masks and match pairs of views, into `work/database.db`.

    What the database already holds, of the first of the same images, is not computed again.

    Args:
        work: Folder with `images/{view}.png` and `masks/{view}.png.png`, at the lenses' sizes.
        images: The views.
        lenses: Lenses at working size.
        settings: Features, matching and seed.
        pairs: Indices of the views to match; None for all pairs.

    Returns:
        Per view, the largest number of verified matches with any other view.
    """
    pycolmap = load_pycolmap()
    pycolmap.set_random_seed(settings.seed)
    database = work / "database.db"
    _write_database(database, images, lenses)
    extraction = pycolmap.FeatureExtractionOptions(num_threads=settings.threads, use_gpu=False)
    extraction.sift.max_num_features = settings.max_features
    if settings.faint_features:
        extraction.sift.peak_threshold /= 2
    if settings.affine_features:
        extraction.sift.estimate_affine_shape = True
        extraction.sift.domain_size_pooling = True
    pycolmap.extract_features(
        database,
        work / "images",
        reader_options=pycolmap.ImageReaderOptions(mask_path=work / "masks"),
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    # Every pair draws its own random samples, so that the threads' order does not matter.
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = settings.seed
    matching = pycolmap.FeatureMatchingOptions(
        num_threads=settings.threads, use_gpu=False, guided_matching=settings.guided_matching
    )
    options = {"verification_options": verification, "device": pycolmap.Device.cpu}
    if pairs is None:
        pycolmap.match_exhaustive(database, matching, **options)
    else:
        lines = [f"{images[i].file} {images[j].file}\n" for i, j in pairs]
        (work / "pairs.txt").write_text("".join(lines), encoding="utf-8")
        pairing = pycolmap.ImportedPairingOptions(match_list_path=work / "pairs.txt")
        pycolmap.match_image_pairs(database, matching, pairing, **options)
    most = read_overlaps(work, len(images)).max(axis=1)
    return {image.view: int(matches) for image, matches in zip(images, most, strict=True)}


def map_views(
    work: Path,
    images: Sequence[WorkImage],
    best_matches: dict[str, int],
    settings: Settings,
    output: Path,
) -> Mapping | None:
    """Estimate poses and points, and write the largest model to `output`, for full photographs.

    Runs on one thread: sums of several threads differ in their last bits from run to run.

    Returns:
        What was mapped, or None where no two views start a model.
    """
    pycolmap = load_pycolmap()
    pycolmap.set_random_seed(settings.seed)
    (work / "models").mkdir(exist_ok=True)
    arguments = (work / "database.db", work / "images", work / "models")
    if settings.mapper == "global":
        # On a copy: calibrating changes the cameras that other attempts start from.
        arguments = (work / "calibrated.db", *arguments[1:])
        shutil.copyfile(work / "database.db", arguments[0])
        pycolmap.calibrate_view_graph(arguments[0])
        models = pycolmap.global_mapping(*arguments, _global_options(settings))
    else:
        models = pycolmap.incremental_mapping(*arguments, _incremental_options(settings))
    ordered = sorted(models.values(), key=lambda m: (-m.num_reg_images(), -m.num_points3D()))
    if not ordered:
        return None
    views = tuple(tuple(_registered(model)) for model in ordered)
    return _write_full_size(ordered[0], images, output, views, best_matches)


def triangulate(
    work: Path,
    images: Sequence[WorkImage],
    lenses: Sequence[Lens],
    world_to_camera: NDArray[np.float64],
    best_matches: dict[str, int],
    settings: Settings,
    output: Path,
) -> Mapping:
    """Find points for views of known poses, and write the model to `output`.

    Args:
        work: Folder after `find_matches`.
        images: The views; each has its own lens.
        lenses: Their lenses at working size.
        world_to_camera: Their OpenCV poses. Shape `(C, 4, 4)`.
        best_matches: From `find_matches`.
        settings: Seed.
        output: Folder of the model.
    """
    pycolmap = load_pycolmap()
    pycolmap.set_random_seed(settings.seed)
    model = pycolmap.Reconstruction()
    for number, (image, pose) in enumerate(zip(images, world_to_camera, strict=True), start=1):
        model.add_camera_with_trivial_rig(colmap_camera(image.lens + 1, lenses[image.lens]))
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=image.file, camera_id=image.lens + 1, image_id=number),
            pycolmap.Rigid3d(pose[:3]),
        )
    (work / "models").mkdir()
    model = pycolmap.triangulate_points(
        model,
        work / "database.db",
        work / "images",
        work / "models",
        options=_incremental_options(settings),
    )
    return _write_full_size(model, images, output, (tuple(_registered(model)),), best_matches)


def keep_views(folder: Path, views: Collection[str], mapping: Mapping) -> Mapping:
    """Leave only some of a model's views in it, and write it again.

    Args:
        folder: The model, as `map_views` wrote it.
        views: The views that stay.
        mapping: What was said of the model.

    Returns:
        The same of the model that is left.
    """
    pycolmap = load_pycolmap()
    model = pycolmap.Reconstruction(folder)
    for image in list(model.images.values()):
        if image.has_pose and Path(image.name).stem not in views:
            model.deregister_frame(image.frame_id)
    model.update_point_3d_errors()
    model.write_binary(folder)
    registered = tuple(_registered(model))
    return replace(
        _said_of(model, (registered, *mapping.model_views[1:]), mapping.best_matches),
        lenses=mapping.lenses,
    )


def _write_database(path: Path, images: Sequence[WorkImage], lenses: Sequence[Lens]) -> None:
    """Write cameras and images under fixed numbers, which threads would give out in any order.

    Those that the database has stay as they are.
    """
    pycolmap = load_pycolmap()
    database = pycolmap.Database.open(path)
    for number, lens in enumerate(lenses, start=1):
        if database.exists_camera(number):
            continue
        camera = colmap_camera(number, lens)
        database.write_camera(camera, use_camera_id=True)
        rig = pycolmap.Rig(rig_id=number)
        rig.add_ref_sensor(camera.sensor_id)
        database.write_rig(rig, use_rig_id=True)
    for number, image in enumerate(images, start=1):
        if database.exists_image(number):
            continue
        entry = pycolmap.Image(name=image.file, camera_id=image.lens + 1, image_id=number)
        database.write_image(entry, use_image_id=True)
        frame = pycolmap.Frame(frame_id=number, rig_id=image.lens + 1)
        frame.add_data_id(entry.data_id)
        database.write_frame(frame, use_frame_id=True)
    database.close()


def read_overlaps(work: Path, count: int) -> NDArray[np.int64]:
    """Verified matches of each pair of the first `count` views, after `find_matches`.

    Returns:
        Symmetric, with 0 on the diagonal. Shape `(count, count)`.
    """
    pycolmap = load_pycolmap()
    database = pycolmap.Database.open(work / "database.db")
    overlaps = np.zeros((count, count), dtype=np.int64)
    for pair, matches in zip(*database.read_two_view_geometry_num_inliers(), strict=True):
        first, second = (number - 1 for number in pycolmap.pair_id_to_image_pair(pair))
        overlaps[first, second] = overlaps[second, first] = matches
    database.close()
    return overlaps


def _incremental_options(settings: Settings) -> Any:
    options = load_pycolmap().IncrementalPipelineOptions(
        num_threads=1, random_seed=settings.seed, min_model_size=MIN_MODEL_VIEWS
    )
    options.mapper.num_threads = 1
    options.mapper.random_seed = settings.seed
    options.triangulation.random_seed = settings.seed
    if settings.few_matches:
        options.mapper.init_min_num_inliers //= 2
        options.mapper.abs_pose_min_num_inliers //= 2
        options.mapper.abs_pose_min_inlier_ratio /= 2
    return options


def _global_options(settings: Settings) -> Any:
    options = load_pycolmap().GlobalPipelineOptions(
        num_threads=1, random_seed=settings.seed, min_model_size=MIN_MODEL_VIEWS
    )
    options.mapper.num_threads = 1
    options.mapper.random_seed = settings.seed
    return options


def _registered(model: Any) -> list[str]:
    return sorted(Path(image.name).stem for image in model.images.values() if image.has_pose)


def _write_full_size(
    model: Any,
    images: Sequence[WorkImage],
    output: Path,
    model_views: tuple[tuple[str, ...], ...],
    best_matches: dict[str, int],
) -> Mapping:
    """Bring a model from working size to the photographs' size and names, and write it."""
    by_view = {image.view: image for image in images}
    for image in model.images.values():
        source, camera = by_view[Path(image.name).stem], model.cameras[image.camera_id]
        image.name = source.photograph
        factors = np.array(source.full_size) / (camera.width, camera.height)
        for point in image.points2D:
            point.xy = point.xy * factors
    for camera in model.cameras.values():
        full_size = next(i.full_size for i in images if i.lens + 1 == camera.camera_id)
        camera.rescale(*full_size)
    model.update_point_3d_errors()
    output.mkdir(parents=True, exist_ok=True)
    model.write_binary(output)
    return _said_of(model, model_views, best_matches)


def _said_of(
    model: Any, model_views: tuple[tuple[str, ...], ...], best_matches: dict[str, int]
) -> Mapping:
    return Mapping(
        registered=model_views[0],
        model_views=model_views,
        best_matches=best_matches,
        points=model.num_points3D(),
        mean_track_length=model.compute_mean_track_length(),
        mean_reprojection_error_px=model.compute_mean_reprojection_error(),
        lenses=tuple(lens_of(camera) for _, camera in sorted(model.cameras.items())),
    )
