"""Density of tracks: points that COLMAP finds in a view, beside those before the edit."""

import numpy as np
from numpy.typing import NDArray

from headstyle.consistency.parts.structure import Structure, StructureMetric, ratio


class RegistrationPoints(StructureMetric):
    """Points of the model that the target observes, over those of the unedited views.

    Each is a track through two views or more. 1 is as many as before the edit; 0 where the target
    gets no pose. NaN where it gets none before the edit.
    """

    name = "registration_points"
    units = "ratio, 0 and up"

    def ratios(self, after: Structure, before: Structure) -> NDArray[np.float64]:
        return ratio(after.points[:, None], before.points[:, None], 1)
