"""The film of a scene in a page: a video that fits its share, and how much it flickers."""

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstyle.base.errors import RESULT, InputError, result_of
from headstyle.base.tables.rows import read_rows

_WRITTEN_CRF = 18
"""Quality of the films that `turntables` makes, in x264's steps."""
_HALVES_PER = 6
"""Steps of quality that halve a video's size, about."""
_LARGEST_CRF = 38
"""Beyond it a film shows blocks instead of skin."""
_LABELS = ("subject", "prompt", "strength", "frames", "turn_deg")


def film_content(video: Path, flicker: Mapping[str, Path], max_bytes: int) -> dict[str, Any]:
    """What the page plays.

    Args:
        video: An MP4.
        flicker: The tables flicker.csv of the scenes that it shows, by the scene's name.
        max_bytes: The most that the video may take in the page.

    Returns:
        video: the MP4 in base64; null where even a poor one takes more than that.
        path: where the whole video lies.
        flicker: per scene its scores by their names, such as `short_rmse`.

    Raises:
        InputError: a file is missing or damaged.
    """
    found = fitting_video(video, max_bytes * 3 // 4)
    origin = result_of("film_scene")
    return {
        "video": None if found is None else base64.b64encode(found).decode(),
        "path": str(video),
        "flicker": {
            name: {
                column: _number(value)
                for column, value in read_rows(path, origin)[0].items()
                if column not in _LABELS
            }
            for name, path in flicker.items()
        },
    }


def fitting_video(path: Path, max_bytes: int) -> bytes | None:
    """The video, encoded again more strongly where it is larger than `max_bytes`.

    Returns:
        An MP4; None where it would look too poor.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path} cannot be read ({reason}); {RESULT.if_wrong}") from None
    crf = _WRITTEN_CRF
    size = len(content)
    while size > max_bytes:
        # What was aimed at is missed by some percent, so aim a step lower.
        crf += 1 + math.ceil(_HALVES_PER * math.log2(size / max_bytes))
        if crf > _LARGEST_CRF:
            return None
        content = _encoded(path, crf)
        size = len(content)
    return content


def _encoded(path: Path, crf: int) -> bytes:
    """A video in another quality."""
    import av

    buffer = io.BytesIO()
    try:
        with av.open(str(path)) as before, av.open(buffer, "w", format="mp4") as after:
            source = before.streams.video[0]
            stream = after.add_stream("libx264", rate=source.average_rate)
            # One thread, so that the page is the same bytes again.
            stream.options = {"crf": str(crf), "preset": "slow", "threads": "1"}
            stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
            for frame in before.decode(source):
                for packet in stream.encode(frame.reformat(format="yuv420p")):
                    after.mux(packet)
            for packet in stream.encode():
                after.mux(packet)
    except av.FFmpegError as error:
        raise InputError(f"{path} is no video ({error}); {RESULT.if_wrong}") from None
    return buffer.getvalue()


def _number(text: str) -> float | None:
    value = float(text or "nan")
    return float(f"{value:.4g}") if math.isfinite(value) else None
