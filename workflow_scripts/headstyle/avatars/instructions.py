"""The instruction of an avatar: what the editor is asked to make of a head."""

DEFAULT_PRONOUN = "them"
"""Stands in the instruction where a subject has no pronoun of its own."""


def instruction_text(text: str, pronoun: str | None = None) -> str:
    """A prompt's text with the subject's pronoun in the place of `{pronoun}`.

    Other braces stay as they are, so a text may hold any.
    """
    return text.replace("{pronoun}", pronoun or DEFAULT_PRONOUN)
