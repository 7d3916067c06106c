"""The nearest earlier row of some rows, as rows pass by in reverse rank order."""

import numpy as np
import pytest

from semdedup_spark.kernels import settled_pairs
from semdedup_spark.kernels.select.nearest_earlier import NearestEarlier
from semdedup_spark.kernels.vectors import paired_similarity, unit_rows

ABOVE = 0.7


def by_brute_force(X, is_target, is_other):
    """(similarity, position) of the nearest row after each target; the last one on ties."""
    found = {}
    for t in np.flatnonzero(is_target):
        for o in np.flatnonzero(is_other):
            similarity = paired_similarity(X[t : t + 1], X[o : o + 1])[0]
            if o > t and similarity > ABOVE and similarity >= found.get(t, (0, 0))[0]:
                found[t] = (similarity, o)
    return found


def found_in_batches(X, is_target, is_other, batch, **settings):
    """The same, by rows that are offered so many at a time."""
    nearest, found = NearestEarlier(ABOVE), {}
    for start in range(0, len(X), batch):
        rows = slice(start, start + batch)
        told = nearest.offer(X[rows], is_target[rows], is_other[rows], **settings)
        for target, row, similarity in zip(told.target, told.row, told.similarity, strict=True):
            found[np.flatnonzero(is_target)[target]] = (similarity, start + row)
    return found


@pytest.mark.parametrize("batch", [1, 7, 60])
@pytest.mark.parametrize("most", [1, 40, 10**6])
def test_it_is_that_of_brute_force_in_batches_of_any_size(batch, most):
    rng = np.random.default_rng(5)
    X = unit_rows(rng.normal(size=(60, 3)).astype(np.float32)).X
    X[40:45] = X[10]  # equal rows: the one that ranks first counts
    is_target, is_other = rng.random(60) < 0.4, rng.random(60) < 0.7
    is_target[[3, 10]], is_other[40:45] = True, True
    found = found_in_batches(X, is_target, is_other, batch, most=most)
    expected = by_brute_force(X, is_target, is_other)
    assert found == expected
    assert expected[10] == (pytest.approx(1.0), 44)
    assert len(expected) < is_target.sum()


@pytest.mark.parametrize("batch", [7, 60])
def test_many_copies_are_compared_exactly_once_a_batch(batch, monkeypatch):
    rng = np.random.default_rng(6)
    X = unit_rows(rng.normal(size=(3, 4)).astype(np.float32)).X[rng.integers(0, 3, 60)]
    is_target, is_other, pairs = rng.random(60) < 0.8, rng.random(60) < 0.8, []

    def counted(A, B):
        pairs.append(len(A))
        return paired_similarity(A, B)

    monkeypatch.setattr(settled_pairs, "paired_similarity", counted)
    assert found_in_batches(X, is_target, is_other, batch) == by_brute_force(X, is_target, is_other)
    assert 0 < sum(pairs) <= -(-60 // batch) * is_target.sum()
