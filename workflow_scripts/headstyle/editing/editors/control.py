"""Control edits: operations without weights whose effect and inconsistency are known.

An operation changes the photograph and ignores the render and the noise level. So an avatar with
the operation `identity` is trained on its own photographs, and it scores the floor. Every operation
is a map of CIELAB images. With text guidance s_P, the edit is the photograph plus s_P / 7.5 times
the difference to the operation's result. So a larger guidance always has a larger effect. 7.5 is
the study's `high`.

`per_view_randomness` r in [0, 1] adds differences between views, as a diffusion model does. Each
view and cycle draws one fixed direction, and r scales the step along it. Color changes by up to
30 r in a* and in b*, lightness by up to 15 r in L*, and strength by up to the fraction r / 2. With
r = 0 every view gets the same operation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from headstyle.base.errors import InputError
from headstyle.base.images import Image, RgbaImage
from headstyle.base.seeds import derived_seed
from headstyle.base.settings import Setting
from headstyle.editing.base import Instruction, View, one_each, with_alpha
from headstyle.editing.editors.base import EditorKind

SETTINGS = (
    Setting(
        "control.operations",
        {},
        {
            "type": "object",
            "additionalProperties": {"enum": ["identity", "recolor", "painterly"]},
        },
        meaning="Which operation stands for which prompt, as {prompt: operation}.",
    ),
    Setting(
        "control.per_view_randomness",
        0.0,
        {"type": "number", "minimum": 0, "maximum": 1},
        meaning="How far views differ by chance, from 0 to 1.",
    ),
)

FULL_TEXT_GUIDANCE = 7.5
"""Text guidance at which an operation is applied in full."""
MAX_SHIFT = np.array([15, 30, 30], dtype=np.float32)
"""Largest change of L*, a* and b* between a view and its edit at per-view randomness 1."""
MAX_STRENGTH_CHANGE = 0.5
"""Largest relative change of a view's strength at per-view randomness 1."""

LabImage = NDArray[Any]
"""CIELAB: L* in [0, 100], a* and b* about [-127, 127]. Shape `(H, W, 3)`."""
Operation = Callable[[LabImage, str], LabImage]
"""Maps an image and the prompt's identifier to the edited image at full strength."""


def identity(lab: LabImage, prompt: str) -> LabImage:
    """The image without a change."""
    return lab


def recolor(lab: LabImage, prompt: str) -> LabImage:
    """A tint whose hue belongs to the prompt; the original colors remain at half their chroma."""
    hue = derived_seed("paint", prompt) % 360 * np.pi / 180
    tint = 35 * np.array([np.cos(hue), np.sin(hue)], dtype=np.float32)
    tinted = lab.copy()
    tinted[..., 1:] = 0.5 * lab[..., 1:] + tint
    return tinted


def painterly(lab: LabImage, prompt: str) -> LabImage:
    """Brush strokes along the edges of the image, in relief and with stronger colors.

    The strokes are a line integral convolution (Cabral and Leedom 1993) of the image, and of
    noise for the relief, along the weaker eigenvector of the smoothed structure tensor. The noise
    is anchored to the pixels, the same in every view, as brush strokes on a canvas are.
    """
    height, width = lab.shape[:2]
    scale = max(height / 384, width / 384, 0.5)
    noise = np.random.default_rng(0).standard_normal((height, width)).astype(np.float32)
    relief = cv2.GaussianBlur(noise, (0, 0), scale)
    along = _edge_direction(lab[..., 0], sigma_px=4 * scale)
    strokes = _smear(np.dstack([lab, relief]), along, length_px=round(7 * scale))
    painted = strokes[..., :3] * np.array([1, 1.6, 1.6], np.float32)
    painted[..., 0] += 4 * strokes[..., 3] / max(float(strokes[..., 3].std()), 1e-6)
    return painted


OPERATIONS: dict[str, Operation] = {
    "identity": identity,
    "recolor": recolor,
    "painterly": painterly,
}


@dataclass(frozen=True)
class ControlEditor(EditorKind):
    """An editor whose edits are known operations."""

    name: ClassVar[str] = "control"
    # The operation `identity` changes nothing on purpose.
    checks_edits: ClassVar[bool] = False

    operations: Mapping[str, str]
    """Name of the operation for each prompt's identifier."""
    per_view_randomness: float = 0.0
    """Amount of the random differences between views, in [0, 1]."""

    @classmethod
    def make(cls, editing: Mapping[str, Any], device: str) -> "ControlEditor":
        control = editing["control"]
        for prompt, operation in control["operations"].items():
            if operation not in OPERATIONS:
                raise InputError(
                    f"editing.control.operations: {prompt} names the operation {operation!r}; "
                    f"choose one of {', '.join(OPERATIONS)}"
                )
        randomness = control["per_view_randomness"]
        if not 0 <= randomness <= 1:
            raise InputError(
                f"editing.control.per_view_randomness is {randomness}; give a number from 0 to 1"
            )
        return cls(dict(control["operations"]), float(randomness))

    @classmethod
    def check(cls, editing: Mapping[str, Any], prompts: Sequence[str]) -> None:
        for prompt in prompts:
            if prompt not in editing["control"]["operations"]:
                raise InputError(
                    f"editing.control.operations has no operation for prompt {prompt}; give it "
                    "one, or choose another editing.editor"
                )

    @classmethod
    def for_prompt(cls, editing: Mapping[str, Any], prompt: str) -> Mapping[str, Any]:
        control = editing["control"]
        own = {name: op for name, op in control["operations"].items() if name == prompt}
        return {**editing, "control": {**control, "operations": own}}

    @classmethod
    def note(cls, editing: Mapping[str, Any]) -> str:
        control = editing["control"]
        operations = ", ".join(dict.fromkeys(control["operations"].values()))
        text = (
            "No diffusion model took part in this run. Its edits are control operations, plain "
            f"image filters ({operations}) in place of a text-driven editor, so that everything "
            "runs without a GPU and without weights. "
        )
        if control["per_view_randomness"]:
            text += (
                "As a diffusion model edits every view a little differently, the filters vary "
                "color, lightness and strength from view to view by chance (per_view_randomness "
                f"{control['per_view_randomness']:g} of 1). "
            )
        last = "The numbers show what the pipeline measures, not how good a text-driven editor is."
        return text + last

    shares_batches: ClassVar[bool] = False

    def edit(
        self, views: Sequence[View], instructions: Instruction | Sequence[Instruction]
    ) -> list[RgbaImage]:
        """The edited views, in the given order.

        Raises:
            InputError: an instruction's prompt has no operation.
        """
        pairs = zip(views, one_each(views, instructions), strict=True)
        return [self._edit_one(view, self._operation(i.prompt), i) for view, i in pairs]

    def expect(self, views: int) -> None:
        """Do nothing: this editor needs no preparation."""

    def describe_machine(self) -> dict[str, Any]:
        """An empty entry."""
        return {}

    def _operation(self, prompt: str) -> Operation:
        if prompt not in self.operations:
            raise InputError(
                f"editing.control.operations has no operation for prompt {prompt}; "
                f"give it one of {', '.join(OPERATIONS)}"
            )
        return OPERATIONS[self.operations[prompt]]

    def describe(self) -> dict[str, Any]:
        """The editor's name and settings."""
        return {
            "editor": "control",
            "operations": dict(self.operations),
            "per_view_randomness": self.per_view_randomness,
        }

    def _edit_one(self, view: View, operation: Operation, instruction: Instruction) -> RgbaImage:
        direction = self.per_view_randomness * _view_direction(view.name, instruction)
        strength = instruction.text_guidance / FULL_TEXT_GUIDANCE
        strength *= 1 + MAX_STRENGTH_CHANGE * float(direction[3])
        colors = _fill_background(view.photograph)
        lab: LabImage = cv2.cvtColor(colors, cv2.COLOR_RGB2Lab)
        change = strength * (operation(lab, instruction.prompt) - lab) + MAX_SHIFT * direction[:3]
        # Added as a difference, so that the identity returns the photograph to the bit.
        edited = colors + (_to_rgb(lab + change) - _to_rgb(lab))
        return with_alpha(edited, view.photograph)


def _view_direction(view: str, instruction: Instruction) -> NDArray[np.float32]:
    """Uniform in [-1, 1] for L*, a*, b* and strength, drawn anew for each view and cycle."""
    seed = derived_seed(instruction.seed, instruction.cycle, view)
    return np.random.default_rng(seed).uniform(-1, 1, size=4).astype(np.float32)


def _fill_background(photograph: RgbaImage) -> Image:
    """The colors; where alpha is 0, the foreground's mean, so that no hidden color leaks in."""
    visible = photograph[..., 3] > 0
    mean = photograph[visible, :3].mean(axis=0) if visible.any() else np.zeros(3, np.float32)
    return np.where(visible[..., None], photograph[..., :3], mean).astype(np.float32)


def _to_rgb(lab: LabImage) -> Image:
    return np.clip(cv2.cvtColor(np.ascontiguousarray(lab), cv2.COLOR_Lab2RGB), 0, 1)


def _edge_direction(lightness: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Unit vectors (x, y) along the edges, from the smoothed structure tensor. Shape (H, W, 2)."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), sigma_px / 4)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), sigma_px) for product in (x * x, x * y, y * y))
    angle = (np.arctan2(2 * xy, xx - yy) + np.pi) / 2
    return np.dstack([np.cos(angle), np.sin(angle)]).astype(np.float32)


def _smear(
    image: NDArray[np.float32], along: NDArray[np.float32], length_px: int
) -> NDArray[np.float32]:
    """Mean of the image over the streamline through each pixel, `length_px` to either side."""
    rows, columns = np.indices(along.shape[:2], dtype=np.float32)
    start = np.dstack([columns, rows])
    total = image.copy()
    for sign in (1, -1):
        position, heading = start.copy(), sign * along
        for _ in range(length_px):
            position += heading
            direction = _sample(along, position, cv2.INTER_NEAREST)
            # The field has no sign, so keep the direction of the last step.
            backwards = (direction * heading).sum(axis=2, keepdims=True) < 0
            heading = np.where(backwards, -direction, direction)
            total += _sample(image, position, cv2.INTER_LINEAR)
    mean: NDArray[Any] = total / (1 + 2 * length_px)
    return mean


def _sample(
    image: NDArray[np.float32], position: NDArray[np.float32], interpolation: int
) -> NDArray[np.float32]:
    # OpenCV takes a map of pairs without a second one; its annotations do not say so.
    remap: Any = cv2.remap
    return remap(image, position, None, interpolation, borderMode=cv2.BORDER_REPLICATE)
