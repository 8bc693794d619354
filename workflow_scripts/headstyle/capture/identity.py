"""What makes one head differ from another, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

Color = tuple[float, float, float]
"""sRGB in [0, 1]."""

HAIRSTYLES = ("short", "long", "bob", "curly")
PATTERNS = ("plaid", "yoke", "dots", "stripes")

SKIN_TONES: tuple[Color, ...] = (
    (0.86, 0.67, 0.56),
    (0.93, 0.76, 0.66),
    (0.56, 0.38, 0.28),
    (0.76, 0.56, 0.43),
)
HAIR_COLORS: tuple[Color, ...] = (
    (0.27, 0.17, 0.10),
    (0.72, 0.52, 0.28),
    (0.10, 0.075, 0.07),
    (0.34, 0.27, 0.24),
)
EYE_COLORS: tuple[Color, ...] = (
    (0.25, 0.42, 0.62),
    (0.42, 0.26, 0.12),
    (0.24, 0.14, 0.08),
    (0.45, 0.50, 0.58),
)
CLOTHES_COLORS: tuple[tuple[Color, Color, Color], ...] = (
    ((0.62, 0.12, 0.14), (0.13, 0.15, 0.28), (0.92, 0.86, 0.78)),
    ((0.18, 0.27, 0.50), (0.93, 0.91, 0.88), (0.75, 0.22, 0.20)),
    ((0.88, 0.62, 0.20), (0.45, 0.14, 0.36), (0.97, 0.93, 0.85)),
    ((0.90, 0.88, 0.86), (0.14, 0.20, 0.38), (0.70, 0.20, 0.16)),
)


@dataclass(frozen=True)
class Identity:
    """The traits of one head. Shape factors are relative to an average head."""

    seed: int
    head_width: float
    jaw_width: float
    chin_drop_mm: float
    cheek_fullness: float
    brow_depth: float
    nose_length: float
    nose_width: float
    nose_height: float
    eye_spacing_mm: float
    eye_opening: float
    lip_fullness: float
    mouth_width: float
    ear_size: float
    neck_radius_mm: float
    skin: Color
    freckles: float
    """Density of freckles in [0, 1]."""
    beard: float
    """Length of the beard in [0, 1]; 0 is shaved."""
    eye: Color
    hair: Color
    hairstyle: str
    pattern: str
    clothes: tuple[Color, Color, Color]


def draw_identity(seed: int) -> Identity:
    """The head of a seed. Seeds that differ by 1 to 3 never share hairstyle, tone or clothes."""
    rng = np.random.default_rng([20_240, seed])
    kind = (seed - 1) % 4
    masculine = kind in (0, 3)

    def around(center: float, spread: float) -> float:
        return float(center + spread * rng.uniform(-1, 1))

    return Identity(
        seed=seed,
        head_width=around(1.0, 0.03),
        jaw_width=around(1.05 if masculine else 0.93, 0.03),
        chin_drop_mm=around(3.0 if masculine else -2.0, 2.5),
        cheek_fullness=around(0.95 if masculine else 1.05, 0.06),
        brow_depth=around(1.1 if masculine else 0.75, 0.1),
        nose_length=around(1.03 if masculine else 0.94, 0.05),
        nose_width=around(1.06 if masculine else 0.95, 0.07),
        nose_height=around(1.0 if masculine else 0.92, 0.07),
        eye_spacing_mm=around(31.5, 1.0),
        eye_opening=around(0.95 if masculine else 1.1, 0.05),
        lip_fullness=around(0.92 if masculine else 1.15, 0.1),
        mouth_width=around(1.04 if masculine else 0.97, 0.04),
        ear_size=around(1.05 if masculine else 0.95, 0.05),
        neck_radius_mm=around(54.0 if masculine else 45.0, 2.0),
        skin=_vary(SKIN_TONES[kind], rng),
        freckles=float(rng.uniform(0.0, 0.4)) + (0.6 if kind == 1 else 0.0),
        beard=(0.75, 0.0, 0.0, 0.3)[kind],
        eye=_vary(EYE_COLORS[kind], rng),
        hair=_vary(HAIR_COLORS[kind], rng),
        hairstyle=HAIRSTYLES[kind],
        pattern=PATTERNS[kind],
        clothes=CLOTHES_COLORS[kind],
    )


def _vary(color: Color, rng: np.random.Generator) -> Color:
    """A colour a little brighter or darker than the given one, of the same hue."""
    red, green, blue = np.clip(np.array(color) * rng.uniform(0.93, 1.07), 0, 1)
    return (float(red), float(green), float(blue))
