"""The settings of the mini matting's training. Nothing here needs torch."""

from dataclasses import dataclass

from headstyle_training.heads.settings import HeadSettings
from headstyle_training.loop.settings import LoopSettings


@dataclass(frozen=True, kw_only=True)
class MattingSettings(LoopSettings, HeadSettings):
    """Everything that shapes the mini matting's training."""

    minutes: float = 6.0
    batch: int = 64
    """Photographs in each step; an eighth as many cutouts or backgrounds are new."""
    learning_rate: float = 2e-3
    warm_up: int = 200
    warm_up_share: float | None = 0.1
    averaging_age: int = 1
    replay: bool = False
    """Whether steps on a GPU are replayed as CUDA graphs: on one H200 they take 4 % less time."""
    heads: int = 3000
    evaluation_pictures: int = 192
    """Pictures of each kind that the model is scored on."""
    first_cutouts: int = 1200
    """Cutouts, and as many backgrounds, to make before the training starts."""
    pool: int = 12_000
    """Cutouts, and as many backgrounds, kept on the device."""
    side_px: int = 320
    """Height and width of the photographs [px]."""
