"""Views as a pipeline takes them, and edited pictures as views: size, background and alpha."""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as PillowImage

from headstyle.base.images import RgbaImage, composite
from headstyle.editing.base import with_alpha

Color = tuple[float, float, float]

LEAST_ALPHA = 0.05
"""Below this alpha, a pixel's own color cannot be told from the background's."""


@dataclass(frozen=True)
class Frame:
    """How the views of one size become pictures for a pipeline, and back."""

    height: int
    """Of the views [px]."""
    width: int
    """Of the views [px]."""
    multiple: int
    """Pictures have widths and heights that are multiples of this [px]."""
    least: int
    """Smallest width and height of a picture, itself such a multiple [px]."""
    megapixels: float | None
    """Area at which the pipeline works; None is that of the views."""
    background: Color
    """Color behind the head, sRGB in [0, 1]."""

    @property
    def scaled(self) -> tuple[int, int]:
        """Height and width of a view at the area at which the pipeline works."""
        if self.megapixels is None:
            return self.height, self.width
        scale = (self.megapixels * 1e6 / (self.height * self.width)) ** 0.5
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        height, width = (
            max(self.least, -(-length // self.multiple) * self.multiple) for length in self.scaled
        )
        return height, width

    def picture(self, image: RgbaImage) -> PillowImage.Image:
        """A view of this size on the background, its border repeated up to the picture's size."""
        colors = _resized(composite(image, self.background), *self.scaled)
        down, right = (a - b for a, b in zip(self.padded, self.scaled, strict=True))
        filled = cv2.copyMakeBorder(colors, 0, down, 0, right, cv2.BORDER_REPLICATE)
        return PillowImage.fromarray(np.rint(np.clip(filled, 0, 1) * 255).astype(np.uint8))

    def view(self, edited: np.ndarray, photograph: RgbaImage) -> RgbaImage:
        """An edited picture, of any size, as a view with its photograph's alpha.

        Colors that are not numbers stay so.
        """
        inside = _resized(np.asarray(edited, np.float32), *self.padded)
        height, width = self.scaled
        colors = _resized(inside[:height, :width], self.height, self.width)
        background = np.array(self.background, np.float32)
        alpha = np.maximum(photograph[..., 3:], LEAST_ALPHA)
        return with_alpha(background + (np.clip(colors, 0, 1) - background) / alpha, photograph)


def _resized(colors: np.ndarray, height: int, width: int) -> np.ndarray:
    if colors.shape[:2] == (height, width):
        return colors
    is_smaller = height * width < colors.shape[0] * colors.shape[1]
    way = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(colors), (width, height), interpolation=way))
