"""What makes one head differ from another, drawn from a seed.

The demo's subjects are reserved seeds of four kinds; all other seeds draw every trait freely.
"""

import colorsys
from dataclasses import dataclass

import numpy as np

Color = tuple[float, float, float]
"""sRGB in [0, 1]."""

RESERVED_SEEDS = range(1, 100)
"""Subjects of the demo and of its evaluation; no model learns from them."""

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

SKIN_RAMP: tuple[Color, ...] = (
    (0.96, 0.82, 0.74),
    (0.90, 0.72, 0.60),
    (0.82, 0.62, 0.48),
    (0.68, 0.48, 0.35),
    (0.52, 0.35, 0.25),
    (0.36, 0.24, 0.18),
)
NATURAL_HAIR: tuple[Color, ...] = (
    (0.09, 0.07, 0.065),
    (0.19, 0.12, 0.08),
    (0.32, 0.20, 0.12),
    (0.45, 0.30, 0.17),
    (0.48, 0.20, 0.09),
    (0.62, 0.28, 0.11),
    (0.66, 0.48, 0.27),
    (0.84, 0.70, 0.45),
)
IRISES: tuple[Color, ...] = (
    (0.20, 0.12, 0.07),
    (0.38, 0.23, 0.11),
    (0.46, 0.36, 0.17),
    (0.33, 0.45, 0.26),
    (0.27, 0.45, 0.62),
    (0.48, 0.56, 0.62),
)
FREE_HAIRSTYLES = {
    "short": 0.24,
    "long": 0.22,
    "bob": 0.17,
    "curly": 0.17,
    "buzz": 0.12,
    "bald": 0.08,
}
"""Chance of each."""
FREE_PATTERNS = (*PATTERNS, "plain")


@dataclass(frozen=True)
class Identity:
    """The traits of one head. A shape without a unit is a factor; the average head has 1."""

    seed: int
    """Seed that the traits were drawn from."""
    head_width: float
    """Width of the skull."""
    jaw_width: float
    """Width of the jaw."""
    chin_drop_mm: float
    """How much lower the chin is than the average head's."""
    cheek_fullness: float
    """Size of the cheeks."""
    brow_depth: float
    """How far the brow stands out."""
    nose_length: float
    """Length of the nose from the eyes to its tip."""
    nose_width: float
    """Width of the nose."""
    nose_height: float
    """How far the nose stands out of the face."""
    eye_spacing_mm: float
    """Distance of each eye from the middle of the face."""
    eye_opening: float
    """Height of the opening between the lids."""
    lip_fullness: float
    """Height of the lips."""
    mouth_width: float
    """Width of the mouth."""
    ear_size: float
    """Size of the ears."""
    neck_radius_mm: float
    """Radius of the neck."""
    skin: Color
    """Base color of the skin."""
    freckles: float
    """Density of freckles in [0, 1]."""
    beard: float
    """Length of the beard in [0, 1]; 0 is shaved."""
    eye: Color
    """Color of the irises."""
    hair: Color
    """Base color of hair, brows and beard."""
    hairstyle: str
    """Name of the hairstyle, one of `FREE_HAIRSTYLES`."""
    pattern: str
    """Name of the clothes' pattern, one of `FREE_PATTERNS`."""
    clothes: tuple[Color, Color, Color]
    """Colors of the pattern; the first is the ground."""
    # Only freely drawn heads vary these traits. The defaults change nothing.
    hair_volume: float = 1.0
    """Height of the hair over the scalp, relative to its style."""
    hair_length_mm: float = 0.0
    """How much lower the tips of hanging hair are than in its style."""
    waviness: float = 1.0
    """Amplitude of the waves in the hair, relative to its style."""
    parting_shift: float = 0.0
    """Added to the x of the parting's direction."""
    receding_mm: float = 0.0
    """How far the hairline has drawn back."""
    brow_thickness: float = 1.0
    """Thickness of the eyebrows."""
    brow_raise_mm: float = 0.0
    """How far the eyebrows are raised."""
    mouth_corners_mm: float = 0.0
    """How far the corners of the mouth are drawn up."""
    mouth_opening_mm: float = 0.0
    """How far the lips are apart."""
    age: float = 0.0
    """Lines and spots of age in [0, 1]."""
    lip_tint: Color | None = None
    """Color of lipstick, or None."""
    eye_shadow: Color | None = None
    """Color of eye shadow, or None."""

    @property
    def reserved(self) -> bool:
        """Whether the head belongs to the demo. The vertices of such a head must never change."""
        return self.seed in RESERVED_SEEDS


def draw_identity(seed: int) -> Identity:
    """The head of a seed. Two reserved seeds 1 to 3 apart share neither hairstyle nor clothes."""
    return _of_four_kinds(seed) if seed in RESERVED_SEEDS else _free(seed)


def _of_four_kinds(seed: int) -> Identity:
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


def _free(seed: int) -> Identity:
    """A head that draws every trait from a wide range."""
    rng = np.random.default_rng([20_242, seed])
    masculinity = float(rng.beta(0.8, 0.8))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def around(feminine: float, masculine: float, spread: float) -> float:
        middle = feminine + (masculine - feminine) * masculinity
        return between(middle - spread, middle + spread)

    age = float(rng.beta(1.1, 1.9))
    made_up = rng.random() < 0.5 * (1 - masculinity)
    bearded = rng.random() < 0.75 * masculinity**1.5
    return Identity(
        seed=seed,
        head_width=between(0.93, 1.07),
        jaw_width=around(0.90, 1.08, 0.09),
        chin_drop_mm=around(-2.5, 3.0, 5.0),
        cheek_fullness=between(0.82, 1.20),
        brow_depth=around(0.6, 1.15, 0.30),
        nose_length=between(0.85, 1.14),
        nose_width=between(0.80, 1.28),
        nose_height=between(0.72, 1.16),
        eye_spacing_mm=between(29.2, 34.0),
        eye_opening=between(0.72, 1.20),
        lip_fullness=around(1.1, 0.92, 0.28),
        mouth_width=between(0.86, 1.16),
        ear_size=between(0.84, 1.20),
        neck_radius_mm=around(44.0, 55.0, 3.5),
        skin=_along(SKIN_RAMP, rng, 0.018),
        freckles=float(rng.beta(0.7, 1.6)),
        beard=between(0.08, 1.0) if bearded else 0.0,
        eye=_along(IRISES, rng, 0.04),
        hair=_free_hair(rng, age),
        hairstyle=_free_hairstyle(rng),
        pattern=str(rng.choice(FREE_PATTERNS)),
        clothes=(_cloth(rng), _cloth(rng), _cloth(rng)),
        hair_volume=between(0.6, 1.35),
        hair_length_mm=between(-30.0, 28.0),
        waviness=between(0.0, 1.7),
        parting_shift=between(-0.4, 0.4),
        receding_mm=between(-4.0, 6.0) + 16.0 * age * masculinity * between(0.0, 1.0),
        brow_thickness=around(0.85, 1.2, 0.35),
        brow_raise_mm=between(-2.0, 3.0),
        mouth_corners_mm=between(-2.6, 2.8),
        mouth_opening_mm=max(0.0, between(-3.5, 2.5)),
        age=age,
        lip_tint=_dye(rng, (-0.09, 0.06)) if made_up else None,
        eye_shadow=_dye(rng, (0.0, 1.0)) if made_up and rng.random() < 0.7 else None,
    )


def _along(ramp: tuple[Color, ...], rng: np.random.Generator, spread: float) -> Color:
    """A color from anywhere along a ramp, each channel off by up to `spread`."""
    place = rng.uniform(0, len(ramp) - 1)
    channels = np.array(ramp).T
    mixed = np.array([np.interp(place, np.arange(len(ramp)), channel) for channel in channels])
    red, green, blue = np.clip(mixed + spread * rng.uniform(-1, 1, 3), 0.02, 0.98)
    return (float(red), float(green), float(blue))


def _free_hairstyle(rng: np.random.Generator) -> str:
    return str(rng.choice(list(FREE_HAIRSTYLES), p=list(FREE_HAIRSTYLES.values())))


def _free_hair(rng: np.random.Generator, age: float) -> Color:
    """Natural hair, greyer with age, or dyed."""
    if rng.random() < 0.14:
        return _dye(rng, (0.0, 1.0))
    red, green, blue = _along(NATURAL_HAIR, rng, 0.03)
    grey = float(np.clip(rng.uniform(-0.7, 1.2) + 1.1 * age - 0.4, 0, 1))
    tone = float(rng.uniform(0.45, 0.88))
    red, green, blue = (float(c + grey * (tone - c)) for c in (red, green, blue))
    return red, green, blue


def _dye(rng: np.random.Generator, hues: tuple[float, float]) -> Color:
    """A saturated color of a hue within a range (in turns)."""
    return colorsys.hsv_to_rgb(
        float(rng.uniform(*hues)) % 1,
        float(rng.uniform(0.40, 0.90)),
        float(rng.uniform(0.25, 0.78)),
    )


def _cloth(rng: np.random.Generator) -> Color:
    """Any color: from white and grey over pastels to full colors and near black."""
    saturation = float(rng.beta(0.8, 1.1))
    value = float(rng.uniform(0.08, 0.96))
    return colorsys.hsv_to_rgb(float(rng.random()), saturation, value)
