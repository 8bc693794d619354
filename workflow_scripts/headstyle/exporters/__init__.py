"""Scenes of a study for other programs: nerfstudio, COLMAP, viewers of splats, compositing, tables.

In:  a scene's folder in the results.
Out: files in the formats of other programs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "formats": ["export", "formats_in_words"],
        "scene": ["SceneFolder", "find_scene"],
    },
)
