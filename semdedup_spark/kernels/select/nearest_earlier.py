"""The most similar earlier row of some rows, of which many pass by in reverse rank order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.settled_pairs import MOST_PRODUCTS, ROUNDING, settled_pairs
from semdedup_spark.kernels.vectors import (
    BELOW_EVERY_COSINE,
    FloatArray,
    IndexArray,
    first_of_equal_rows,
    hash_rows,
)


@dataclass(frozen=True)
class Found:
    """Rows that are more similar to a target than all rows before them.

    Attributes
    ----------
    target
        (m,) int64. Number of the target, from 0 in the order in which targets were offered.
    row
        (m,) int64. Position of the other row among those that were just offered.
    similarity
        (m,) float32. Their cosine.
    """

    target: IndexArray
    row: IndexArray
    similarity: FloatArray


class NearestEarlier:
    """Compares targets with the rows that are offered after them: those that rank before. It holds
    the vectors of the targets, and no others.

    Parameters
    ----------
    above
        Threshold of the cosine, exclusive.
    """

    def __init__(self, above: float) -> None:
        self._above = np.float32(above)
        self._targets: FloatArray | None = None
        self._best = np.empty(0, np.float32)

    def offer(
        self,
        X: FloatArray,
        is_target: npt.NDArray[np.bool_],
        is_other: npt.NDArray[np.bool_],
        *,
        most: int = MOST_PRODUCTS,
    ) -> Found:
        """Compare the next rows.

        Parameters
        ----------
        X
            (m, d) float32. Unit rows, in reverse rank order.
        is_target
            (m,) bool. Rows whose nearest earlier row is wanted.
        is_other
            (m,) bool. Rows that targets are compared with.
        most
            Products that are made at a time. The most similar row does not depend on it.

        Returns
        -------
        Found
            The last one of a target, over all calls, is its most similar row, and the earliest in
            rank order of equally similar ones.
        """
        new, before = np.flatnonzero(is_target), len(self._best)
        if self._targets is None:
            self._targets = X[:0]
        self._targets = np.concatenate([self._targets, X[new]])
        self._best = np.concatenate([self._best, np.full(len(new), BELOW_EVERY_COSINE, np.float32)])
        found = [Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
        others = _last_of_equal(np.flatnonzero(is_other), X)
        size = max(1, most // max(len(self._best), 1))
        for start in range(0, len(others) if len(self._best) else 0, size):
            rows = others[start : start + size]
            products = self._targets @ X[rows].T
            products[before:][rows[None, :] <= new[:, None]] = BELOW_EVERY_COSINE
            found.append(self._raise(products, rows, X))
        return Found(
            np.concatenate([each.target for each in found]),
            np.concatenate([each.row for each in found]),
            np.concatenate([each.similarity for each in found]),
        )

    def _raise(self, products: FloatArray, rows: IndexArray, X: FloatArray) -> Found:
        """Take over the best row of each target, where it is better than those before."""
        assert self._targets is not None
        least = np.maximum(np.maximum(products.max(axis=1), self._best), self._above)
        i, j, similarity = settled_pairs(products, least - 2 * ROUNDING, self._targets, X[rows])
        good = (similarity > self._above) & (similarity >= self._best[i])
        i, j, similarity = i[good], j[good], similarity[good]
        order = np.lexsort((j, similarity, i))
        last = order[np.flatnonzero(np.diff(i[order], append=-1))]
        self._best[i[last]] = similarity[last]
        return Found(i[last].astype(np.int64), rows[j[last]], similarity[last])


def _last_of_equal(rows: IndexArray, X: FloatArray) -> IndexArray:
    """Of rows with the same bytes the last one, which ranks first. All of them are equally similar
    to a target, and where any of them ranks before it, this one does. Without this, each copy of a
    vector would be compared exactly with each other copy.
    """
    backwards = X[rows[::-1]]
    first = first_of_equal_rows(backwards, hash_rows(backwards))
    lasts: IndexArray = rows[::-1][first == np.arange(len(rows))][::-1]
    return lasts
