"""Perceived color difference CIEDE2000 after the corrected warp."""

from headstyle.consistency.metrics.ciede2000 import Ciede2000


class Ciede2000Corrected(Ciede2000):
    """The study's formula; sub-pixel backward warp, occlusion tested both ways, explicit masks."""

    name = "ciede2000_corrected"
    warp = "corrected"
