"""From photographs to views with poses: masks, structure from motion, undistortion.

In:  a folder of photographs; masks and poses where the user has them.
Out: masks, a COLMAP model, and undistorted views with their cameras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "photographs": ["list_photographs", "read_photograph"],
        "poses": ["estimate_poses"],
        "undistortion": ["make_view"],
    },
)
