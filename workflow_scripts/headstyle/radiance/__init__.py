"""Neural radiance fields: an alternative to splats behind the same doors.

In:  cameras, target images and sparse points that show where the head is.
Out: a field, its renders and depths, its history.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baseline": ["train_field_on_views"],
        "field": ["RadianceField"],
        "files": ["read_field", "write_field"],
        "settings": ["NerfSettings"],
        "trainer": ["FieldTrainer"],
    },
)
