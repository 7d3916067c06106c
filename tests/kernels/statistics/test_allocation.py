"""Allocations against their promises, and against trying all of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.statistics.allocation import allocate

STRATA = st.lists(
    st.tuples(st.integers(0, 60) | st.integers(0, 10**7), st.floats(0, 1)), min_size=1, max_size=12
)


def split(strata):
    return [size for size, _ in strata], [share for _, share in strata]


@given(STRATA, st.integers(0, 700))
def test_all_draws_are_given_and_no_stratum_gets_more_than_it_has(strata, n):
    sizes, expected = split(strata)
    drawn = allocate(sizes, expected, n)
    assert drawn.dtype == np.int64
    assert drawn.sum() == min(n, sum(sizes))
    assert (drawn >= 0).all()
    assert (drawn <= sizes).all()


@given(STRATA, st.integers(0, 700))
def test_every_stratum_gets_five_draws_where_there_are_enough(strata, n):
    sizes, expected = split(strata)
    drawn = allocate(sizes, expected, n)
    least = np.minimum(sizes, 5)
    if n >= least.sum():
        assert (drawn >= least).all()
    else:  # as equally as possible
        assert (drawn <= least).all()
        assert (drawn[drawn < least] >= drawn.max(initial=0) - 1).all()


@given(STRATA, st.integers(0, 700), st.integers(1, 50))
def test_more_draws_take_none_from_any_stratum(strata, n, more):
    sizes, expected = split(strata)
    assert (allocate(sizes, expected, n + more) >= allocate(sizes, expected, n)).all()


@pytest.mark.parametrize(
    ("sizes", "expected", "n"),
    [
        ([50, 300, 1000], [0.5, 0.8, 0.95], 40),
        ([12, 12, 12], [0.5, 0.5, 0.9], 25),
        ([1000, 10, 7], [0.9, 0.5, 0.5], 31),
    ],
)
def test_no_other_allocation_has_less_variance(sizes, expected, n):
    def variance(drawn):
        return sum(
            size**2 * p * (1 - p) / k for size, p, k in zip(sizes, expected, drawn, strict=True)
        )

    ranges = [range(min(size, 5), min(size, n) + 1) for size in sizes]
    best = min(variance(k) for k in itertools.product(*ranges) if sum(k) == n)
    assert variance(allocate(sizes, expected, n)) == pytest.approx(best, rel=1e-12)


def test_many_draws_are_divided_as_neyman_says():
    sizes, expected = np.array([10**6, 10**6, 3 * 10**6]), np.array([0.5, 0.9, 0.98])
    weights = sizes * np.sqrt(expected * (1 - expected))
    ideal = 1000 * weights / weights.sum()
    assert np.abs(allocate(sizes, expected, 1000) - ideal).max() < 1


def test_the_lower_index_wins_ties():
    assert allocate([100, 100, 100], [0.9] * 3, 1).tolist() == [1, 0, 0]
    assert allocate([100, 100, 100], [0.9] * 3, 20).tolist() == [7, 7, 6]


def test_strata_expected_to_be_all_right_or_all_wrong_are_drawn_from_by_their_size():
    assert allocate([1000, 3000], [1.0, 1.0], 100).tolist() == [25, 75]
    assert allocate([1000, 1000], [0.0, 1.0], 100).tolist() == [50, 50]


def test_without_strata_or_draws_nothing_is_drawn():
    assert allocate([], [], 10).tolist() == []
    assert allocate([0, 0], [0.5, 0.5], 10).tolist() == [0, 0]
    assert allocate([10, 20], [0.5, 0.5], 0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("sizes", "expected", "n", "message"),
    [
        ([1, 2], [0.5], 1, "shapes"),
        ([[1]], [[0.5]], 1, "shapes"),
        ([1, -2], [0.5, 0.5], 1, "negative"),
        ([1, 2], [0.5, 0.5], -1, "negative"),
        ([1, 2], [0.5, 1.5], 1, "from 0 to 1"),
        ([1, 2], [0.5, float("nan")], 1, "from 0 to 1"),
    ],
)
def test_what_cannot_be_allocated_is_refused(sizes, expected, n, message):
    with pytest.raises(ValueError, match=message):
        allocate(sizes, expected, n)
