"""SOG version 2, the splats of PlayCanvas and SuperSplat in WebP images, written by gaussforge.

https://developer.playcanvas.com/user-manual/gaussian-splatting/formats/sog/ defines the format.
"""

import tempfile
from pathlib import Path

import torch

from headstyle.base.errors import InputError
from headstyle.rendering.renderer import Splats
from headstyle.rendering.splats import write_ply

SUFFIX = ".sog"
"""Files that are written, but not read."""


def encode(splats: Splats) -> bytes:
    """The content of a .sog file.

    Raises:
        InputError: the package gaussforge is missing, or cannot write the scene.
    """
    try:
        import gaussforge
    except ImportError:
        raise InputError(
            "SOG needs the package gaussforge; run `pip install 'headstyle[sog]'`, or export spz"
        ) from None
    # gaussforge takes quaternions for unit ones.
    quats = torch.nn.functional.normalize(splats["quats"].detach(), dim=1)
    scene = Splats({**dict(splats.items()), "quats": torch.nn.Parameter(quats)})
    with tempfile.TemporaryDirectory() as folder:
        ply = Path(folder, "splats.ply")
        write_ply(ply, scene)
        made = gaussforge.GaussForge().convert(ply.read_bytes(), "ply", "sog")
    if "data" not in made:
        raise InputError(f"the scene cannot be written as SOG ({made.get('error')}); export spz")
    return bytes(made["data"])
