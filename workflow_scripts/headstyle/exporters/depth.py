"""Depth maps for compositing and for other methods: EXR and 16-bit PNG."""

from pathlib import Path

import cv2
import numpy as np

from headstyle.base.errors import InputError
from headstyle.base.files import whole_folder, write_json
from headstyle.base.progress import progress
from headstyle.exporters.scene import SceneFolder
from headstyle.importers.depths import read_depth

SCALE_FILE = "depth_scale.json"
# Below half precision's largest number, which many programs take for no surface.
_STEPS = 65000


def export_depth_exr(scene: SceneFolder, out: Path) -> None:
    """Write the median depth as `{view}.exr`: channel Z, float32, 0 where there is no surface."""
    import OpenEXR

    with whole_folder(out) as folder:
        for path in progress(_maps(scene), "depth maps"):
            depth = np.ascontiguousarray(read_depth(path))
            header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
            with OpenEXR.File(header, {"Z": depth}) as file:
                file.write(str(folder / f"{path.stem}.exr"))


def export_depth_png(scene: SceneFolder, out: Path) -> None:
    """Write the median depth as 16-bit `{view}.png`, and the scale as `depth_scale.json`.

    A pixel times `depth_scale` is z in world units; 0 is no surface. All views have one scale.
    """
    paths = _maps(scene)
    farthest = max(float(read_depth(path).max()) for path in paths)
    scale = farthest / _STEPS if farthest > 0 else 1.0
    with whole_folder(out) as folder:
        for path in progress(paths, "depth maps"):
            depth = read_depth(path).astype(np.float64)
            steps = np.where(depth > 0, np.clip(np.rint(depth / scale), 1, _STEPS), 0)
            cv2.imwrite(str(folder / f"{path.stem}.png"), steps.astype(np.uint16))
        meaning = "z in the camera [world units] per step of a pixel; 0 is no surface"
        write_json(folder / SCALE_FILE, {"depth_scale": scale, "meaning": meaning})


def _maps(scene: SceneFolder) -> list[Path]:
    paths = sorted(scene.depth.glob("*.npz"))
    if not paths:
        raise InputError(f"{scene.depth} holds no depth maps; run the workflow again")
    return paths
