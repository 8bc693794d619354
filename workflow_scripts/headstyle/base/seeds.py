"""Seeds that depend on what they are for, and not on the order of the computation."""

import hashlib
import json


def derived_seed(*parts: str | int) -> int:
    """A seed in [0, 2^48) that depends on every part and on nothing else.

    Unlike `hash()`, it is the same on every machine and in every process. It is below 2^53, so that
    JSON readers keep it exact.
    """
    text = json.dumps(parts, ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:6], "big")


def avatar_seed(seed: int, subject: str, prompt: str, strength: str) -> int:
    """The seed of one avatar, from the run's seed and the avatar's names."""
    return derived_seed(seed, subject, prompt, strength)
