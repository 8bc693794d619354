"""The settings of the mini perceptual metric's training. Nothing here needs torch."""

from dataclasses import dataclass

from headstyle_training.heads.settings import HeadSettings
from headstyle_training.loop.settings import LoopSettings


@dataclass(frozen=True, kw_only=True)
class PerceptualSettings(LoopSettings, HeadSettings):
    """Everything that shapes the mini perceptual metric's training."""

    minutes: float = 5.0
    batch: int = 128
    """Judgements in each step."""
    learning_rate: float = 1e-3
    warm_up: int = 200
    warm_up_share: float | None = 0.1
    averaging_age: int = 1
    replay: bool = False
    heads: int = 3000
    evaluation_judgements: int = 600
    """Judgements of each task that the metric is scored on."""
    first_groups: int = 1000
    """Groups of pictures to make before the training starts."""
    pool: int = 12_000
    """Groups of pictures kept on the device."""
    side_px: int = 192
    """Height and width of the photographs [px]."""
    crop_px: int = 128
    """Height and width of the crops that are judged [px], a multiple of 8."""
