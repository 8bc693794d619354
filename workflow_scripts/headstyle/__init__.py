"""headstyle: how multi-view consistent is a text-driven stylization of a head avatar?

Conventions of the whole package:

- Images are sRGB, float32 in [0, 1], shape `(H, W, 3)`; with straight alpha `(H, W, 4)`.
- Poses are OpenCV (x right, y down, z forward), 4x4 `world_to_camera`, no metric scale.
- Pixel (row i, column j) has its centre at (x, y) = (j + 0.5, i + 0.5), as in COLMAP and gsplat.
- Depth is the z coordinate in the camera, 0 where there is no surface.
"""

import os

# PyTorch and numba each bring a pool of threads. By default an idle pool spins for a while and
# takes the cores from the other one (training was 5 to 40 times slower on a busy machine). The
# libraries read this when they are loaded, so it has to be set before any of them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
