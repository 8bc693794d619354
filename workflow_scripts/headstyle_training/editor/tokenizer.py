"""The mini editor's tokenizer: byte-level byte-pair encoding in the format of CLIP's.

Every byte is a token, so any text can be read; words of the training's instructions are few tokens.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

from headstyle_training.heads.wording import all_instructions

MERGES = 900
TEXT_TOKENS = 32
"""Length of the text encoder's window, with its first and last token."""
NEGATIVE_PROMPTS = ("", "low quality, deformed, bad", "blurry, low quality", "bad, ugly")
"""Texts that mean no instruction; the workflow uses the first two."""
WORD_END = "</w>"
Pair = tuple[str, str]


def write_tokenizer(folder: Path) -> CLIPTokenizer:
    """Write a tokenizer whose merges fit the instructions into an empty folder, and load it."""
    letters = bytes_to_letters()
    merges = learn_merges([*all_instructions(), *NEGATIVE_PROMPTS], MERGES)
    tokens = [*letters, *(letter + WORD_END for letter in letters)]
    tokens += ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=TEXT_TOKENS)
    tokenizer.save_pretrained(folder)
    return tokenizer


def bytes_to_letters() -> list[str]:
    """The letter that byte-level encoding writes for each byte (Radford et al. 2019)."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    # Printed bytes come first in the vocabulary, as in CLIP's.
    return [chr(b) for b in sorted(printed)] + [
        chr(next(others)) for b in range(256) if b not in printed
    ]


def learn_merges(texts: Iterable[str], count: int) -> list[Pair]:
    """The most frequent pairs of neighboring tokens, merged one after the other.

    Ties are settled by the alphabet. Only letters of ASCII are merged, in words of letters.
    """
    words = Counter(word for text in texts for word in re.findall("[a-z]+", text.lower()))
    split = {word: [*word[:-1], word[-1] + WORD_END] for word in words}
    merges: list[Pair] = []
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for word, tokens in split.items():
            for pair in pairwise(tokens):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = {word: _merged(tokens, best) for word, tokens in split.items()}
    return merges


def _merged(tokens: list[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for token in tokens:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged
