"""Scores of how well the views of a scene agree.

In:  images, depth and cameras of a scene; the scene before the edit where there is one.
Out: a table of pairs, a table of views, and the study's statistics.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "edit_strength": ["edit_strength"],
        "pairs": ["PairBatch", "Scene"],
        "scoring": ["adjacent_pairs", "score", "view_means", "with_references"],
    },
)
