"""What the editor around a pipeline asks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image as PillowImage

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Call:
    """What a pipeline is asked for: edits of pictures of one size."""

    pictures: Sequence[PillowImage.Image]
    """The photographs on their background. Width and height are multiples of `multiple_px`."""
    references: Sequence[Sequence[PillowImage.Image]]
    """Further pictures of each edit."""
    texts: Sequence[str]
    """The instruction of each edit."""
    knobs: Mapping[str, float]
    """Values of the strength by the names of the knobs, equal for all pictures."""
    generators: "Sequence[torch.Generator]"
    """Source of each edit's noise."""
    settings: Mapping[str, Any]
    """The editor's own settings."""
