"""What every room stands on: errors, files, images, cameras and their neighbors.

In:  nothing of headstyle.
Out: values and files that the other rooms pass to each other.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adjacency": ["Adjacency", "direction_adjacency", "read_adjacency"],
        "cameras": ["Cameras", "read_cameras"],
        "errors": ["InputError"],
        "images": ["read_rgba", "read_views", "write_image"],
        "seeds": ["derived_seed"],
    },
)
