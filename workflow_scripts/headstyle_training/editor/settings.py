"""The settings of the mini editor's training. Nothing here needs torch."""

from dataclasses import dataclass

from headstyle_training.heads.settings import HeadSettings
from headstyle_training.loop.settings import LoopSettings, TrainingSettings


@dataclass(frozen=True, kw_only=True)
class EditorSettings(TrainingSettings, HeadSettings):
    """Everything that shapes the mini editor's training."""

    minutes: float = 20.0
    """How long to train the autoencoder and the denoiser together."""
    iterations: int | None = None
    """How many steps to train each of the two, and the judge, instead of `minutes`."""
    autoencoder_share: float = 0.3
    """The autoencoder's share of the minutes."""
    batch_autoencoder: int = 32
    """Pictures in each step of the autoencoder."""
    batch_denoiser: int = 256
    """Pairs in each step of the denoiser; with fewer a large GPU waits for its next kernels."""
    learning_rate_autoencoder: float = 8e-4
    learning_rate_denoiser: float = 5e-4
    heads: int = 4000
    evaluation_pictures: int = 24
    """Pictures of each edit and text that the editor is scored on."""
    picture_pool: int = 8000
    """Pairs of pictures of the first size kept for the autoencoder; a third as many of others."""
    pool: int = 30_000
    """Encoded pairs of the first size kept for the denoiser; a third as many of others."""
    judge_pictures: int = 12_000
    """Pictures that the judge is trained on."""
    judge_minutes: float = 0.75
    height: int = 256
    """Height of the pictures [px]."""
    widths: tuple[int, ...] = (176, 256)
    """Widths of the pictures [px]; three of four batches have the first one."""
    start: str | None = None
    """Folder of an earlier mini editor whose weights the training starts from."""

    @property
    def minutes_autoencoder(self) -> float:
        """How long the autoencoder is trained."""
        return round(self.autoencoder_share * self.minutes, 2)

    @property
    def minutes_denoiser(self) -> float:
        """How long text encoder and denoiser are trained."""
        return round(self.minutes - self.minutes_autoencoder, 2)

    def parts(self) -> dict[str, LoopSettings]:
        """Settings of the parts of the training, in their order."""
        return {
            "autoencoder": self.loop(
                self.minutes_autoencoder, self.batch_autoencoder, self.learning_rate_autoencoder
            ),
            "denoiser": self.loop(
                self.minutes_denoiser, self.batch_denoiser, self.learning_rate_denoiser
            ),
        }


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an evaluation of the mini editor looks at."""

    heads: int = 48
    pictures: int = 24
    """Pictures of each edit and text."""
    coarseness: float = 2.0
    """As in `sculpt_head`; 2 makes discs about 1.6 mm apart."""
    workers: int = 0
    """Processes that sculpt heads; 0 sculpts in this one."""
    operators: tuple[str, ...] = ()
    """Edits to score; empty are all of the study's."""
