"""The settings of all three trainings together. Nothing here needs torch."""

from dataclasses import dataclass
from typing import Any

from headstyle_training.editor.settings import EditorSettings
from headstyle_training.matting.settings import MattingSettings
from headstyle_training.perceptual.settings import PerceptualSettings

MODELS = ("perceptual", "matting", "editor")
"""The small models in the order of training: the editor needs most heads, and their number grows
meanwhile."""


@dataclass(frozen=True)
class AllSettings:
    """The settings of the three trainings; the editor's tell which heads all of them share."""

    perceptual: PerceptualSettings
    matting: MattingSettings
    editor: EditorSettings


def settings_for(
    minutes_editor: float,
    minutes_matting: float,
    minutes_perceptual: float,
    heads: int,
    workers: int,
    seed: int,
    start_editor: str | None = None,
    device: str = "cpu",
) -> AllSettings:
    """Settings of the three trainings from their minutes and from what they share.

    Args:
        minutes_editor: How long to train the editor.
        minutes_matting: How long to train the matting.
        minutes_perceptual: How long to train the perceptual metric.
        heads: Distinct heads to train on.
        workers: Processes that sculpt heads.
        seed: Decides the first weights and every random draw.
        start_editor: Folder of an earlier mini editor to start from.
        device: cuda or cpu.
    """
    shared: dict[str, Any] = {"heads": heads, "workers": workers, "seed": seed, "device": device}
    return AllSettings(
        PerceptualSettings(minutes=minutes_perceptual, **shared),
        MattingSettings(minutes=minutes_matting, **shared),
        EditorSettings(minutes=minutes_editor, start=start_editor, **shared),
    )
