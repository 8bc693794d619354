"""Optimization of splats toward images.

In:  start points, cameras and target images.
Out: splats, their history and checkpoints.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baseline": ["train_on_views"],
        "trainer": ["HistoryRow", "SplatTrainer", "TrainingSettings"],
        "trainers": ["make_trainer"],
    },
)
