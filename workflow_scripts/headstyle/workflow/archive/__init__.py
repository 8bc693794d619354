"""A study as one file to publish or to keep: an RO-Crate in a ZIP archive.

In:  the files of a study that is done.
Out: `archive.zip` with a description and checksums of all files, and what is wrong with one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "packing": ["pack"],
        "verifying": ["verify"],
    },
)
