"""Small videos of moving texture."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 128, 96, 10


def picture(step: int) -> np.ndarray:
    """A red quarter at the upper left, the rest texture that moves; 8-bit RGB."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 255, (HEIGHT // 4, WIDTH // 4), dtype=np.uint8)
    gray = np.roll(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), step, 1)
    rgb = np.repeat(gray[..., None], 3, axis=2)
    rgb[: HEIGHT // 2, : WIDTH // 2] = (200, 30, 40)
    return rgb


def write_video(path, frames, quarter_turns: int = 0) -> None:
    """An MP4 of frames, which the header tells to turn clockwise by quarters."""
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        stream.options = {"crf": "10"}
        for pixels in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                video.mux(packet)
        for packet in stream.encode():
            video.mux(packet)
    if quarter_turns:
        content = bytearray(path.read_bytes())
        # The matrix of the track's header, in 16.16 and 2.30 fixed point.
        place = content.index(b"tkhd") + 44
        turn = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[quarter_turns]
        a, b, c, d = (value << 16 for value in turn)
        struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(content)
