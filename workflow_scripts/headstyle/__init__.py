"""headstyle: how multi-view consistent is a text-driven stylization of a head avatar?

Conventions of the whole package:

- Images are sRGB, float32 in [0, 1], shape `(H, W, 3)`; with straight alpha `(H, W, 4)`.
- Poses are OpenCV (x right, y down, z forward), 4x4 `world_to_camera`, no metric scale.
- Pixel (row i, column j) has its centre at (x, y) = (j + 0.5, i + 0.5), as in COLMAP and gsplat.
- Depth is the z coordinate in the camera, 0 where there is no surface.
"""

__version__ = "0.1.0"
