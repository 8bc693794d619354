"""The instructions' words: what is said of which edit, and what is kept for evaluation."""

import csv

import numpy as np
import pytest
from headstyle.base.errors import InputError
from headstyle.capture.operators import COLORS, OPERATORS, STUDY_OPERATORS
from headstyle_training.heads.wording import (
    HELD_OUT,
    PEOPLE,
    STUDY_PEOPLE,
    TEXTS,
    all_instructions,
    draw_instruction,
    fill_in,
    texts_of,
)
from study import ROOT


def colors_of(operator):
    return tuple(COLORS) if OPERATORS[operator].takes_color else (None,)


def test_every_operator_has_texts_and_no_two_operators_share_one():
    assert set(TEXTS) == set(OPERATORS)
    assert all(len(texts) >= HELD_OUT + 5 for texts in TEXTS.values())
    told: dict[str, str] = {}
    for operator, texts in TEXTS.items():
        for text in texts:
            for color in colors_of(operator):
                filled = fill_in(text, "her", color)
                assert told.setdefault(filled, operator) == operator, filled
                assert "{" not in filled


def test_the_studys_own_texts_come_first():
    with (ROOT / "config" / "prompts.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["operator"] for row in rows} == set(STUDY_OPERATORS.values())
    for row in rows:
        own = texts_of(row["operator"])[0]
        for pronoun in STUDY_PEOPLE:
            assert fill_in(own, pronoun) == row["text"].format(pronoun=pronoun)


def test_texts_held_out_are_never_trained_on():
    assert not set(all_instructions()) & set(all_instructions(held_out=True))
    for operator in OPERATORS:
        assert len(texts_of(operator, held_out=True)) == HELD_OUT


def test_a_color_is_named_by_those_that_take_one_only():
    for operator in OPERATORS:
        named = all("{color}" in text for text in TEXTS[operator])
        assert named == OPERATORS[operator].takes_color


def test_people_have_their_possessives():
    assert fill_in("Dye {their} hair {color}", "this person", "red") == (
        "Dye this person's hair red"
    )
    assert fill_in("Turn {their} head around", "the head") == "Turn the head around"
    assert set(STUDY_PEOPLE) <= set(PEOPLE)


def test_all_texts_and_people_are_drawn_and_a_seed_tells_which():
    draws = [
        [draw_instruction("stone", None, np.random.default_rng(seed)) for seed in range(400)]
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
    possible = {fill_in(text, person) for text in texts_of("stone") for person in PEOPLE}
    assert len(possible) * 0.9 < len(set(draws[0])) <= len(possible)


def test_an_operator_without_texts_is_named():
    with pytest.raises(InputError, match="'beard' has no instruction"):
        texts_of("beard")
