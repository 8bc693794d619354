"""A grid of strengths, tried on a few views in 2D, before an hour is spent on avatars."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headstyle.base.errors import InputError
from headstyle.base.images import RgbaImage
from headstyle.editing.base import Editor, Instruction, View
from headstyle.editing.editors import editor_kind
from headstyle.editing.editors.base import GUIDANCES

AROUND = (0.5, 1.5)
"""Without values of its own, a knob is tried at the study's, and below and above all of these."""

Trial = Mapping[str, float]
"""Values of the knobs by their names, and `noise_level` where the editor reads it."""


def check_sweep(sweep: Mapping[str, Any], editing: Mapping[str, Any]) -> None:
    """Check that the editor has the knobs that the sweep names.

    Args:
        sweep: The config's section `strength_sweep`.
        editing: The config's section `editing`.

    Raises:
        InputError: it lacks one.
    """
    known = _knobs(editing)
    for name in (*GUIDANCES, "noise_level"):
        if sweep[name] is not None and name not in known:
            raise InputError(
                f"strength_sweep.{name} is set, and the editor {editing['editor']} has no such knob"
                f" (it has {', '.join(known) or 'none'}); set it to null"
            )


def trials(
    sweep: Mapping[str, Any], editing: Mapping[str, Any], strengths: Sequence[Mapping[str, float]]
) -> list[Trial]:
    """Every combination of the values to try.

    Args:
        sweep: The config's section `strength_sweep`; null takes values around the study's.
        editing: The config's section `editing`.
        strengths: The study's strengths, as `strength_values` gives them.
    """
    values: dict[str, list[float]] = {}
    for name, limits in _knobs(editing).items():
        if name == "noise_level":
            values[name] = sweep[name] or [sum(editing["noise_level"]) / 2]
        else:
            chosen = sorted({strength[name] for strength in strengths})
            values[name] = sweep[name] or _around(chosen, limits)
    return [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())]


def swept_edits(
    editor: Editor, views: Sequence[View], instruction: Instruction, tried: Sequence[Trial]
) -> list[list[RgbaImage]]:
    """The edits of all views for each trial, all with the same noise.

    Args:
        editor: The editor.
        views: The views.
        instruction: The instruction, whose knobs are replaced.
        tried: The trials.
    """
    knobs: list[dict[str, Any]] = [dict(trial) for trial in tried]
    instructions = [replace(instruction, **values) for values in knobs for _ in views]
    images = iter(editor.edit([view for _ in tried for view in views], instructions))
    return [[next(images) for _ in views] for _ in tried]


def described(trial: Trial) -> str:
    """A trial in a few words, such as `text 7.5, image 2, noise 0.84`."""
    return ", ".join(f"{name.split('_')[0]} {value:.3g}" for name, value in trial.items())


def _knobs(editing: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Names of the editor's knobs, with the least and largest value of each."""
    kind = editor_kind(editing)
    limits: dict[str, tuple[float, float]]
    if kind.knobs is None:
        limits = dict.fromkeys(GUIDANCES, (0.0, 100.0))
    else:
        limits = {
            knob.name: (knob.schema.get("minimum", 0.0), knob.schema.get("maximum", 100.0))
            for knob in kind.usable_knobs(editing)
        }
    return {**limits, "noise_level": (0.0, 1.0)} if kind.starts_from_render else limits


def _around(chosen: Sequence[float], limits: tuple[float, float]) -> list[float]:
    low, high = limits
    below, above = AROUND[0] * chosen[0], AROUND[-1] * chosen[-1]
    return sorted({min(max(value, low), high) for value in (below, *chosen, above)})
