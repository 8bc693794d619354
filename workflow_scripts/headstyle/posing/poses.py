"""From photographs and masks to posed views: what surrounds COLMAP.

Features are found on upright copies at working size; the model that comes out is for the upright
photographs at full size. The world is COLMAP's own: nothing is re-centred or re-scaled.
"""

import logging
import math
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.importers.cameras import GivenPose
from headstyle.posing.masks import read_mask
from headstyle.posing.photographs import PhotographInfo, read_info
from headstyle.posing.registration.attempts import Attempt, Plan, try_in_turn
from headstyle.posing.registration.reconstruction import (
    MIN_MATCHES,
    MIN_MODEL_VIEWS,
    Mapping,
    Settings,
    WorkImage,
    find_matches,
    keep_views,
    map_views,
    read_overlaps,
    triangulate,
)
from headstyle.posing.registration.view_choice import (
    LINK,
    Overlaps,
    bring_in,
    choose_views,
    likely_pairs,
    parts,
)
from headstyle.posing.registration.work_images import (
    given_lenses,
    guess_lenses,
    list_work_images,
    write_work_images,
)
from headstyle.posing.turned_poses import upright_poses

logger = logging.getLogger("headstyle.posing.poses")

# To find out which photographs overlap, small copies and few features are enough.
_OVERLAP_SIZE_PX = 512
_OVERLAP_FEATURES = 1024
_LOOK_PX = 16


@dataclass(frozen=True)
class Capture:
    """The photographs of one subject, and what was computed of them so far."""

    views: dict[str, Any]
    """Entries of masks.json by view."""
    masks_folder: Path
    infos: dict[str, PhotographInfo]
    """Headers of the photographs that can be posed."""
    camera_model: str
    work: Path
    """Empty folder for temporary files."""
    matched: dict[tuple[object, ...], dict[tuple[str, ...], Path]] = field(default_factory=dict)
    """Folders after `find_matches`, by what the matches depend on and by the views."""
    models: dict[Plan, Path] = field(default_factory=dict)
    """The model of each plan that was run."""

    def overlaps(self, size_px: int, settings: Settings) -> Overlaps:
        """Verified matches of each pair of photographs, from small copies."""
        folder = self.work / f"overlap_{size_px}"
        lenses, lens_of_view = guess_lenses(self.infos, "per_capture", self.camera_model, size_px)
        images = [
            replace(image, number=number)
            for number, image in enumerate(list_work_images(self.views, self.infos, lens_of_view))
        ]
        write_work_images(self.views, self.masks_folder, images, lenses, folder, settings.threads)
        pairs = likely_pairs(_looks(folder, images))
        find_matches(folder, images, lenses, settings, pairs)
        return read_overlaps(folder, len(images))

    def run(self, plan: Plan) -> Mapping | None:
        """Match and map the views of a plan."""
        infos = {view: self.infos[view] for view in plan.views}
        lenses, lens_of_view = guess_lenses(
            infos, plan.sharing, self.camera_model, plan.max_image_size_px
        )
        images = list_work_images(self.views, infos, lens_of_view)
        folder = self._folder(plan)
        write_work_images(
            self.views, self.masks_folder, images, lenses, folder, plan.settings.threads
        )
        best_matches = find_matches(folder, images, lenses, plan.settings)
        self.models[plan] = self.work / f"model_{len(self.models)}"
        return map_views(folder, images, best_matches, plan.settings, self.models[plan])

    def overlaps_of(self, plan: Plan) -> Overlaps:
        """Verified matches of each pair of a plan's views, after `run`."""
        return read_overlaps(self._folder(plan), len(plan.views))

    def _folder(self, plan: Plan) -> Path:
        """Where a plan's matches go; what fewer views have of them already is there."""
        same = replace(plan.settings, mapper="", few_matches=False)
        found = self.matched.setdefault((plan.max_image_size_px, plan.sharing, same), {})
        if plan.views not in found:
            folder = self.work / f"matches_{sum(map(len, self.matched.values()))}"
            beginnings = [v for v in found if plan.views[: len(v)] == v]
            if beginnings:
                shutil.copytree(found[max(beginnings, key=len)], folder)
            found[plan.views] = folder
        return found[plan.views]


@dataclass(frozen=True)
class Posed:
    """What came of posing the views of a capture."""

    mapping: Mapping
    views: tuple[str, ...]
    """All views of the attempt that was kept, also those without a pose."""
    attempts: list[Attempt]
    islands: list[tuple[str, ...]]
    """Parts of the photographs that do not overlap, where there are several."""


def estimate_poses(
    masks: dict[str, Any],
    masks_folder: Path,
    given: dict[str, GivenPose] | None,
    config: dict[str, Any],
    settings: Settings,
    work: Path,
    model_folder: Path,
    max_views: int | None = None,
) -> dict[str, Any]:
    """Choose the views, pose them, and write the COLMAP model of those that could be posed.

    Args:
        masks: Content of masks.json.
        masks_folder: Folder of the masks.
        given: Known poses by view, or None to estimate them.
        config: The config's `poses` section.
        settings: Features, mapper, seed and threads.
        work: Empty folder for temporary files.
        model_folder: Where the model goes.
        max_views: Number of views to choose; None takes all photographs.

    Returns:
        Content of poses.json.

    Raises:
        InputError: no views, or too few of them, could be posed.
    """
    views = masks["views"]
    posable = [view for view in views if given is None or view in given]
    infos = {view: read_info(views[view]["photograph"]) for view in posable}
    capture = Capture(views, masks_folder, infos, config["camera_model"], work)
    overlaps = None
    used = posable
    if max_views is not None and len(posable) > max_views:
        overlaps = _measured_overlaps(capture, config["max_image_size_px"], max_views, settings)
        used = [posable[i] for i in choose_views(overlaps, max_views)]
        logger.info("%d of %d photographs are views, by their overlap", len(used), len(posable))
    plan = Plan(tuple(used), config["max_image_size_px"], config["camera_sharing"], settings)
    if given is None:
        posed = _posed_in_turn(capture, plan, config, overlaps, model_folder)
        posed = at_most(posed, max_views, posable, overlaps, model_folder)
    else:
        posed = _posed_as_given(capture, plan, given, model_folder)
    unused = sorted(set(posable) - set(posed.views))
    left_out = masks.get("left_out", {})
    dropped = drop_reasons([view for view in views if view not in unused], posed.mapping) | left_out
    total = min(len(views) + len(left_out), max_views or len(views) + len(left_out))
    went_on = check_registered(posed.mapping, dropped, total, config, posed.islands)
    return {
        "source": "estimated" if given is None else "given",
        **_summary(posed.mapping, dropped),
        "unused": unused,
        "captures": [list(names) for names in posed.islands],
        "went_on": went_on,
        "attempts": [attempt.record for attempt in posed.attempts],
    }


def _measured_overlaps(
    capture: Capture, size_px: int, max_views: int, settings: Settings
) -> Overlaps:
    """Overlaps from small copies, or from larger ones where these connect too few photographs."""
    few = Settings(_OVERLAP_FEATURES, "incremental", settings.seed, settings.threads)
    overlaps = capture.overlaps(min(_OVERLAP_SIZE_PX, size_px), few)
    if len(parts(overlaps)[0]) < max_views and size_px > _OVERLAP_SIZE_PX:
        logger.info("small copies connect too few photographs: they are matched at %d px", size_px)
        overlaps = capture.overlaps(size_px, replace(few, max_features=settings.max_features))
    return overlaps


def _posed_in_turn(
    capture: Capture,
    first: Plan,
    config: dict[str, Any],
    overlaps: Overlaps | None,
    model_folder: Path,
) -> Posed:
    """The best of the configured attempts; its model goes to `model_folder`."""
    posable = list(capture.infos)
    number = {view: i for i, view in enumerate(posable)}

    def more_views(attempt: Attempt) -> list[str]:
        if overlaps is None:
            return []
        posed = attempt.found.registered if attempt.found else ()
        lost = [number[view] for view in attempt.plan.views if view not in posed]
        used = [number[view] for view in attempt.plan.views]
        return [posable[i] for i in bring_in(overlaps, used, lost, len(lost))]

    enough = math.ceil(config["min_registered"] * len(first.views) - 1e-9)
    largest_px = max(max(info.width, info.height) for info in capture.infos.values())
    best, attempts = try_in_turn(
        first, config["attempts"], enough, capture.run, more_views, largest_px
    )
    if best.found is None:
        raise InputError(
            f"no two of the {len(first.views)} views can be matched; use photographs that overlap"
            " more, check that the masks keep the head, or give known poses"
        )
    counts = best.found.best_matches.values()
    logger.info("matches of a view with its best partner: %d to %d", min(counts), max(counts))
    shutil.move(capture.models[best.plan], model_folder)
    known = best.plan.views if overlaps is None else posable
    shared = capture.overlaps_of(best.plan) if overlaps is None else overlaps
    islands = _islands(known, shared, best.found.registered)
    return Posed(best.found, best.plan.views, attempts, islands)


def at_most(
    posed: Posed,
    count: int | None,
    posable: Sequence[str],
    overlaps: Overlaps | None,
    model_folder: Path,
) -> Posed:
    """At most `count` posed views: where more were brought in, those that others replace go."""
    registered = posed.mapping.registered
    if count is None or overlaps is None or len(registered) <= count:
        return posed
    numbers = [posable.index(view) for view in registered]
    chosen = choose_views(overlaps[np.ix_(numbers, numbers)], count)
    kept = {registered[i] for i in chosen}
    gone = set(registered) - kept
    logger.info("%d views are posed, %d more than asked for", len(registered), len(gone))
    mapping = keep_views(model_folder, kept, posed.mapping)
    return replace(posed, mapping=mapping, views=tuple(v for v in posed.views if v not in gone))


def _posed_as_given(
    capture: Capture, plan: Plan, given: dict[str, GivenPose], model_folder: Path
) -> Posed:
    """Points under given poses; the model goes to `model_folder`."""
    infos = {view: capture.infos[view] for view in plan.views}
    given = upright_poses(given, infos)
    lenses, lens_of_view = given_lenses(infos, given, plan.max_image_size_px)
    images = list_work_images(capture.views, infos, lens_of_view)
    folder, settings = capture.work / "given", plan.settings
    write_work_images(capture.views, capture.masks_folder, images, lenses, folder, settings.threads)
    best_matches = find_matches(folder, images, lenses, settings)
    poses = np.stack([given[view].world_to_camera for view in plan.views])
    mapping = triangulate(folder, images, lenses, poses, best_matches, settings, model_folder)
    return Posed(mapping, plan.views, [], [])


def _islands(
    views: Sequence[str], overlaps: Overlaps, posed: Collection[str]
) -> list[tuple[str, ...]]:
    """Parts of the photographs that do not overlap with each other, where there are several.

    Small copies may tell less than the model: views that it poses belong together.
    """
    together = [i for i, view in enumerate(views) if view in posed]
    joined = overlaps.copy()
    joined[np.ix_(together, together)] = LINK
    found = [part for part in parts(joined) if len(part) >= MIN_MODEL_VIEWS]
    return [tuple(views[i] for i in part) for part in found] if len(found) > 1 else []


def _looks(folder: Path, images: Sequence[WorkImage]) -> NDArray[np.float64]:
    """What each work image shows, as a unit vector: its tiny gray copy, without the mean."""
    looks = []
    for image in images:
        pixels = cv2.imread(str(folder / "images" / image.file), cv2.IMREAD_GRAYSCALE)
        mask = read_mask(folder / "masks" / f"{image.file}.png")
        assert pixels is not None
        shown = np.where(mask > 0, pixels, np.uint8(0))
        tiny = cv2.resize(shown, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA)
        look = tiny.astype(np.float64).ravel()
        look -= look.mean()
        looks.append(look / max(float(np.linalg.norm(look)), 1e-9))
    return np.stack(looks)


def drop_reasons(views: Sequence[str], mapping: Mapping) -> dict[str, str]:
    """Why each view that is not in the largest model is not, by view."""
    reasons = {}
    for view in sorted(set(views) - set(mapping.registered)):
        smaller = [names for names in mapping.model_views[1:] if view in names]
        best = mapping.best_matches.get(view)
        if best is None:
            reasons[view] = "not among the given poses"
        elif smaller:
            reasons[view] = f"in a smaller model of {len(smaller[0])} views"
        elif best < MIN_MATCHES:
            reasons[view] = f"too few matches with any other view ({best})"
        else:
            reasons[view] = f"could not be placed, with at most {best} matches to another view"
    return reasons


def check_registered(
    mapping: Mapping,
    dropped: dict[str, str],
    total: int,
    config: dict[str, Any],
    islands: Sequence[Sequence[str]] = (),
) -> bool:
    """Check that enough views have a pose, by the config's `poses` section.

    Args:
        mapping: What was mapped.
        dropped: Why each other view has no pose.
        total: Number of views that were asked for.
        config: `min_registered` of them are needed. With `go_on`, that part of them is enough if
            they are `min_views` or more.
        islands: Parts of the photographs that do not overlap, where there are several.

    Returns:
        Whether the run goes on with fewer than `min_registered`.

    Raises:
        InputError: too few; names the dropped views.
    """
    registered = len(mapping.registered)
    if not mapping.points:
        raise InputError(
            "no point could be triangulated under the given poses; check that they belong to these"
            " photographs and follow the OpenCV or nerfstudio convention"
        )
    if registered >= config["min_registered"] * total - 1e-9:
        return False
    go_on, least = config["go_on"], config["min_views"]
    if go_on is not None and registered >= max(least, go_on * total - 1e-9):
        return True
    wanted = f"poses.min_registered ({config['min_registered']:g})"
    if go_on is not None:
        wanted += f" and than poses.go_on ({go_on:g}, {least} views or more)"
    reasons = "; ".join(f"{view}: {reason}" for view, reason in dropped.items())
    separate = ""
    if islands:
        named = "; ".join(", ".join(names) for names in islands)
        separate = f" the photographs fall into parts that do not overlap ({named}):"
    raise InputError(
        f"{registered} of {total} views could be posed, fewer than {wanted}"
        f" ({reasons});{separate}{' give each part a folder of its own,' if islands else ''} remove"
        " these photographs, add ones that overlap with them, check their masks, or lower"
        " poses.min_registered"
    )


def clean_work_folder(path: Path) -> Path:
    """An empty folder for temporary files, without what a killed job left there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _summary(mapping: Mapping, dropped: dict[str, str]) -> dict[str, Any]:
    return {
        "registered": list(mapping.registered),
        "dropped": dropped,
        "models": [len(views) for views in mapping.model_views],
        "points": mapping.points,
        "mean_track_length": round(mapping.mean_track_length, 3),
        "mean_reprojection_error_px": round(mapping.mean_reprojection_error_px, 4),
        "cameras": [
            {
                "model": lens.model,
                "width": lens.width,
                "height": lens.height,
                "params": list(lens.params),
                "focal_length_from_exif": lens.has_prior_focal,
            }
            for lens in mapping.lenses
        ],
    }
