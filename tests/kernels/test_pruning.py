"""By hand on few points, and what must hold for any clusters."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semdedup_spark.kernels.pruning import (
    PRUNE_TYPES,
    choose_rows,
    cluster_quotas,
    equal_shares,
    hash_ids,
    prune_clusters,
    random_scores,
)
from semdedup_spark.kernels.statistics.cramers_v import cramers_v

SIZES = st.lists(st.integers(0, 300), min_size=1, max_size=30)
RATIOS = st.one_of(st.integers(1, 100), st.floats(1, 100).map(lambda x: round(x, 3)))
KEYS = np.arange(6, dtype=np.uint64)


def kept(score, n_keep, prune_type, key=KEYS):
    return np.flatnonzero(choose_rows(np.array(score), key, n_keep, prune_type)).tolist()


def test_common_keeps_the_most_similar_and_diverse_the_least():
    score = [0.9, 0.1, 0.5, 0.7, 0.3, 0.8]
    assert kept(score, 2, "common") == [0, 5]
    assert kept(score, 2, "diverse") == [1, 4]


def test_systematic_keeps_every_mth_in_order():
    score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert kept(score, 3, "systematic") == [1, 3, 5]
    assert kept(score, 2, "systematic") == [1, 4]
    assert kept(score, 6, "systematic") == [0, 1, 2, 3, 4, 5]


def test_stratified_takes_equally_from_bins_of_similarity_and_fills_up_from_the_others():
    score = [1.0, 0.99, 0.98, 0.97, 0.5, 0.0]  # bins of 4, 1 and 1 rows
    assert kept(score, 3, "stratified") == [0, 4, 5]
    assert kept(score, 5, "stratified") == [0, 1, 2, 4, 5]
    assert kept(score, 3, "stratified", KEYS[::-1].copy()) == [3, 4, 5]  # chance, by the key


def test_ties_are_settled_by_the_key_and_then_by_the_order_given():
    assert kept([0.5] * 6, 2, "common") == [0, 1]
    assert kept([0.5] * 6, 2, "common", KEYS[::-1].copy()) == [4, 5]
    assert kept([0.5] * 6, 2, "common", np.zeros(6, np.uint64)) == [0, 1]


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


@st.composite
def clusters(draw):
    n = draw(st.integers(1, 120))
    labels = draw(hnp.arrays(np.int32, n, elements=st.integers(0, 6)))
    score = draw(hnp.arrays(np.float32, n, elements=st.integers(-8, 8).map(lambda x: x / 8)))
    return labels, score


@given(clusters(), RATIOS, st.sampled_from(PRUNE_TYPES), st.booleans(), st.randoms())
def test_any_rule_keeps_the_quota_whatever_the_order_of_the_rows(
    given_clusters, ratio, prune_type, exact_total, shuffler
):
    labels, score = given_clusters
    key = hash_ids(np.arange(len(labels)), seed=3)
    mask = prune_clusters(labels, score, key, ratio, prune_type, exact_total=exact_total)
    sizes = np.bincount(labels)
    quotas = cluster_quotas(sizes, ratio, exact_total=exact_total)
    assert np.bincount(labels[mask], minlength=len(sizes)).tolist() == quotas.tolist()
    order = list(range(len(labels)))
    shuffler.shuffle(order)
    again = prune_clusters(
        labels[order], score[order], key[order], ratio, prune_type, exact_total=exact_total
    )
    assert np.array_equal(mask[order], again)


@given(clusters(), st.sampled_from(PRUNE_TYPES))
def test_ratio_100_keeps_all_and_clusters_of_one_survive_any_ratio(given_clusters, prune_type):
    labels, score = given_clusters
    key = hash_ids(np.arange(len(labels)), seed=0)
    assert prune_clusters(labels, score, key, 100, prune_type).all()
    alone = np.bincount(labels)[labels] == 1
    assert prune_clusters(labels, score, key, 1, prune_type)[alone].all()


@given(clusters(), RATIOS)
def test_nothing_kept_as_common_is_less_similar_than_what_is_left(given_clusters, ratio):
    labels, score = given_clusters
    key = hash_ids(np.arange(len(labels)), seed=0)
    for prune_type, sign in (("common", 1), ("diverse", -1)):
        mask = prune_clusters(labels, score, key, ratio, prune_type)
        for cluster in np.unique(labels):
            own = labels == cluster
            if (own & ~mask).any():
                assert (sign * score[own & mask]).min() >= (sign * score[own & ~mask]).max()


def test_random_scores_are_uniform_and_change_with_the_seed():
    scores = random_scores(hash_ids(np.arange(20_000), seed=0))
    counts, _ = np.histogram(scores, bins=20, range=(0, 1))
    assert scores.min() >= 0
    assert scores.max() < 1
    assert np.abs(counts - 1000).max() < 150  # about five standard deviations
    other = random_scores(hash_ids(np.arange(20_000), seed=1))
    assert abs(np.corrcoef(scores, other)[0, 1]) < 0.03


def test_cramers_v_by_hand():
    assert cramers_v([0, 0, 1, 1], [5, 5, 9, 9]) == pytest.approx(1)
    assert cramers_v([0, 0, 1, 1], [5, 9, 5, 9]) == 0
    # table [[3, 1], [1, 3]]: chi2 = 8 * (3 * 3 - 1 * 1)^2 / 4^4 = 2, V = sqrt(2 / 8)
    assert cramers_v([0] * 4 + [1] * 4, [0, 0, 0, 1, 0, 1, 1, 1]) == pytest.approx(0.5)
    assert cramers_v([0, 0, 1, 1], [0, 1, 0, 1], [3, 1, 1, 3]) == pytest.approx(0.5)  # that table
    assert cramers_v([0, 1, 2], [4, 4, 4]) == 0
