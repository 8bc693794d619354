"""Splats and their images, on CUDA by gsplat and on the CPU by kernels of our own.

In:  splats and cameras.
Out: colors, alpha and depth, with gradients.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "renderer": ["Rendering", "Splats", "render", "render_views"],
        "splat_files": ["read_splats", "write_splats"],
        "splats": ["read_ply", "splats_from_points", "write_ply"],
    },
)
