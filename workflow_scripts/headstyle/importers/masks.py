"""The one reader of the users' masks, and how a mask is found for each view.

Masks come in many kinds: white on black, 0 and 1, labels in the colors of a palette, alpha of a
cutout, or RGBA whose alpha says nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.errors import InputError
from headstyle.importers.images import (
    SUFFIXES,
    Use,
    exif_orientation,
    has_alpha,
    opened_image,
    turn_upright,
)
from headstyle.importers.listing import (
    MASK_MARKER,
    files_everywhere,
    is_marked,
    look_alikes,
    match_files,
)

Mask = NDArray[np.uint8]
"""Alpha, 0 to 255. Shape `(H, W)`."""
MASK = Use("cannot be read as a mask", "replace it", may_be_float=True)

# Colors of labels; a photograph has many more.
_MOST_LABELS = 64
# A gray image that went through JPEG in color has channels that differ by a few levels.
_GRAY_TOLERANCE = 16
# Masks of labels that are not black and white: brighter ones are soft masks.
_DARKEST_MASK = 32
# Alpha and brightness may differ in soft edges.
_SAME_SHARE = 0.01

INVERTED = "looks inverted"
"""Flag of a given mask."""
_WHITE_BORDER, _BLACK_MIDDLE = 0.9, 0.5
"""Parts of the frame's border (but the lower one) and of its middle that are foreground."""


def find_masks(
    folder: str | Path, views: Mapping[str, str | Path], key: str = ""
) -> dict[str, Path]:
    """The mask of each view that has one, anywhere below a folder.

    A mask is called as the view or its image, with or without a word such as `mask` before, after
    or within it, in any case: `x.png`, `x_mask.png`, `mask_x.png`, `x.jpg.png` (COLMAP),
    `x.jpg.mask.png`, `x-removebg-preview.png`, `x.PNG`. Where a view has one with such a word in
    its name and one without, the former is taken.

    Args:
        folder: Where to look.
        views: Path of each view's image, by the view's name.
        key: What the folder is in messages.

    Raises:
        InputError: two masks fit a view equally well.
    """
    folder, where = Path(folder), key or str(folder)
    names = [str(path) for path in files_everywhere(folder, SUFFIXES)]
    found = match_files(views, names, where, marker=MASK_MARKER, first=is_marked)
    return {view: Path(found[view]) for view in views if view in found}


def missing_mask(folder: str | Path, view: str) -> str:
    """The sentence on a view without a mask, with names in the folder that look like its."""
    names = [path.name for path in files_everywhere(Path(folder), SUFFIXES)]
    return (
        f"{folder} has no mask for view {view}; add {view}_mask.png or {view}.png"
        f"{look_alikes([view], names)}"
    )


def read_mask_file(path: str | Path) -> Mask:
    """Read a mask of any kind, upright by its own EXIF.

    What varies is the mask: the alpha where only it does, else the brightness. Two levels, of which
    one is 0, are background and foreground, whatever the other is. Of colored labels, black is the
    background. The alpha of a cutout of a photograph is its mask.

    Raises:
        InputError: the file cannot be decoded, brightness and alpha are different masks, or the
            image is a photograph or has labels in gray of which nobody knows the meaning.
    """
    with opened_image(path, MASK) as image:
        image.load()
        orientation = exif_orientation(image)
        alpha = np.array(image.convert("RGBA").getchannel("A")) if has_alpha(image) else None
        brightness = _brightness(image)
    alpha = None if alpha is None or _is_constant(alpha) else _two_levels(alpha)
    if alpha is None:
        if brightness is None:
            raise InputError(
                f"{path} shows colors as a photograph does, not a mask; write the foreground white"
                " and the rest black"
            )
        mask = _checked_labels(brightness, path)
    elif brightness is None or _is_constant(brightness):
        mask = alpha
    else:
        if ((brightness > 127) != (alpha > 127)).mean() > _SAME_SHARE:
            raise InputError(
                f"{path} has one mask in its colors and another one in its alpha; save the right"
                " one alone"
            )
        mask = alpha
    return turn_upright(mask, orientation)


def read_masks(paths: Sequence[Path]) -> list[NDArray[np.float32]]:
    """Masks in [0, 1], shape `(H, W)`.

    Raises:
        InputError: as `read_mask_file`, a mask has no foreground, or most look inverted.
    """
    masks = []
    inverted = []
    for path in paths:
        mask = read_mask_file(path)
        check_foreground(mask, path)
        if looks_inverted(mask):
            inverted.append(path)
        masks.append(mask.astype(np.float32) / np.float32(255))
    if inverted:
        check_polarity(len(inverted), len(paths), inverted[0])
    return masks


def looks_inverted(mask: Mask) -> bool:
    """Whether a mask is white along the frame and black in the middle, where heads are."""
    foreground = mask > 127
    height, width = foreground.shape
    border = np.concatenate([foreground[0], foreground[:, 0], foreground[:, -1]])
    y, x = height // 4, width // 4
    middle = foreground[y : height - y, x : width - x]
    return bool(border.mean() > _WHITE_BORDER and middle.mean() < _BLACK_MIDDLE)


def check_polarity(inverted: int, total: int, example: str | Path) -> None:
    """Check that given masks do not show the background.

    Args:
        inverted: Number of masks that look inverted.
        total: Number of all masks.
        example: The mask of one of them.

    Raises:
        InputError: more than half of the masks look inverted.
    """
    if inverted > total / 2:
        raise InputError(
            f"{inverted} of {total} masks, such as {example}, are white along the frame and"
            " black in the middle, as if they showed the background; write the head white and the"
            " rest black"
        )


def check_foreground(mask: Mask, path: str | Path) -> None:
    """Raise an InputError where a mask has no foreground at all."""
    if not (mask > 127).any():
        raise InputError(
            f"the mask {path} has no foreground: its brightest pixel is {int(mask.max())} of 255;"
            " write the foreground as 255, or remove the view"
        )


def _brightness(image: PillowImage.Image) -> Mask | None:
    """The mask that an image's colors show; None where they show a photograph."""
    if image.mode == "F":
        return _from_float(np.asarray(image))
    if image.mode.startswith("I"):
        values = np.asarray(image)
        return _two_levels(values) if values.max() <= 1 else _from_16_bits(values)
    colors = np.asarray(image.convert("RGB")).astype(np.int16)
    if image.mode == "P" and (colors == colors[:1, :1]).all():
        # Labels were written without a palette.
        return _two_levels(np.asarray(image) > 0)
    if np.ptp(colors, axis=2).max() <= _GRAY_TOLERANCE:
        return _two_levels(np.rint(colors.mean(axis=2)).astype(np.uint8))
    if len(np.unique(colors.reshape(-1, 3), axis=0)) > _MOST_LABELS:
        return None
    return np.where(colors.any(axis=2), np.uint8(255), np.uint8(0))


def _from_16_bits(values: NDArray[Any]) -> Mask:
    levels = np.unique(values)
    if len(levels) == 2 and levels[0] == 0:
        return _two_levels(values > 0)
    return np.rint(np.clip(values, 0, 65535) / 257).astype(np.uint8)


def _from_float(values: NDArray[Any]) -> Mask:
    """Parts of 1, or levels up to 255; no number is background."""
    known = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = 255 if known.max() <= 1 else 1
    return _two_levels(np.rint(np.clip(known * scale, 0, 255)).astype(np.uint8))


def _two_levels(values: NDArray[Any]) -> Mask:
    """Levels 0 and 1, or 0 and any other one, as 0 and 255; other masks as they are."""
    levels = np.unique(values)
    if (len(levels) == 2 and levels[0] == 0) or levels[-1] <= 1:
        return np.where(values > 0, np.uint8(255), np.uint8(0))
    return values.astype(np.uint8)


def _checked_labels(mask: Mask, path: str | Path) -> Mask:
    if 0 < mask.max() < _DARKEST_MASK and not _is_constant(mask):
        raise InputError(
            f"{path} holds numbers up to {int(mask.max())}, which are labels or nearly black; write"
            " the foreground as 255 and the rest as 0"
        )
    return mask


def _is_constant(values: NDArray[Any]) -> bool:
    return bool(values.min() == values.max())


def views_of(views: Sequence[str] | Mapping[str, str | Path]) -> Mapping[str, str | Path]:
    """Views by name with their images' paths; a sequence of names stands for images so called."""
    return views if isinstance(views, Mapping) else {view: view for view in views}
