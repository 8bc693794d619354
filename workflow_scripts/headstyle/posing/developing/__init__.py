"""Photographs that must be made first: frames of a video, and RAW files.

In:  a video, or a folder with one or with RAW files.
Out: JPEG files, upright, 8-bit sRGB.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"sources": ["develop", "files_to_develop"]}
)
