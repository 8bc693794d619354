"""Foreground masks: matting, chroma key, or masks given by the user.

A mask is 8-bit alpha at the upright photograph's full size: 255 is foreground, 0 background.
"""

import math
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from headstyle.base.embedded import embedded_file
from headstyle.base.errors import InputError, first_line, result_in_folder
from headstyle.base.images import UNREADABLE_IMAGE
from headstyle.importers.masks import (
    INVERTED,
    Mask,
    check_foreground,
    check_polarity,
    looks_inverted,
    missing_mask,
)
from headstyle.posing.given_masks import (
    find_given_masks,
    masks_follow_stored_pixels,
    read_given_mask,
)
from headstyle.posing.photographs import read_info, read_photograph_with_alpha

Matting = Callable[[NDArray[np.uint8]], Mask]
"""From an upright RGB photograph `(H, W, 3)` to its alpha."""

NO_MASKS = "none"
"""Value of a subject's `masks` that keeps the whole photographs."""

EMBEDDED_MATTING = "mini"
"""Value of `matting_model` for the network that comes with headstyle."""

# Coverages outside this range are possible, but seldom meant.
_USUAL_COVERAGE = (0.03, 0.9)
# A border counts as touched where more than this fraction of it is foreground.
_BORDER_FRACTION = 0.01
# Where rembg fetches its models.
_MODEL_HOST = "https://github.com"
# Of the largest region, as a fraction of the mask's longer side.
SOFT_EDGE = 0.01


@dataclass(frozen=True)
class ChromaKey:
    """The key color: closed intervals in HSV."""

    hue_deg: tuple[float, float]
    """Hue [0, 360]; an interval whose first number is larger runs through 0."""
    saturation_percent: tuple[float, float]
    value_percent: tuple[float, float]


def chroma_key(photograph: NDArray[np.uint8], key: ChromaKey) -> Mask:
    """Alpha that is 0 where hue, saturation and value all lie in the key's intervals, else 255.

    Args:
        photograph: RGB. Shape `(H, W, 3)`.
        key: The intervals.
    """
    # OpenCV's float HSV: hue in degrees, saturation and value in [0, 1].
    hsv = cv2.cvtColor(photograph.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hue, (low, high) = hsv[..., 0], key.hue_deg
    keyed = (hue >= low) & (hue <= high) if low <= high else (hue >= low) | (hue <= high)
    for channel, (low, high) in ((1, key.saturation_percent), (2, key.value_percent)):
        # Half a millionth keeps float32's rounding from moving colors over the closed ends.
        percent = hsv[..., channel] * 100
        keyed &= (percent >= low - 5e-5) & (percent <= high + 5e-5)
    return np.where(keyed, np.uint8(0), np.uint8(255))


def largest_region(mask: Mask) -> Mask:
    """Alpha of the largest connected region and of its soft edge; 0 elsewhere.

    A region is made of pixels of more than half alpha that touch at their sides; its soft edge
    reaches a hundredth of the mask's longer side.
    """
    found = (mask > 127).astype(np.uint8)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(found, connectivity=4)
    if count < 3:
        return mask  # The background, and at most one region.
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    reach = 2 * math.ceil(SOFT_EDGE * max(mask.shape)) + 1
    kept = cv2.dilate((labels == largest).astype(np.uint8), np.ones((reach, reach), np.uint8))
    return np.where((kept > 0) & ((found == 0) | (labels == largest)), mask, np.uint8(0))


def make_mask(
    photograph: NDArray[np.uint8], steps: Sequence[str], key: ChromaKey, matting: Matting | None
) -> Mask:
    """Alpha after the given steps, each able only to remove foreground.

    Steps are `matting`, `chroma_key` and `largest_region`. Without a step everything is foreground.
    """
    mask = np.full(photograph.shape[:2], 255, dtype=np.uint8)
    for step in steps:
        if step == "matting":
            assert matting is not None
            found = matting(photograph)
        elif step == "chroma_key":
            found = chroma_key(photograph, key)
        elif step == "largest_region":
            found = largest_region(mask)
        else:
            raise InputError(
                f"masks.steps: {step!r} is unknown; use matting, chroma_key and largest_region"
            )
        mask = np.minimum(mask, found)
    return mask


def matting_weights(model: str, weights: str | None) -> Path:
    """The file of a matting model: `weights` if given, else where rembg keeps its models.

    The embedded model lies with headstyle. Another that is not there yet may still be
    downloaded by rembg, so only the lack of both the file and a network is an error.

    Raises:
        InputError: `weights` is missing, rembg does not know the model, or the model is neither on
            this machine nor can be fetched.
    """
    if weights is not None:
        if not Path(weights).is_file():
            raise InputError(
                f"masks.matting_weights: {weights} does not exist; put the ONNX file of {model}"
                " there"
            )
        return Path(weights)
    if model == EMBEDDED_MATTING:
        return embedded_file("matting/model.onnx")
    session_class = _session_class(model)
    if model.endswith("_custom"):
        raise InputError(
            f"masks.matting_model {model} needs its ONNX file; give it as masks.matting_weights"
        )
    found = session_class.resolve_existing(f"{model}.onnx")
    expected = Path(found or Path(session_class.model_dir()) / f"{model}.onnx")
    if not found and not _reachable(_MODEL_HOST):
        raise InputError(
            f"{expected}, the weights of masks.matting_model {model}, does not exist and cannot be"
            " downloaded; copy the file there, name another one in masks.matting_weights, or leave"
            " matting out of masks.steps"
        )
    return expected


def load_matting(model: str, weights: str | None, threads: int) -> Matting:
    """Load a matting model. The only function that runs rembg.

    Raises:
        InputError: as `matting_weights`, or the file is not a model.
    """
    path = matting_weights(model, weights)
    is_embedded = model == EMBEDDED_MATTING
    session_class = _session_class("u2net_custom" if is_embedded else model)
    if weights is not None or is_embedded:
        # rembg takes files from its own folder only; this one may lie anywhere.
        here = {"download_models": classmethod(lambda cls, *args, **kwargs: str(path))}
        session_class = type("LocalSession", (session_class,), here)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = session_class(model, options, model_path=str(path))
    except Exception as error:
        raise InputError(
            f"{path} cannot be loaded as the matting model {model}"
            f" ({first_line(error)}); provide its ONNX file again"
        ) from None
    return lambda photograph: np.asarray(
        session.predict(PillowImage.fromarray(photograph))[0].convert("L")
    )


def read_mask(path: str | Path) -> Mask:
    """Read a mask that the workflow wrote.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        with PillowImage.open(path) as image:
            return np.array(image.convert("L"))
    except UNREADABLE_IMAGE as error:
        again = result_in_folder(path).if_wrong
        raise InputError(f"{path} cannot be read ({error}); {again}") from None


def coverage(mask: Mask) -> float:
    """Mean alpha, 0 to 1."""
    return float(mask.mean(dtype=np.float64) / 255)


def mask_flags(mask: Mask) -> list[str]:
    """What looks unusual about a mask: a head cut off by the frame, little or much foreground.

    The lower border is not looked at: busts and shoulders end there.
    """
    foreground = mask >= 128
    borders = {"left": foreground[:, 0], "right": foreground[:, -1], "top": foreground[0]}
    flags = [
        f"touches the {side} border"
        for side, border in borders.items()
        if border.mean() > _BORDER_FRACTION
    ]
    if coverage(mask) < _USUAL_COVERAGE[0]:
        flags.append("covers little of the frame")
    if coverage(mask) > _USUAL_COVERAGE[1]:
        flags.append("covers nearly the whole frame")
    return flags


def check_coverage(mask: Mask, min_coverage: float, source: str | Path, given: bool) -> None:
    """Check that a mask covers at least `min_coverage` of the frame.

    Args:
        mask: The mask.
        min_coverage: Smallest fraction, 0 to 1.
        source: The given mask's file, or the photograph that the mask was made from.
        given: Whether the mask was given.

    Raises:
        InputError: it covers less; names `source`.
    """
    if coverage(mask) >= min_coverage:
        if given:
            check_foreground(mask, source)
        return
    name, move = (
        (f"the mask {source}", "replace it, remove the photograph, or lower masks.min_coverage")
        if given
        else (
            f"the mask made of {source}",
            "give a mask, remove the photograph, or change masks.steps or masks.chroma_key",
        )
    )
    raise InputError(
        f"{name} covers {coverage(mask):.2%} of the frame, less than masks.min_coverage"
        f" ({min_coverage:.2%}); {move}"
    )


class Masker:
    """Makes the masks of one subject, from its given masks or by the configured steps."""

    def __init__(
        self,
        photographs: dict[str, Path],
        given: str | dict[str, Path],
        settings: dict[str, Any],
        threads: int = 1,
    ) -> None:
        """Find or load what the masks need.

        Args:
            photographs: Paths by view name.
            given: Folder of given masks, or their files by view name; `none` for no masking, or
                empty to make them.
            settings: The config's `masks` section.
            threads: Threads of the matting model.

        Raises:
            InputError: the folder of given masks or the matting model is missing.
        """
        self.photographs = photographs
        self.infos = {view: read_info(path) for view, path in photographs.items()}
        self.min_coverage = float(settings["min_coverage"])
        self.key = ChromaKey(**{k: tuple(v) for k, v in settings["chroma_key"].items()})
        self.given: dict[str, Path] = {}
        self.unmasked: dict[str, InputError] = {}
        """Views without a mask among the given ones, with the sentence that says so."""
        self.matting: Matting | None = None
        cut_out = [view for view in photographs if self._alpha(view) is not None]
        own_steps = [] if given == NO_MASKS else list(settings["steps"])
        if given and given != NO_MASKS:
            own_steps = ["given"]
            if isinstance(given, str):
                self.given = find_given_masks(given, photographs, all_needed=False)
                self.unmasked = {
                    view: InputError(missing_mask(given, view))
                    for view in photographs
                    if view not in self.given
                }
            else:
                self.given = given
            self.stored = masks_follow_stored_pixels(self.given, self.infos)
        # Steps that photographs without alpha need, and what the others come with.
        self.own_steps = own_steps
        self.steps = own_steps if len(cut_out) < len(photographs) or self.given else []
        self.steps = [*(["alpha"] if cut_out else []), *self.steps]
        if "matting" in self.steps:
            self.matting = load_matting(
                settings["matting_model"], settings["matting_weights"], threads
            )

    def _alpha(self, view: str) -> Mask | None:
        """The mask that a photograph carries in its alpha, where it does."""
        if not self.infos[view].with_alpha:
            return None
        return read_photograph_with_alpha(self.photographs[view]).shown_alpha

    def mask(self, view: str) -> tuple[Mask, dict[str, Any]]:
        """The mask of a view, and its entry in masks.json.

        A photograph with alpha is masked by it, and by a given mask besides.

        Raises:
            InputError: the photograph or the mask cannot be used.
        """
        if view in self.unmasked:
            raise self.unmasked[view]
        # Decoded even where the mask is given: a broken photograph is found here, not later.
        path, info = self.photographs[view], self.infos[view]
        photograph = read_photograph_with_alpha(path)
        alpha = photograph.shown_alpha
        if self.given:
            mask = read_given_mask(self.given[view], info, self.stored)
            mask = mask if alpha is None else np.minimum(mask, alpha)
        elif alpha is not None:
            mask = alpha
        else:
            mask = make_mask(photograph.rgb, self.own_steps, self.key, self.matting)
        check_coverage(mask, self.min_coverage, self.given.get(view, path), view in self.given)
        flags = mask_flags(mask) if self.steps else []
        if view in self.given and looks_inverted(mask):
            flags = [INVERTED]
        return mask, {
            "photograph": str(path),
            "width": info.width,
            "height": info.height,
            "coverage": round(coverage(mask), 6),
            "flags": flags,
        }

    def check_polarity(self, views: Mapping[str, Mapping[str, Any]]) -> None:
        """Raise an InputError where most of the given masks look inverted, by their entries."""
        inverted = [view for view, entry in views.items() if INVERTED in entry["flags"]]
        if inverted:
            check_polarity(len(inverted), len(views), self.given[inverted[0]])

    def write(self, folder: Path, view: str) -> dict[str, Any] | InputError:
        """Write {view}.png and return its entry of masks.json, or why there is no mask."""
        try:
            mask, entry = self.mask(view)
        except InputError as error:
            return error
        PillowImage.fromarray(mask).save(folder / f"{view}.png")
        return entry


def _session_class(model: str) -> Any:
    from rembg.sessions import sessions

    local = {name: kind for name, kind in sessions.items() if kind.is_local() and name != "sam"}
    if model not in local:
        raise InputError(
            f"masks.matting_model: {model!r} is unknown to rembg; use one of"
            f" {', '.join(sorted([EMBEDDED_MATTING, *local]))}"
        )
    return local[model]


def _reachable(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a server answers, through the proxy if one is set."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
