"""Banks of heads and the training pairs drawn from them."""

import headstyle_training.heads.bank
import numpy as np
import pytest
import torch
from headstyle.base.errors import InputError
from headstyle.capture.operators import OPERATORS, STUDY_OPERATORS
from headstyle.training.cuda_graphs import RECORDING
from headstyle_training.heads.bank import STUDY_SHARE, HeadBank
from headstyle_training.heads.pairs import (
    ALPHA_CHANGE,
    CONCERNED_MARGIN_PX,
    PORTRAIT_ASPECT,
    PORTRAIT_SHARE,
    PairStream,
    concerned_pixels,
)
from headstyle_training.heads.photographer import Pictures
from headstyle_training.heads.surfels import draw_edits, pack_head
from headstyle_training.heads.wording import PEOPLE, fill_in, texts_of

SEEDS = range(1000, 1008)
COARSENESS = 7.0
SIZE = (60, 44)
NAMES = tuple(OPERATORS)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def bank():
    with HeadBank(SEEDS, COARSENESS) as bank:
        bank.wait_for(len(SEEDS))
        yield bank


@pytest.fixture(scope="module")
def batch(bank):
    return PairStream(bank, *SIZE, seed=0).draw(8)


def test_a_bank_holds_the_edits_that_the_seeds_draw(bank):
    assert len(bank) == len(SEEDS)
    assert bank.used_bytes > 0
    [edit] = bank.draw(1, rng())
    assert {s.edit for s in bank.siblings(edit)} == set(draw_edits(edit.seed))


def test_the_studys_operators_come_three_quarters_of_the_time(bank):
    drawn = [e.edit.operator for e in bank.draw(2000, rng())]
    share = np.mean([name in STUDY_OPERATORS.values() for name in drawn])
    assert share == pytest.approx(STUDY_SHARE, abs=0.04)
    assert set(drawn) == {e.operator for seed in SEEDS for e in draw_edits(seed)}


def test_only_the_operators_asked_for_are_drawn(bank):
    assert {e.edit.operator for e in bank.draw(20, rng(), ["stone"])} == {"stone"}
    with pytest.raises(InputError, match="no operator 'beard'"):
        bank.draw(1, rng(), ["beard"])


def test_edits_of_full_strength_alone_can_be_drawn(bank):
    assert {e.edit.strength for e in bank.draw(200, rng(), full_strength=True)} == {1.0}
    assert len({e.edit.strength for e in bank.draw(200, rng())}) > 2


def test_fetched_heads_are_padded_to_the_longest(bank):
    edits = bank.draw(5, rng(1))
    discs = bank.fetch([e.original for e in edits])
    counts = [e.original.count for e in edits]
    assert discs.positions.shape == (5, max(counts), 3)
    for present, count in zip(discs.present, counts, strict=True):
        assert not present[count:].any()
        assert present[:count].float().mean() > 0.9
    assert torch.isfinite(discs.positions).all()


def test_an_edit_that_only_paints_shares_the_places_of_its_head(bank):
    [edit] = bank.draw(1, rng(), ["red_hair_blue_shirt"])
    before, after = bank.fetch([edit.original]), bank.fetch([edit.edited])
    assert torch.equal(before.positions, after.positions)
    assert not torch.equal(before.albedo, after.albedo)


def test_a_bank_ends_at_its_memory_limit():
    with HeadBank(SEEDS, 8.0, memory_limit_bytes=1) as bank:
        bank.wait_for(3)
        assert bank.ended
        assert len(bank) == 1


def test_a_bank_takes_no_head_in_while_a_cuda_graph_is_recorded(monkeypatch):
    held, add = [], HeadBank._add

    def observed(bank, head):
        held.append(RECORDING.locked())
        return add(bank, head)

    monkeypatch.setattr(HeadBank, "_add", observed)
    with HeadBank(SEEDS[:1], 8.0) as bank:
        bank.wait_for(1)
    assert held == [True]
    assert not RECORDING.locked()


def test_a_bank_needs_seeds_and_tells_why_it_failed():
    with pytest.raises(InputError, match="no seeds"):
        HeadBank([])
    with HeadBank([-1]) as bank, pytest.raises(RuntimeError, match="making heads"):
        bank.wait_for(1)


def test_a_head_that_cannot_be_sculpted_is_left_out(caplog):
    with HeadBank([1000, -1, 1001], 8.0) as bank:
        bank.wait_for(3)
        assert (len(bank), bank.ended) == (2, True)
        assert len(bank.draw(3, rng())) == 3
    assert "head -1 cannot be sculpted" in caplog.text


def test_a_bank_that_breaks_keeps_its_heads(monkeypatch, caplog):
    def breaking(*_):
        yield pack_head(1000, 8.0)
        raise OSError("no memory")

    monkeypatch.setattr(headstyle_training.heads.bank, "_heads_in_order", breaking)
    with HeadBank([1000, 1001], 8.0) as bank:
        bank.wait_for(2)
        assert len(bank.draw(3, rng())) == 3
    assert "no more heads after 1" in caplog.text


def test_an_empty_bank_says_what_to_do(bank):
    with HeadBank([1000], 8.0) as small:
        small.wait_for(1)
        absent = next(n for n in NAMES if n not in {e.operator for e in draw_edits(1000)})
        with pytest.raises(RuntimeError, match="wait_for more"):
            small.draw(1, rng(), [absent])


@pytest.mark.slow
def test_workers_make_the_same_heads(bank):
    with HeadBank(SEEDS, COARSENESS, workers=2) as other:
        other.wait_for(len(SEEDS))
        edits = bank.draw(8, rng())
        assert other.draw(8, rng()) == edits
        versions = [e.edited for e in edits]
        assert torch.equal(bank.fetch(versions).albedo, other.fetch(versions).albedo)


def test_pairs_are_told_by_their_seed(bank, batch):
    again = PairStream(bank, *SIZE, seed=0).draw(8)
    assert torch.equal(again.photographs, batch.photographs)
    assert torch.equal(again.edited, batch.edited)
    assert again.instructions == batch.instructions
    assert not torch.equal(PairStream(bank, *SIZE, seed=1).draw(2).edited, batch.edited[:2])


def test_pairs_are_pictures_on_black(batch):
    for images in (batch.photographs, batch.edited):
        assert images.shape == (8, 4, *SIZE)
        assert images.min() >= 0
        assert images.max() <= 1
        assert not (images[:, :3] * (images[:, 3:] == 0)).any()
        assert (images[:, 3].mean(dim=(1, 2)) > 0.08).all()


def test_an_instruction_says_what_was_done(batch):
    for place, instruction in zip(batch.operators.tolist(), batch.instructions, strict=True):
        operator = NAMES[place]
        texts = texts_of(operator)
        if OPERATORS[operator].takes_color:
            assert any(instruction.startswith(text.split("{")[0]) for text in texts)
        else:
            assert instruction in {fill_in(t, person) for t in texts for person in PEOPLE}


def test_little_changes_where_an_edit_changes_nothing(batch):
    difference = (batch.photographs - batch.edited)[:, :3].abs().mean(dim=1)
    kept = (batch.photographs[:, 3] > 0.5) & ~batch.concerned
    # Shadows of what an edit adds may fall there.
    assert difference[kept].mean() < 0.01
    for one, concerned in zip(difference, batch.concerned, strict=True):
        assert not concerned.any() or one[concerned].mean() > one[~concerned].mean()


def test_held_out_texts_alone_can_be_asked_for(bank):
    stream = PairStream(bank, 24, 16, seed=0, held_out=True, full_strength=True)
    drawn = stream.draw(4, ["stone"])
    assert (drawn.strengths == 1).all()
    possible = {fill_in(t, p) for t in texts_of("stone", held_out=True) for p in PEOPLE}
    assert set(drawn.instructions) <= possible


def test_some_wide_pictures_show_a_portraits_part_only(bank):
    frames = PairStream(bank, 60, 60, seed=0)._frames(400)
    narrow = frames[:, 0, 0, 0] == 0
    assert narrow.float().mean() == pytest.approx(PORTRAIT_SHARE, abs=0.08)
    widths = frames[narrow].sum(dim=3)[:, 0, 0]
    assert (widths == round(60 * PORTRAIT_ASPECT)).all()


def test_concerned_are_the_changed_pixels_and_those_close_to_them():
    before = torch.zeros(1, 7, 21, 21)
    after = before.clone()
    after[0, 6, 10, 10] = 1.1 * ALPHA_CHANGE
    after[0, 6, 2, 2] = 0.9 * ALPHA_CHANGE
    images = torch.zeros(1, 4, 21, 21)
    [found] = concerned_pixels(Pictures(images, before), Pictures(images, after))
    rows, columns = torch.nonzero(found, as_tuple=True)
    reach = CONCERNED_MARGIN_PX
    assert (rows.min(), rows.max()) == (10 - reach, 10 + reach)
    assert (columns.min(), columns.max()) == (10 - reach, 10 + reach)
    assert found.sum() == (2 * reach + 1) ** 2
