"""What other people made, read from their files and checked.

In:  cameras, images, masks and depth in the formats that people have.
Out: `Cameras`, images with alpha, depth along z, and the pairs of views to compare.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cameras": ["CameraFormat", "camera_formats", "find_cameras"],
        "colmap_models": ["SparseModel", "read_model"],
        "depths": ["read_depth"],
        "given_poses": ["GivenPose", "read_given_poses"],
        "images": ["read_picture"],
        "masks": ["find_masks", "read_mask_file"],
        "scenes": ["ForeignScene", "SceneFiles", "read_scene"],
    },
)
