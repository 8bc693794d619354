"""The guidance of InstructPix2Pix: three predictions of the noise, combined to one.

It is ε(∅,∅) + s_I (ε(I,∅) − ε(∅,∅)) + s_P (ε(I,P) − ε(I,∅)) (Brooks et al. 2023, eq. 3).
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

BOTH, IMAGE_ONLY, NEITHER = PREDICTIONS = range(3)
"""ε(I,P), ε(I,∅) and ε(∅,∅)."""


def used_predictions(scales: Sequence[tuple[float, float]]) -> list[int]:
    """Those of `PREDICTIONS` that do not cancel out for all views.

    ε(∅,∅) cancels out at s_I = 1, ε(I,∅) at s_P = s_I, ε(I,P) at s_P = 0.

    Args:
        scales: Guidance on the text and on the image, s_P and s_I, of each view.
    """
    counts = {
        BOTH: any(on_text != 0 for on_text, _ in scales),
        IMAGE_ONLY: any(on_text != on_image for on_text, on_image in scales),
        NEITHER: any(on_image != 1 for _, on_image in scales),
    }
    return [prediction for prediction, needed in counts.items() if needed]


class Guidance:
    """Combines the predictions of a batch, step by step.

    With `every` above 1 this is an approximation: a full guidance is computed at every n-th step.
    At the steps between, only the first prediction is computed. What guidance added to it at the
    last full step is added again, because it changes slowly from step to step.
    """

    def __init__(self, on_text: Tensor, on_image: Tensor, used: Sequence[int], every: int) -> None:
        """`on_text` and `on_image` are s_P and s_I. Shapes `(B, 1, 1, 1)`."""
        self.on_text, self.on_image = on_text, on_image
        self.used = list(used)
        self.every = every
        # A prediction that cancels out may have any value. A copy of its neighbor cancels exactly.
        self._places = [min(used, key=lambda known: abs(known - i)) for i in PREDICTIONS]
        self._step = 0
        self._added: Tensor | None = None

    @property
    def asked(self) -> list[int]:
        """The predictions that the next step needs."""
        return self.used if self._step % self.every == 0 else self.used[:1]

    def combined(self, found: Mapping[int, Tensor]) -> Tensor:
        """The guided prediction of a step, from those of `asked`. Shapes `(B, C, H, W)`."""
        first = found[self.used[0]]
        full = self._step % self.every == 0
        self._step += 1
        if not full:
            assert self._added is not None
            return first + self._added
        both, image_only, neither = (found[place] for place in self._places)
        guided = (
            neither + self.on_image * (image_only - neither) + self.on_text * (both - image_only)
        )
        if self.every > 1:
            self._added = guided - first
        return guided
