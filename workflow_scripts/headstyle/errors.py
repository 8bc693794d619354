"""Errors a user can act on."""


class InputError(ValueError):
    """Bad input. The message is one sentence: which file or key, what is wrong, the next move."""
