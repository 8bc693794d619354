"""Agisoft Metashape's cameras as XML (File > Export > Export Cameras).

By the user manual's appendix on camera models. With x = X/Z, y = Y/Z and r^2 = x^2 + y^2:
x' = x (1 + K1 r^2 + ... + K4 r^8) + P1 (r^2 + 2 x^2) + 2 P2 x y, and y' likewise with P1 and P2
exchanged, so they are OpenCV's p2 and p1. Then u = w/2 + cx + x' f + x' B1 + y' B2 and
v = h/2 + cy + y' f. For a fisheye x and y are first shortened to the angle from the axis. Cameras
look along z with y down; chunk and component have a rotation, a scale and a translation.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError, first_line
from headstyle.importers.cameras.base import (
    CameraFormat,
    GivenPose,
    Sizes,
    check_bytes,
    check_names,
    number,
    positive,
    world_to_camera,
)
from headstyle.importers.lenses import Lens, brown_lens, brown_terms

logger = logging.getLogger("headstyle")

Element = ElementTree.Element
# COLMAP's lenses have no skew; one that moves no pixel farther than this is left out [px].
_LARGEST_SKEW_PX = 0.5
# Centers farther out than this many times their spread are those of a globe.
_FAR = 1e4


class _NoDoctype(ElementTree.TreeBuilder):
    """A builder that takes no document type, in which entities could be defined."""

    def doctype(self, *_: object) -> NoReturn:
        raise ValueError("it has a document type, which no export of Metashape has")


class Metashape(CameraFormat):
    """`cameras.xml`: sensors with their calibration, and each camera's matrix in its chunk."""

    label = "cameras.xml of Metashape"
    rank = 1

    def find(self, path: Path) -> Path | None:
        files = sorted(path.glob("*.xml")) if path.is_dir() else [path]
        for file in files:
            if file.suffix.lower() == ".xml" and file.is_file():
                with file.open("rb") as opened:
                    start = opened.read(4096)
                if b"<document" in start and b"<chunk" in start:
                    return file
        return None

    def names(self, place: Path) -> list[str]:
        _, cameras = _chunk(place)
        return [camera.get("label", "") for camera in cameras]

    def read(self, place: Path, sizes: Sizes) -> dict[str, GivenPose]:
        chunk, cameras = _chunk(place)
        sensors = {sensor.get("id"): sensor for sensor in chunk.iterfind("sensors/sensor")}
        found = {}
        for camera in cameras:
            name = camera.get("label", "")
            if name not in sizes:
                continue
            try:
                sensor = sensors.get(camera.get("sensor_id"))
                if sensor is None:
                    raise ValueError(f"sensor {camera.get('sensor_id')!r} is missing")
                found[name] = _lens(sensor), _to_world(chunk, camera)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{place}: the camera {name!r} {_fault(error)}; export the cameras again"
                ) from None
        shift = _shift([matrix[:3, 3] for _, matrix in found.values()], place)
        poses = {}
        for name, (lens, matrix) in found.items():
            matrix[:3, 3] -= shift
            poses[name] = GivenPose(lens, world_to_camera(matrix))
        return poses

    def write(self, place: Path, poses: Mapping[str, GivenPose]) -> None:
        sensors, cameras = [], []
        for index, (name, pose) in enumerate(poses.items()):
            sensors.append(_sensor_text(index, name, pose.lens))
            matrix = np.linalg.inv(pose.world_to_camera)
            numbers = " ".join(map(repr, matrix.ravel().tolist()))
            cameras.append(
                f'<camera id="{index}" sensor_id="{index}" label={quoteattr(name)}>'
                f"<transform>{numbers}</transform></camera>"
            )
        lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<document version="1.5.0">']
        lines += ['<chunk label="Chunk 1" enabled="true">', "<sensors>", *sensors, "</sensors>"]
        lines += ["<cameras>", *cameras, "</cameras>", "</chunk>", "</document>", ""]
        place.write_text("\n".join(lines), encoding="utf-8")


def _chunk(place: Path) -> tuple[Element, list[Element]]:
    """The chunk with aligned cameras, and these."""
    check_bytes(place)
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())
        root = ElementTree.fromstring(place.read_bytes(), parser=parser)
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise InputError(
            f"{place} cannot be read as Metashape's XML ({first_line(error)}); export the cameras"
            " again"
        ) from None
    aligned = []
    for chunk in filter(_is_enabled, root.iter("chunk")):
        cameras = [
            camera
            for camera in chunk.iterfind("cameras//camera")
            if camera.find("transform") is not None and _is_enabled(camera)
        ]
        if cameras:
            aligned.append((chunk, cameras))
    if len(aligned) != 1:
        raise InputError(
            f"{place} holds {len(aligned)} chunks with aligned cameras; export those of one chunk"
        )
    check_names((camera.get("label", "") for camera in aligned[0][1]), place)
    return aligned[0]


def _is_enabled(element: Element) -> bool:
    return element.get("enabled", "true").lower() not in ("false", "0")


def _fault(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"is incomplete ({error})"


def _lens(sensor: Element) -> Lens:
    kind = sensor.get("type", "frame")
    if kind not in ("frame", "fisheye"):
        raise InputError(
            f"has a lens of the kind {kind}, which is not supported; give images of a frame or"
            " fisheye camera"
        )
    calibrations = sensor.findall("calibration")
    adjusted = [c for c in calibrations if c.get("class", "adjusted") == "adjusted"]
    if not calibrations:
        raise ValueError("its sensor has no calibration")
    calibration = (adjusted or calibrations)[-1]
    resolution = calibration.find("resolution")
    resolution = sensor.find("resolution") if resolution is None else resolution
    size = dict(resolution.items()) if resolution is not None else {}
    width, height = int(positive(size, "width")), int(positive(size, "height"))
    terms = {child.tag: child.text for child in calibration if child.tag != "resolution"}
    focal = positive(terms, "f")
    affinity, skew = (number(terms, key, 0) for key in ("b1", "b2"))
    center = (width / 2 + number(terms, "cx", 0), height / 2 + number(terms, "cy", 0))
    radial = tuple(number(terms, key, 0) for key in ("k1", "k2", "k3", "k4"))
    tangential = (number(terms, "p2", 0), number(terms, "p1", 0))
    if number(terms, "p3", 0) or number(terms, "p4", 0):
        raise InputError("has the terms p3 or p4; optimize the cameras without them")
    moved = abs(skew) * max(center[1], height - center[1]) / focal
    if moved > _LARGEST_SKEW_PX:
        raise InputError(
            f"has a skew b2 that moves pixels by {moved:.1f} px; optimize the cameras without b2"
        )
    pinhole = (focal + affinity, focal, *center)
    if kind == "frame":
        return brown_lens((width, height), pinhole, radial, tangential)
    if any(tangential):
        raise InputError("has a fisheye lens with p1 or p2; optimize the cameras without them")
    return Lens("OPENCV_FISHEYE", width, height, (*pinhole, *radial))


def _to_world(chunk: Element, camera: Element) -> NDArray[np.float64]:
    """Rigid camera-to-world `(4, 4)`: the scales move the center only."""
    matrix = _numbers(camera.findtext("transform"), 16).reshape(4, 4)
    component = camera.get("component_id")
    places = [
        element.find("transform")
        for element in chunk.iterfind("components/component")
        if component is not None and element.get("id") == component
    ]
    for place in (*places, chunk.find("transform")):
        if place is None:
            continue
        step = np.eye(4)
        if place.find("rotation") is not None:
            step[:3, :3] = _numbers(place.findtext("rotation"), 9).reshape(3, 3)
        if place.find("translation") is not None:
            step[:3, 3] = _numbers(place.findtext("translation"), 3)
        scale = float(_numbers(place.findtext("scale", "1"), 1)[0])
        if scale <= 0:
            raise ValueError(f"the scale of its chunk is {scale:g}, not above 0")
        matrix[:3, 3] *= scale
        matrix = step @ matrix
    world_to_camera(matrix)  # Raises where it is not rigid.
    return matrix


def _numbers(text: str | None, count: int) -> NDArray[np.float64]:
    values = np.array((text or "").split(), dtype=np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(f"a transform of it has not {count} numbers")
    return values


def _shift(centers: list[NDArray[np.float64]], place: Path) -> NDArray[np.float64]:
    """What is taken from all centers: nothing, or the mean of those on a globe."""
    if len(centers) < 2:
        return np.zeros(3)
    mean = np.mean(centers, axis=0)
    spread = np.abs(np.array(centers) - mean).max()
    if np.abs(mean).max() <= _FAR * spread:
        return np.zeros(3)
    logger.warning("%s is in coordinates of the earth; its cameras' mean becomes the origin", place)
    return np.asarray(mean)


def _sensor_text(index: int, name: str, lens: Lens) -> str:
    terms = brown_terms(lens)
    kind = "frame"
    if lens.model == "OPENCV_FISHEYE":
        kind, terms = "fisheye", (lens.params[:4], lens.params[4:], (0.0, 0.0))
    if terms is None:
        raise InputError(
            f"cameras.xml cannot hold the {lens.model} lens of {name!r}; undistort the images"
        )
    (focal_x, focal_y, center_x, center_y), radial, (p1, p2) = terms
    values = {"f": focal_y, "b1": focal_x - focal_y}
    values |= {"cx": center_x - lens.width / 2, "cy": center_y - lens.height / 2}
    values |= {f"k{i}": value for i, value in enumerate(radial, start=1)}
    values |= {"p1": p2, "p2": p1}
    text = "".join(f"<{key}>{float(value)!r}</{key}>" for key, value in values.items() if value)
    size = f'<resolution width="{lens.width}" height="{lens.height}"/>'
    return (
        f'<sensor id="{index}" type="{kind}">{size}'
        f'<calibration type="{kind}" class="adjusted">{size}{text}</calibration></sensor>'
    )
