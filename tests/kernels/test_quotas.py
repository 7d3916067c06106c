"""Quotas by hand on few clusters, and what must hold for any sizes."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.quotas import cluster_quotas, equal_shares

SIZES = st.lists(st.integers(0, 300), min_size=1, max_size=30)
RATIOS = st.one_of(st.integers(1, 100), st.floats(1, 100).map(lambda x: round(x, 3)))


def test_a_share_of_bins_is_as_equal_as_their_sizes_allow():
    assert equal_shares(np.array([4, 1, 0, 10]), 9).tolist() == [4, 1, 0, 4]
    assert equal_shares(np.array([4, 1, 0, 10]), 8).tolist() == [4, 1, 0, 3]
    assert equal_shares(np.array([4, 1, 0, 10]), 2).tolist() == [1, 1, 0, 0]


def test_quotas_are_rounded_up_exactly():
    assert cluster_quotas([100, 1, 0, 10, 3], 7).tolist() == [7, 1, 0, 1, 1]
    assert cluster_quotas([1000], 0.1 * 3 * 10).tolist() == [31]  # 3.0000000000000004 %
    assert cluster_quotas([1000], 2.5).tolist() == [25]


def test_an_exact_total_goes_by_the_largest_remainders_and_forgets_no_cluster():
    # shares 2.5, 2.5, 1.25, 0.25: whole parts 2, 2, 1, 0 and ceil(6.5) = 7; the first two get one
    # each, and the last takes one from the first of those furthest above their share
    assert cluster_quotas([10, 10, 5, 1], 25, exact_total=True).tolist() == [2, 3, 1, 1]
    # more clusters than rows to keep
    assert cluster_quotas([1] * 8, 25, exact_total=True).tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("ratio", [0, 0.5, 101, -1, float("nan"), True])
def test_a_ratio_that_is_no_percentage_to_keep_is_refused(ratio):
    with pytest.raises(ValueError, match="from 1 to 100"):
        cluster_quotas([10], ratio)


@given(SIZES, RATIOS)
def test_each_cluster_keeps_its_percentage_rounded_up(sizes, ratio):
    quotas = cluster_quotas(sizes, ratio)
    exact = [math.ceil(Fraction(str(ratio)) * n / 100) for n in sizes]
    assert quotas.tolist() == exact
    assert all(q >= 1 for q, n in zip(quotas, sizes, strict=True) if n)


@given(SIZES, RATIOS)
def test_an_exact_total_is_exact_and_close_to_every_share(sizes, ratio):
    quotas = cluster_quotas(sizes, ratio, exact_total=True)
    share = Fraction(str(ratio)) / 100
    total = math.ceil(share * sum(sizes))
    assert quotas.sum() == total
    assert all(0 <= q <= n for q, n in zip(quotas, sizes, strict=True))
    filled = sum(n > 0 for n in sizes)
    if total >= filled:
        assert all(q >= 1 for q, n in zip(quotas, sizes, strict=True) if n)
    if all(share * n >= 1 for n in sizes if n):  # nothing had to move
        assert all(abs(q - share * n) < 1 for q, n in zip(quotas, sizes, strict=True))
