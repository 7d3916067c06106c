"""A second table in memory: rows similar to one of its rows go, by the rule of the job."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark import deduplicate, score_vectors
from semdedup_spark.errors import ConfigError
from semdedup_spark.kernels.vectors import unit_rows
from tests.oracle import brute_force


def with_copies_and_near_rows(seed, n=100, d=384):
    """A reference with repeated rows; copies of n of its rows, near rows of these, and others."""
    random = np.random.default_rng(seed)
    reference = unit_rows(random.standard_normal((3 * n, d))).X
    reference[n : n + n // 2] = reference[: n // 2]  # the first of equal rows counts
    near = reference[:n] + 1e-6 * random.standard_normal((n, d))
    far = reference[:n] + 0.1 / np.sqrt(d) * random.standard_normal((n, d))
    alone = random.standard_normal((n, d))
    return reference, unit_rows(np.concatenate([reference[:n], near, far, alone])).X


def by_brute_force(X, reference):
    """Each row is compared with the reference by itself, so that rows do not meet each other."""
    found = [brute_force(np.concatenate([reference, row[None]])) for row in X]
    return np.array([M[-1] for M, _ in found]), np.array([neighbor[-1] for _, neighbor in found])


@pytest.mark.parametrize("seed", [0, 1])
def test_exact_copies_go_and_near_rows_stay_at_the_smallest_threshold(seed):
    reference, X = with_copies_and_near_rows(seed)
    result = deduplicate(X, reference=reference, eps=1e-8)
    copies = np.arange(100)
    removed = result.removed.to_pydict()
    assert removed["id"] == removed["survivor_id"] == copies.tolist()
    assert removed["similarity"] == [1.0] * 100
    assert result.scores.max_similarity[100:].max() < 1.0


@pytest.mark.parametrize("eps_max", [0.002, 0.3])
def test_scores_against_a_reference_are_those_of_brute_force(eps_max):
    reference, X = with_copies_and_near_rows(2, n=16, d=48)
    scores = deduplicate(X, reference=reference, eps=0.001, eps_max=eps_max).scores
    M, neighbor = by_brute_force(X, reference)
    seen = 1 - eps_max < M
    below = np.nextafter(np.float32(1), np.float32(0))
    equal = [bool((reference == row).all(axis=1).any()) for row in X]
    expected = np.where(equal, 1.0, np.minimum(M, below)) * seen
    np.testing.assert_allclose(scores.max_similarity, expected, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(scores.max_similarity == 1.0, equal)
    np.testing.assert_array_equal(scores.neighbor, np.where(seen, neighbor, -1))


def test_the_reference_and_the_table_itself_have_one_rule():
    reference, X = with_copies_and_near_rows(3)
    against = deduplicate(X[:200], reference=reference, eps=1e-8).scores
    together = score_vectors(np.concatenate([reference, X[:200]]), eps_max=0.3)
    for eps in (1e-8, 0.01):
        np.testing.assert_array_equal(against.kept(eps), together.kept(eps)[len(reference) :])


def test_a_reference_without_rows_removes_nothing_and_a_wrong_horizon_is_refused():
    reference, X = with_copies_and_near_rows(4, n=4, d=8)
    assert len(deduplicate(X, reference=reference[:0]).kept) == len(X)
    assert len(deduplicate(X[:0], reference=reference)) == 0
    with pytest.raises(ConfigError, match="eps_max"):
        deduplicate(X, reference=reference, eps_max=1.5)
