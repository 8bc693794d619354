"""How the study names its scenes, and what it tells the editor."""

SCENE_KEYS = ("subject", "prompt", "strength")
"""Columns of tables that name a scene. An avatar's row has all three."""
BASELINE = "none"
"""Prompt in the rows of unstylized baselines."""
FLOOR = "photographs"
"""Prompt in the rows of the floor: the photographs, warped with the baseline's depth."""
NOT_AVATARS = (BASELINE, FLOOR)
REFERENCE_FIGURES = ("boxes", "qualities", "slopes", "thresholds")
"""The published study's figures, by the names of their files."""
DEFAULT_PRONOUN = "them"
"""Stands in the instruction where a subject has no pronoun of its own."""


def instruction_text(text: str, pronoun: str | None = None) -> str:
    """The instruction: a prompt's text with the subject's pronoun in the place of `{pronoun}`.

    Other braces stay as they are, so a text may hold any.
    """
    return text.replace("{pronoun}", pronoun or DEFAULT_PRONOUN)
