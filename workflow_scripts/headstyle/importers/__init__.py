"""What other people made, read from their files and checked.

In:  cameras, images, masks and depth in the formats that people have.
Out: `Cameras`, images with alpha, depth along z, and the pairs of views to compare.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "colmap_models": ["SparseModel", "read_model"],
        "given_poses": ["GivenPose", "read_given_poses"],
        "scenes": ["ForeignScene", "SceneFiles", "read_scene"],
    },
)
