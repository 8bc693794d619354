"""The settings of the section `metrics`."""

from pathlib import Path

from headstyle.base.settings import Setting, declared_settings
from headstyle.consistency import parts
from headstyle.consistency.metrics import metric_paths

SETTINGS = (
    Setting(
        "names",
        [
            *("headline", "rmse", "ciede2000", "lpips"),
            *("rmse_corrected", "ciede2000_corrected", "lpips_corrected"),
            *("ssim", "gmsd", "flip", "tsed"),
        ],
        {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
        meaning="The metrics to measure: modules of headstyle/consistency/metrics. The headline "
        "score; as published rmse, ciede2000 and lpips.",
    ),
    Setting(
        "depth_tolerance",
        0.01,
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        meaning="A warped point agrees with the target's own depth within this fraction of it.",
    ),
    Setting(
        "depth_jump",
        0.03,
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        meaning="The corrected metrics leave out pixels beside a jump in depth of more than this "
        "fraction.",
    ),
    Setting(
        "round_trip_px",
        2.0,
        {"type": "number", "exclusiveMinimum": 0},
        meaning="The corrected metrics leave out pixels that return further from their place than "
        "this when they are carried into the other view and back [px].",
    ),
    Setting(
        "min_overlap",
        0.1,
        {"type": "number", "minimum": 0, "maximum": 1},
        meaning="The corrected metrics leave out pairs that share less than this fraction of the "
        "target's foreground.",
    ),
    Setting(
        "foreground_alpha",
        0.5,
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        meaning="Alpha above which a pixel is foreground, from 0 to 1.",
    ),
    Setting(
        "external",
        {},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "direction"],
                "properties": {
                    "path": {"type": "string", "minLength": 1},
                    "direction": {"enum": ["lower", "higher"]},
                    "label": {"type": "string", "maxLength": 60, "pattern": "^[^$]*$"},
                    "unit": {"type": "string", "maxLength": 30, "pattern": "^[^$]*$"},
                    "range": {
                        "type": "array",
                        "minItems": 2,
                        "maxItems": 2,
                        "items": {"type": "number"},
                    },
                    "symmetric": {"type": "boolean"},
                    "partial": {"type": "boolean"},
                },
            },
        },
        meaning="Metrics that were computed elsewhere, as {name: {path: CSV, direction: lower or "
        "higher}}; optionally label, unit, range, symmetric and partial. See docs/metrics.md.",
    ),
)


def metric_settings() -> tuple[Setting, ...]:
    """All settings of the section `metrics`: the common ones, and those that metrics declare.

    A setting that several metrics read is declared once, in the part that they share.
    """
    shared = [path for folder in parts.__path__ for path in Path(folder).glob("*.py")]
    return (*SETTINGS, *declared_settings([*metric_paths().values(), *shared]))
