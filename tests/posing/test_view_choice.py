"""Views chosen by overlap, on made-up match graphs."""

import numpy as np
import pytest
from headstyle.posing.registration.view_choice import (
    ALL_PAIRS_UP_TO,
    bring_in,
    choose_views,
    likely_pairs,
    parts,
)


def overlaps_of(distances, reach):
    """Matches that fall from 400 to 0 at the distance `reach`."""
    found = np.rint(400 * np.clip(1 - np.asarray(distances) / reach, 0, 1)).astype(np.int64)
    np.fill_diagonal(found, 0)
    return found


def chain(places, reach):
    """Photographs along a line."""
    return overlaps_of(np.abs(np.subtract.outer(places, places)), reach)


def ring(angles_deg, reach_deg):
    """Photographs around a head."""
    turns = np.abs(np.subtract.outer(angles_deg, angles_deg)) % 360
    return overlaps_of(np.minimum(turns, 360 - turns), reach_deg)


def is_connected(overlaps, views):
    return len(parts(overlaps[np.ix_(views, views)])) == 1


def test_a_chain_is_thinned_without_breaking_and_keeps_its_ends():
    overlaps = chain(np.arange(20), reach=4)
    views = choose_views(overlaps, 10)
    assert len(views) == 10
    assert is_connected(overlaps, views)
    assert max(np.diff(views)) <= 3
    assert views[0] <= 2
    assert views[-1] >= 17


def test_a_ring_stays_closed():
    angles = np.arange(0, 360, 10.0)
    views = choose_views(ring(angles, reach_deg=45), 18)
    gaps = np.diff([*angles[views], angles[views][0] + 360])
    assert len(views) == 18
    assert gaps.max() <= 30


def test_photographs_of_one_place_are_thinned_before_the_others():
    angles = np.array([*np.linspace(0, 5, 12), *np.arange(25, 350, 25)])
    views = choose_views(ring(angles, reach_deg=60), 16)
    assert set(range(12, len(angles))) <= set(views)


def test_of_two_islands_the_larger_is_taken_whatever_the_names():
    larger, smaller = ring(np.arange(0, 360, 20.0), 60), ring(np.arange(0, 360, 30.0), 90)
    overlaps = np.zeros((30, 30), dtype=np.int64)
    overlaps[12:, 12:], overlaps[:12, :12] = larger, smaller
    assert [len(part) for part in parts(overlaps)] == [18, 12]
    for count in (10, 18):
        views = choose_views(overlaps, count)
        assert min(views) >= 12
        assert len(views) == count
    # More than the larger holds are asked for: the others are there, too, for better settings.
    assert choose_views(overlaps, 25) == [*range(7), *range(12, 30)]


def test_the_choice_follows_the_photographs_and_not_their_order():
    angles = np.sort(np.random.default_rng(3).uniform(0, 360, 40))
    shuffle = np.random.default_rng(4).permutation(40)
    plain = angles[choose_views(ring(angles, 50), 20)]
    shuffled = angles[shuffle][choose_views(ring(angles[shuffle], 50), 20)]
    assert sorted(plain) == sorted(shuffled)


@pytest.mark.parametrize("count", [1, 2])
def test_even_one_view_can_be_chosen(count):
    assert len(choose_views(chain(np.arange(6), 3), count)) == count
    assert choose_views(np.zeros((4, 4), dtype=np.int64), count) == list(range(count))


def test_what_bridges_a_gap_is_brought_in_first():
    overlaps = chain(np.arange(12), reach=3)
    used, lost = [0, 1, 2, 6, 7], [6, 7]
    assert bring_in(overlaps, used, lost, 1) == [4]
    # None of the others reaches both sides; 3 overlaps with two posed views.
    assert bring_in(overlaps, used, lost, 9) == [4, 3]
    assert bring_in(overlaps, used, [], 9) == []
    assert bring_in(overlaps, list(range(12)), lost, 9) == []


def test_of_many_photographs_only_those_alike_or_in_a_row_are_matched():
    count = 2 * ALL_PAIRS_UP_TO
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    looks = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert likely_pairs(looks[:ALL_PAIRS_UP_TO]) is None
    pairs = likely_pairs(looks)
    assert len(pairs) < count * (count - 1) / 6
    assert (0, count - 1) in pairs  # Alike, though far apart in order.
    shuffled = likely_pairs(looks[np.random.default_rng(0).permutation(count)])
    assert {(i, i + 1) for i in range(count - 1)} <= set(shuffled)
    assert all(i < j for i, j in shuffled)
