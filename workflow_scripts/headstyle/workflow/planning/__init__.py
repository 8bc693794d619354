"""What keeps the planning of a large study short.

In:  the names of subjects, prompts and strengths.
Out: patterns that Snakemake matches in a time that does not grow with the study.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "parts": ["REST", "subjects_of_part"],
        "patterns": ["any_of"],
        "shortcuts": ["take_shortcuts"],
    },
)
