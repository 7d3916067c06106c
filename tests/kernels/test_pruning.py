"""By hand on few points, and what must hold for any clusters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semdedup_spark.kernels.pruning import (
    PRUNE_TYPES,
    choose_rows,
    hash_ids,
    prune_clusters,
    random_scores,
)
from semdedup_spark.kernels.quotas import cluster_quotas

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
