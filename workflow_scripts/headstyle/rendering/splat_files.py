"""The one door to files of splats: PLY of every kind, `.splat` and SPZ; SOG is only written."""

import logging
from collections.abc import Callable
from pathlib import Path

from headstyle.base.errors import InputError
from headstyle.base.files import whole_file
from headstyle.rendering import sog, spz, web_splats
from headstyle.rendering.quantized import Arrays
from headstyle.rendering.renderer import Splats, check_splats
from headstyle.rendering.splats import only_finite, read_ply, to_splats, write_ply

logger = logging.getLogger("headstyle")

SPLAT_SUFFIXES = (".ply", ".splat", ".spz")
"""Files of splats that are read and written, in lower case."""

_ENCODERS: dict[str, Callable[[Arrays], bytes]] = {".splat": web_splats.encode, ".spz": spz.encode}


def read_splats(path: str | Path) -> Splats:
    """Read a scene: PLY, SPZ or `.splat`, whatever the file holds.

    PLY and SPZ are known by their first bytes, `.splat` by its name. Splats with a number that is
    not finite are left out; the log says how many.

    Raises:
        InputError: the file is missing, damaged or of another format, or has no finite splat.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not a file; correct the path")
    with path.open("rb") as file:
        start = file.read(4)
    if start[:3] == b"ply" or path.suffix.lower() == ".ply":
        return read_ply(path)
    if start[:2] == spz.GZIP_MAGIC or start == spz.MAGIC or path.suffix.lower() == ".spz":
        return to_splats(only_finite(spz.decode(path.read_bytes(), path), path))
    if path.suffix.lower() == ".splat":
        return to_splats(only_finite(web_splats.decode(path.read_bytes(), path), path))
    raise InputError(
        f"{path} is in no format of splats that is known ({', '.join(SPLAT_SUFFIXES)}); export it"
        " as PLY"
    )


def write_splats(path: str | Path, splats: Splats) -> None:
    """Write a scene in the format that the file's suffix names, whole or not at all.

    PLY keeps every number. `.splat` and SPZ keep them in 8 bits; `.splat` has no color that depends
    on the direction. SOG keeps 256 values of each kind, and positions in 16 bits.

    Raises:
        InputError: the suffix is not one of `SPLAT_SUFFIXES` or `.sog`, the format cannot hold the
            scene, or its package is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".ply":
        write_ply(path, splats)
        return
    if suffix not in (*_ENCODERS, sog.SUFFIX):
        known = ", ".join((*SPLAT_SUFFIXES, sog.SUFFIX))
        raise InputError(f"{path} must end in one of {known}; rename it")
    check_splats(splats)
    if suffix == sog.SUFFIX:
        content = sog.encode(splats)
    else:
        content = _ENCODERS[suffix]({n: v.detach().cpu().numpy() for n, v in splats.items()})
    with whole_file(path) as partial:
        partial.write_bytes(content)
