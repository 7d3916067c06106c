"""What comparing all pairs finds: the truth that recall is measured against. Plain numpy, and
independent of the package's kernels.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Two float32 products of the same unit vectors differ by less. A row that nothing but pairs this
# near to the threshold would remove may go either way, and counts neither as found nor as missed.
TOO_CLOSE = 2e-6
_BLOCK = 1024


@dataclass(frozen=True)
class Pairs:
    """All pairs of rows more similar than a threshold: ``i`` < ``j``, ``similarity``, each (p,)."""

    n: int
    i: npt.NDArray[np.int32]
    j: npt.NDArray[np.int32]
    similarity: FloatArray


def pairs_above(X: FloatArray, least: float) -> Pairs:
    """Every pair with similarity > ``least``, by n * n / 2 products. ``X``: (n, d), unit rows."""
    found_i, found_j, found = [], [], []
    begun = told = time.monotonic()
    for start in range(0, len(X), _BLOCK):
        products = X[start : start + _BLOCK] @ X[: start + _BLOCK].T
        products[:, start:][np.triu_indices(products.shape[0])] = -1.0
        later, earlier = np.nonzero(products > least)
        found_i.append(earlier.astype(np.int32))
        found_j.append((later + start).astype(np.int32))
        found.append(products[later, earlier])
        if time.monotonic() - told > 15:
            told = time.monotonic()
            share = (min(start + _BLOCK, len(X)) / len(X)) ** 2
            print(f"brute force: {share:.0%} of all pairs, {told - begun:.0f} s", flush=True)
    return Pairs(len(X), *(np.concatenate(parts) for parts in (found_i, found_j, found)))


def only_above(pairs: Pairs, least: float) -> Pairs:
    near = pairs.similarity > least
    return Pairs(pairs.n, pairs.i[near], pairs.j[near], pairs.similarity[near])


def max_earlier(pairs: Pairs, rank: IndexArray) -> FloatArray:
    """(n,) M of every row where it is above the pairs' threshold, else 0. ``rank``: (n,) place of
    each row in the rank order.
    """
    later = np.where(rank[pairs.i] > rank[pairs.j], pairs.i, pairs.j)
    order = np.lexsort((pairs.similarity, later))
    last = np.flatnonzero(np.diff(later[order], append=pairs.n))
    best = np.zeros(pairs.n, dtype=np.float32)
    best[later[order][last]] = pairs.similarity[order][last]
    return best


def greedily_removed(pairs: Pairs, eps: float) -> BoolArray:
    """(n,) whether going through the rows in input order, and keeping those that have no kept row
    before them with similarity >= 1 - eps, removes the row.
    """
    near = pairs.similarity >= 1 - eps
    i, j = pairs.i[near], pairs.j[near]
    order = np.lexsort((i, j))
    removed = np.zeros(pairs.n, dtype=np.bool_)
    for earlier, later in zip(i[order].tolist(), j[order].tolist(), strict=True):
        if not removed[earlier]:
            removed[later] = True
    return removed


@dataclass(frozen=True)
class Recall:
    """``expected``: rows that must be removed; ``found``: of those; ``wrong``: removed, and all
    pairs would not.
    """

    expected: int
    found: int
    wrong: int

    @property
    def share(self) -> float | None:
        return self.found / self.expected if self.expected else None


def recall_of(removed: BoolArray, max_similarity: FloatArray, eps: float) -> Recall:
    """``removed``: (n,) by what is judged; ``max_similarity``: (n,) by brute force."""
    distance = 1 - max_similarity.astype(np.float64)
    must, may = distance < eps - TOO_CLOSE, distance < eps + TOO_CLOSE
    return Recall(int(must.sum()), int((removed & must).sum()), int((removed & ~may).sum()))


def recall_of_sets(removed: BoolArray, expected: BoolArray) -> Recall:
    return Recall(
        int(expected.sum()), int((removed & expected).sum()), int((removed & ~expected).sum())
    )
