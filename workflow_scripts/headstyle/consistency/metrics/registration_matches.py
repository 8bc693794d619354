"""Matches of a pair that COLMAP verifies, beside those before the edit."""

import numpy as np
from numpy.typing import NDArray

from headstyle.consistency.parts.structure import Structure, StructureMetric, ratio

LEAST = 15
"""Fewer verified matches before the edit say nothing."""


class RegistrationMatches(StructureMetric):
    """Verified SIFT matches of target and source, over those of the unedited views.

    1 is as many as before the edit. NaN where the unedited views have fewer than 15.
    """

    name = "registration_matches"
    units = "ratio, 0 and up"

    def ratios(self, after: Structure, before: Structure) -> NDArray[np.float64]:
        return ratio(after.matches, before.matches, LEAST)
