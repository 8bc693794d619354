"""What the Snakefile and the stage scripts share.

In:  the configuration and the tables of subjects and prompts.
Out: checked settings, logs, digests of the code, weights that are there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "provenance": ["library_digest"],
        "stage": ["stage"],
    },
)
