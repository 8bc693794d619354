"""Registered views: which of the views COLMAP still finds a pose for."""

import numpy as np
from numpy.typing import NDArray

from headstyle.consistency.parts.structure import Structure, StructureMetric, ratio


class Registration(StructureMetric):
    """Whether the target gets a pose: 1 or 0, NaN where it gets none before the edit.

    An avatar has the fraction of its views. Poses come from what the views show alone.
    """

    name = "registration"
    units = "fraction of views, 0 to 1"

    def ratios(self, after: Structure, before: Structure) -> NDArray[np.float64]:
        return ratio(
            after.registered[:, None].astype(int), before.registered[:, None].astype(int), 1
        )
