"""SPZ, the compressed splats of Scaniverse: versions 2 to 4 are read, version 3 is written.

One array follows the other: positions as 24-bit fixed point, opacities, colors, logarithms of the
scales, rotations, harmonics, all in 8 bits but for the rotations. Versions 2 and 3 are one gzip
stream; version 4 has a Zstandard stream per array. The axes are x right, y up, z backward; those
of a PLY are x right, y down, z forward, so that y and z change their sign.
"""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.rendering.quantized import LEAST_OPACITY, Arrays, logit, to_bytes

MAGIC = b"NGSP"
GZIP_MAGIC = b"\x1f\x8b"
MOST_SPLATS = 50_000_000

_HEADER = struct.Struct("<4sIIBBBB")
_LONG_HEADER_BYTES = 32
_STREAM_SIZES = struct.Struct("<QQ")
# Neither compression shrinks bytes further than about this; what claims more is damaged.
_LARGEST_RATIO = {"gzip": 1040, "zstd": 50_000}
_BASES = (0, 3, 8, 15, 24)
_MOST_BASES = 15
_COLOR_SCALE = 0.15
_SCALE_STEPS, _SCALE_LEAST = 16.0, -10.0
_COORDINATE_LIMIT = 2**23 - 1
_MOST_FRACTIONAL_BITS = 20
_MAGNITUDES = 511
# Of the 256 levels between -1 and 1, every 8th for the first degree and every 16th above are used.
_HARMONIC_STEPS = np.array([8] * 3 + [16] * 12)
_ANTIALIASED = 1
# A turn by 180 degrees about x changes the sign of these.
_FLIP = np.array([1, -1, -1], np.float32)
_FLIP_QUATS = np.array([1, 1, -1, -1], np.float32)
_FLIP_HARMONICS = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


def encode(arrays: Arrays) -> bytes:
    """The content of an SPZ file of version 3.

    Positions get as many fractional bits as the scene's extent leaves, 20 at most. Harmonics beyond
    -1 and 1 are clipped, scales lie in [exp(-10), exp(5.9)].

    Args:
        arrays: Names and shapes of `Splats`.

    Raises:
        InputError: a position is too far from the origin for 24 bits.
    """
    count, bases = len(arrays["means"]), arrays["shN"].shape[1]
    reach = float(np.abs(arrays["means"]).max())
    if reach >= _COORDINATE_LIMIT:
        raise InputError(f"a splat lies {reach:g} from the origin, too far for SPZ; export PLY")
    room = int(np.floor(np.log2(_COORDINATE_LIMIT / max(reach, 1e-6))))
    fraction = min(room, _MOST_FRACTIONAL_BITS)
    fixed = np.rint(arrays["means"].astype(np.float64) * _FLIP * 2**fraction).astype("<i4")
    opacity = 1 / (1 + np.exp(-arrays["opacities"].astype(np.float64)))
    parts = [
        fixed.view(np.uint8).reshape(count, 3, 4)[..., :3],
        to_bytes(255 * opacity),
        to_bytes(255 * (_COLOR_SCALE * arrays["sh0"][:, 0] + 0.5)),
        to_bytes((arrays["scales"] - _SCALE_LEAST) * _SCALE_STEPS),
        _pack_rotations(arrays["quats"] * _FLIP_QUATS),
        _pack_harmonics(arrays["shN"] * _FLIP_HARMONICS[:bases, None]),
    ]
    header = _HEADER.pack(MAGIC, 3, count, _BASES.index(bases), fraction, 0, 0)
    # The time would make two exports of one scene differ.
    return gzip.compress(header + b"".join(part.tobytes() for part in parts), mtime=0)


def decode(content: bytes, path: str | Path) -> Arrays:
    """The arrays of an SPZ file. Harmonics above the third degree are left out.

    Args:
        content: The file's bytes.
        path: The file, for messages.

    Returns:
        Names and shapes of `Splats`.

    Raises:
        InputError: the file is damaged, promises more than it holds, or has an unknown version.
    """
    try:
        if content[:2] == GZIP_MAGIC:
            header, parts = _read_gzip(content)
        else:
            header, parts = _read_streams(content)
    except (struct.error, zlib.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path} {error}") from None
        raise InputError(f"{path} is a damaged SPZ file ({error}); export it again") from None
    return _arrays(header, parts)


class _Header:
    """What a file says about its splats, checked."""

    def __init__(self, content: bytes, versions: tuple[int, ...]) -> None:
        magic, version, count, degree, fraction, flags, last = _HEADER.unpack_from(content)
        if magic != MAGIC:
            raise InputError("is no SPZ file; export it again")
        if version not in versions:
            raise InputError(
                f"is SPZ of version {version}, which is not known; export version 2, 3 or 4, or PLY"
            )
        if not 0 < count <= MOST_SPLATS or degree >= len(_BASES) or fraction > 23:
            raise InputError(
                f"says that it holds {count:,} splats with harmonics of degree {degree} and"
                f" {fraction} fractional bits, which cannot be; export it again"
            )
        self.version, self.count, self.fraction, self.streams = version, count, fraction, last
        self.degree, self.antialiased = degree, bool(flags & _ANTIALIASED)

    def sizes(self) -> list[int]:
        """Bytes of positions, opacities, colors, scales, rotations and harmonics."""
        rotation = 3 if self.version == 2 else 4
        return [self.count * each for each in (9, 1, 3, 3, rotation, 3 * _BASES[self.degree])]


def _read_gzip(content: bytes) -> tuple[_Header, list[bytes]]:
    stream = zlib.decompressobj(wbits=31)
    start = stream.decompress(content, _HEADER.size)
    header = _Header(start, (2, 3))
    sizes = header.sizes()
    _check_ratio(sum(sizes), len(content), "gzip")
    body = stream.decompress(stream.unconsumed_tail, sum(sizes))
    if len(body) < sum(sizes):
        raise EOFError(f"it ends after {len(body)} of {sum(sizes)} bytes")
    ends = np.cumsum(sizes)
    return header, [body[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _read_streams(content: bytes) -> tuple[_Header, list[bytes]]:
    header = _Header(content, (4,))
    sizes = header.sizes()
    sizes = sizes[:-1] if header.degree == 0 else sizes
    if header.streams != len(sizes):
        raise ValueError(f"it has {header.streams} streams, not {len(sizes)}")
    (table,) = struct.unpack_from("<I", content, _HEADER.size)
    if table < _LONG_HEADER_BYTES:
        raise ValueError(f"its table of streams lies at {table}")
    place, parts = table + header.streams * _STREAM_SIZES.size, []
    for index, size in enumerate(sizes):
        offset = table + index * _STREAM_SIZES.size
        packed, unpacked = _STREAM_SIZES.unpack_from(content, offset)
        if unpacked != size or place + packed > len(content):
            raise ValueError(f"stream {index + 1} has {unpacked} bytes, not {size}")
        _check_ratio(size, packed, "zstd")
        parts.append(_unpack_zstd(content[place : place + packed], size))
        place += packed
    return header, [*parts, b""][:6]


def _check_ratio(size: int, packed: int, method: str) -> None:
    """Raise an InputError, before memory is taken, where so few bytes cannot hold so many."""
    if size > _LARGEST_RATIO[method] * (packed + 64):
        raise InputError(
            f"says that it holds {size:,} bytes, which its {packed:,} compressed ones cannot;"
            " export it again"
        )


def _unpack_zstd(content: bytes, size: int) -> bytes:
    try:
        import pyarrow
    except ImportError:
        raise InputError(
            "is SPZ of version 4, for which the package pyarrow is missing; run"
            " `pip install 'headstyle[arrow]'`, or export version 3"
        ) from None
    return bytes(pyarrow.decompress(content, decompressed_size=size, codec="zstd"))


def _arrays(header: _Header, parts: list[bytes]) -> Arrays:
    positions, opacities, colors, scales, rotations, harmonics = (
        np.frombuffer(part, np.uint8) for part in parts
    )
    count = header.count
    fixed = np.zeros((count, 3, 4), np.uint8)
    # In the upper three bytes, so that the sign is in its place.
    fixed[..., 1:] = positions.reshape(count, 3, 3)
    whole = fixed.view("<i4")[..., 0] >> 8
    opacity = np.clip(opacities / 255, LEAST_OPACITY, 1 - LEAST_OPACITY)
    levels = harmonics.reshape(count, _BASES[header.degree], 3)[:, :_MOST_BASES]
    if header.version == 2:
        quats = _unpack_first_three(rotations.reshape(count, 3))
    else:
        quats = _unpack_smallest_three(rotations.view("<u4"))
    found = {
        "means": whole / 2.0**header.fraction * _FLIP,
        "scales": scales.reshape(count, 3) / _SCALE_STEPS + _SCALE_LEAST,
        "quats": quats * _FLIP_QUATS,
        "opacities": logit(opacity),
        "sh0": (colors.reshape(count, 1, 3) / 255 - 0.5) / _COLOR_SCALE,
        "shN": (levels / 128.0 - 1) * _FLIP_HARMONICS[: levels.shape[1], None],
    }
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _pack_rotations(quats: NDArray[Any]) -> NDArray[np.uint32]:
    """32 bits a rotation: which of x, y, z and w is the largest, and the other three."""
    count = len(quats)
    unit = quats[:, [1, 2, 3, 0]].astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(axis=1)
    # A quaternion and its negative are one rotation.
    unit *= np.where(unit[np.arange(count), largest] < 0, -1, 1)[:, None]
    packed = largest.astype(np.uint32)
    steps = np.minimum(np.rint(np.abs(unit) * np.sqrt(2) * _MAGNITUDES), _MAGNITUDES)
    for component in range(4):
        negative = (unit[:, component] < 0).astype(np.uint32)
        value = (negative << np.uint32(9)) | steps[:, component].astype(np.uint32)
        stored = largest != component
        packed[stored] = (packed[stored] << np.uint32(10)) | value[stored]
    return packed.astype("<u4")


def _unpack_smallest_three(packed: NDArray[Any]) -> NDArray[np.float64]:
    """Quaternions wxyz of what `_pack_rotations` makes."""
    rows = np.arange(len(packed))
    left, largest = packed.astype(np.int64) & 0x3FFFFFFF, packed.astype(np.int64) >> 30
    unit = np.zeros((len(packed), 4))
    for component in (3, 2, 1, 0):
        value = (left & 0x1FF) / _MAGNITUDES / np.sqrt(2) * np.where(left & 0x200, -1, 1)
        stored = largest != component
        unit[stored, component] = value[stored]
        left = np.where(stored, left >> 10, left)
    unit[rows, largest] = np.sqrt(np.maximum(1 - (unit**2).sum(axis=1), 0))
    return unit[:, [3, 0, 1, 2]]


def _unpack_first_three(stored: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Quaternions wxyz of version 2, which leaves out w."""
    xyz = stored / 127.5 - 1
    w = np.sqrt(np.maximum(1 - (xyz**2).sum(axis=1), 0))
    return np.concatenate([w[:, None], xyz], axis=1)


def _pack_harmonics(harmonics: NDArray[Any]) -> NDArray[np.uint8]:
    steps = _HARMONIC_STEPS[: harmonics.shape[1], None]
    return to_bytes(np.rint((harmonics * 128 + 128) / steps) * steps)
