"""Frames of a video as photographs: sharp ones, evenly spread over its time."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.errors import InputError, first_line

logger = logging.getLogger("headstyle")

JPEG_QUALITY = 95
LEAST_FRAMES = 2
# Sharpness is measured at this size [px], where noise and compression hardly count.
_GRAY_LONG_SIDE_PX = 640
# Two chosen frames are at least this part of the mean distance apart.
_LEAST_SPACING = 0.5
# Rows from which on a video is high definition, whose colors are coded by BT.709.
_HD_ROWS = 720
# Transfer functions of HDR (ITU-T H.273): PQ and HLG.
_HDR_TRANSFER = (16, 18)


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says."""

    width: int
    """Width of the upright frames [px]."""
    height: int
    """Height of the upright frames [px]."""
    seconds: float
    """Length; 0 where the header does not tell."""
    frames_per_second: float
    """Mean rate; 0 where the header does not tell."""
    turned_deg: int
    """By how much the stored frames are turned counterclockwise to be upright."""


def read_video_info(path: str | Path) -> VideoInfo:
    """Read a video's header and first frame.

    Raises:
        InputError: it cannot be decoded.
    """
    with _decoded(path) as (stream, frames):
        first = next(frames, None)
        if first is None:
            raise InputError(f"{path} has no frame; name another video")
        turned = _turned_deg(first)
        width, height = first.width, first.height
        if turned % 180:
            width, height = height, width
        seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
        rate = float(stream.average_rate or 0)
    return VideoInfo(width, height, seconds, rate, turned)


def write_frames(path: Path, count: int, out: Path) -> dict[str, Any]:
    """Write the chosen frames of a video as `frame_{number}.jpg`, upright.

    Args:
        path: The video.
        count: How many frames; a shorter video gives all of its own.
        out: An existing folder.

    Returns:
        The video, and each frame's number, time [s] and sharpness.

    Raises:
        InputError: the video cannot be decoded or has fewer than two frames.
    """
    times, sharpness = measure_frames(path)
    if len(times) < LEAST_FRAMES:
        raise InputError(f"{path} has {len(times)} frames; name a longer video")
    chosen = choose_frames(times, sharpness, count)
    logger.info("%d of %d frames of %s are photographs", len(chosen), len(times), path)
    wanted = set(chosen)
    with _decoded(path) as (_, frames):
        for number, frame in enumerate(frames):
            if number in wanted:
                picture = PillowImage.fromarray(upright_rgb(frame))
                picture.save(out / f"frame_{number:06d}.jpg", quality=JPEG_QUALITY, subsampling=0)
            if number >= chosen[-1]:
                break
    entries = {
        f"frame_{number:06d}": {
            "number": number,
            "seconds": round(times[number], 4),
            "sharpness": round(sharpness[number], 2),
        }
        for number in chosen
    }
    return {"video": str(path), "frames": len(times), "views": entries}


def measure_frames(path: str | Path) -> tuple[list[float], list[float]]:
    """Time [s] and sharpness of every frame.

    Sharpness is the mean squared gradient of the brightness. It compares frames that show the same,
    such as neighbors in time.

    Raises:
        InputError: the video cannot be decoded.
    """
    times, sharpness = [], []
    with _decoded(path) as (_, frames):
        for number, frame in enumerate(frames):
            if number == 0 and int(frame.color_trc) in _HDR_TRANSFER:
                logger.warning(
                    "%s is HDR, so that its frames look pale; export it as SDR for true colors",
                    path,
                )
            scale = min(1.0, _GRAY_LONG_SIDE_PX / max(frame.width, frame.height))
            small = frame.reformat(
                max(2, round(frame.width * scale)), max(2, round(frame.height * scale)), "gray"
            ).to_ndarray()
            times.append(float(frame.time) if frame.time is not None else float(number))
            sharpness.append(_sharpness(small))
    return times, sharpness


def choose_frames(times: Sequence[float], sharpness: Sequence[float], count: int) -> list[int]:
    """The sharpest frame of each of `count` equal parts of the time, not too near to the last one.

    Args:
        times: Time of each frame [s], ascending.
        sharpness: Sharpness of each frame.
        count: Number of parts, at least 1. A part without a frame gives none.

    Returns:
        Indices, ascending.
    """
    if count >= len(times):
        return list(range(len(times)))
    since = np.asarray(times, dtype=np.float64) - times[0]
    # Half a frame more, so that the last frame lies in the last part.
    length = since[-1] * (1 + 0.5 / (len(times) - 1)) or 1.0
    part = np.minimum((since / length * count).astype(int), count - 1)
    chosen: list[int] = []
    for index in range(count):
        inside = np.flatnonzero(part == index)
        if chosen:
            inside = inside[since[inside] - since[chosen[-1]] >= _LEAST_SPACING * length / count]
        if len(inside):
            chosen.append(int(inside[np.argmax(np.asarray(sharpness)[inside])]))
    return chosen


def upright_rgb(frame: Any) -> NDArray[np.uint8]:
    """A decoded frame as upright sRGB. Shape `(H, W, 3)`."""
    from av.video.reformatter import Colorspace

    unknown = int(frame.colorspace) not in {int(known) for known in Colorspace}
    guessed = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
    source = guessed if unknown else Colorspace(int(frame.colorspace))
    pixels = frame.reformat(format="rgb24", src_colorspace=source).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, _turned_deg(frame) // 90))


def _turned_deg(frame: Any) -> int:
    """The container's rotation in whole quarters, counterclockwise."""
    return round(float(frame.rotation) / 90) * 90 % 360


def _sharpness(gray: NDArray[np.uint8]) -> float:
    values = gray.astype(np.float32)
    return float(
        np.mean(cv2.Sobel(values, cv2.CV_32F, 1, 0) ** 2)
        + np.mean(cv2.Sobel(values, cv2.CV_32F, 0, 1) ** 2)
    )


@contextmanager
def _decoded(path: str | Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """A video's stream and its frames in order; errors become an InputError."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} has no pictures, only sound; name another video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield stream, container.decode(stream)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; correct the path") from None
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path} cannot be decoded as a video ({first_line(error)}); save it again, for example"
            " as MP4"
        ) from None
