"""Root mean square color difference after the corrected warp."""

from headstyle.consistency.metrics.rmse import Rmse


class RmseCorrected(Rmse):
    """The study's formula; sub-pixel backward warp, occlusion tested both ways, explicit masks."""

    name = "rmse_corrected"
    warp = "corrected"
