"""What verdicts at one threshold say of smaller ones, against populations that are known."""

import numpy as np
import pytest

from semdedup_spark.kernels.statistics.allocation import allocate
from semdedup_spark.kernels.statistics.intervals import stratified_share
from semdedup_spark.kernels.statistics.smaller_eps import LEAST_JUDGED, shares_below

EPS = np.array([0.2, 0.15, 0.1, 0.05, 0.02])
# Of 1,000 audits with a true coverage of 95 %, fewer than 935 cover with a probability of 1.5 %.
REPEATS = 1000
LEAST_COVERED = 935


def population(rng, n=4000, by_similarity=False):
    """Removals with their stratum, similarity, and truth: the more similar, the more are right."""
    similarity = (1 - 0.2 * rng.beta(1, 2, n)).astype(np.float32)
    right = rng.random(n) < np.clip(1 - 4 * (1 - similarity) ** 1.1, 0, 1)
    strata = rng.choice(5, n, p=[0.5, 0.25, 0.15, 0.07, 0.03])
    if by_similarity:
        strata = np.digitize(1 - similarity.astype(float), [0.01, 0.03, 0.06, 0.11])
    return strata, similarity, right


def counted(strata, similarity, n_strata=5):
    remains = similarity.astype(float) > 1 - EPS[:, None]
    return np.array([np.bincount(strata[row], minlength=n_strata) for row in remains])


def drawn_rows(rng, strata, n):
    """Rows drawn without replacement from each stratum."""
    draws = allocate(np.bincount(strata, minlength=5), [0.9] * 5, n)
    order = rng.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    first = np.cumsum(np.bincount(strata, minlength=5)) - np.bincount(strata, minlength=5)
    return np.concatenate([order[f : f + k] for f, k in zip(first, draws, strict=True)])


@pytest.mark.parametrize("by_similarity", [False, True])
def test_at_each_threshold_the_interval_covers_the_true_share(by_similarity):
    rng = np.random.default_rng(int(by_similarity))
    strata, similarity, right = population(rng, by_similarity=by_similarity)
    counts = counted(strata, similarity)
    truth = np.array([right[similarity.astype(float) > 1 - eps].mean() for eps in EPS])
    assert (np.diff(truth) > 0).all()
    found = []
    for _ in range(REPEATS):
        rows = drawn_rows(rng, strata, 300)
        found.append(shares_below(counts, EPS, strata[rows], similarity[rows], right[rows]))
    values, low, high = np.moveaxis(np.array(found, dtype=float), -1, 0)
    assert (((low <= truth) & (truth <= high)).sum(axis=0) >= LEAST_COVERED).all()
    np.testing.assert_allclose(values.mean(axis=0), truth, atol=0.01)


def test_at_the_threshold_of_the_selection_it_is_the_estimate_of_the_whole_sample():
    rng = np.random.default_rng(0)
    strata, similarity, right = population(rng)
    rows = drawn_rows(rng, strata, 200)
    n, x = np.bincount(strata[rows]), np.bincount(strata[rows], right[rows]).astype(int)
    for confidence in (0.8, 0.95):
        whole = stratified_share(np.bincount(strata), n, x, confidence)
        counts = counted(strata, similarity)
        args = (counts[::-1], EPS[::-1], strata[rows], similarity[rows], right[rows], confidence)
        assert shares_below(*args)[-1] == whole


def test_where_all_removals_were_judged_every_share_is_known():
    strata, similarity, right = population(np.random.default_rng(2), n=500)
    found = shares_below(counted(strata, similarity), EPS, strata, similarity, right)
    for eps, estimate in zip(EPS, found, strict=True):
        assert estimate == (right[similarity.astype(float) > 1 - eps].mean(),) * 3


def test_a_removal_just_at_the_threshold_does_not_remain():
    similarity = np.array([1 - 0.1] * 20 + [0.95] * 20)
    found = shares_below([[20]], [0.1], [0] * 40, similarity, [False] * 20 + [True] * 20)
    assert found == [(1.0, 1.0, 1.0)]


def test_where_too_few_judged_removals_remain_there_is_no_estimate():
    n = LEAST_JUDGED
    similarity = np.array([0.99] * (n - 1) + [0.95])
    found = shares_below([[50], [90]], [0.02, 0.1], [0] * n, similarity, [True] * n)
    assert found[0] is None
    assert found[1] is not None
    assert shares_below([[0], [7]], [0.1, 0.2], [], [], []) == [None, None]


@pytest.mark.parametrize(
    ("counts", "eps", "strata", "similarity", "right", "message"),
    [
        ([[9]], [0.1], [0] * 10, [0.95] * 10, [True] * 10, "no more"),
        ([[9]], [0.1, 0.2], [0], [0.95], [True], "each eps"),
        ([9], [0.1], [0], [0.95], [True], "each eps"),
        ([[9]], [0.1], [1], [0.95], [True], "from 0 to 0"),
        ([[9]], [0.1], [-1], [0.95], [True], "from 0 to 0"),
        ([[9]], [0.1], [0, 0], [0.95], [True], "each judged removal"),
    ],
)
def test_verdicts_that_do_not_fit_the_counts_are_refused(
    counts, eps, strata, similarity, right, message
):
    with pytest.raises(ValueError, match=message):
        shares_below(counts, eps, strata, similarity, right)
