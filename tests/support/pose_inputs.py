"""What the stage `estimate_poses` is given: settings, and masks that keep everything."""

from headstyle.base.files import write_json
from PIL import Image

CONFIG = {
    "max_image_size_px": 320,
    "max_features": 800,
    "camera_sharing": "per_capture",
    "camera_model": "SIMPLE_RADIAL",
    "mapper": "incremental",
    "min_registered": 0.9,
    "attempts": [],
    "go_on": None,
    "min_views": 12,
}


def write_masks(folder, photographs, cameras):
    """Masks that keep everything, for `{view}.jpg` in the folder `photographs`."""
    views = {}
    (folder / "masks").mkdir(parents=True)
    for view, (width, height) in zip(cameras.names, cameras.sizes.tolist(), strict=True):
        Image.new("L", (width, height), 255).save(folder / "masks" / f"{view}.png")
        path = str(photographs / f"{view}.jpg")
        views[view] = {"photograph": path, "width": width, "height": height}
    write_json(folder / "masks" / "masks.json", {"steps": [], "views": views})
