"""Greedy selection in rank order: a row is removed only if a kept row is too similar to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import (
    BELOW_EVERY_COSINE,
    PANEL_ROWS,
    FloatArray,
    IndexArray,
)

# Stands for the survivor of a row that is kept itself.
NOBODY = -1
# Rows decided at a time.
_BLOCK = 256


@dataclass(frozen=True)
class Cover:
    """The decisions about m offered rows.

    Rows are numbered from 0 in the order in which they were offered.

    Attributes
    ----------
    survivor
        (m,) int64. Number of the kept row that is most similar to the row, the earliest one on
        ties; ``NOBODY`` where the row itself is kept.
    similarity
        (m,) float32. Cosine to the survivor, 0 where the row itself is kept.
    """

    survivor: IndexArray
    similarity: FloatArray


class GreedyCover:
    """Decides rows that come in rank order, in batches. It holds the vectors of the kept rows.

    Parameters
    ----------
    above
        Threshold of the cosine, exclusive: a removed row is more similar than this to its survivor.
    """

    def __init__(self, above: float) -> None:
        self._above = np.float32(above)
        self._kept: list[FloatArray] = []
        self._numbers: list[IndexArray] = []
        self._offered = 0

    def offer(self, X: FloatArray, sure: npt.NDArray[np.bool_], *, block: int = _BLOCK) -> Cover:
        """Decide the next rows.

        Parameters
        ----------
        X
            (m, d) float32. Unit rows, in rank order.
        sure
            (m,) bool. Rows that are kept in any case.
        block
            Rows decided at a time. The result does not depend on it.

        Returns
        -------
        Cover
            The decisions about these rows.
        """
        survivor = np.full(len(X), NOBODY, dtype=np.int64)
        similarity = np.zeros(len(X), dtype=np.float32)
        for start in range(0, len(X), block):
            rows = slice(start, min(start + block, len(X)))
            self._decide(X[rows], sure[rows], survivor[rows], similarity[rows])
        return Cover(survivor, similarity)

    def _decide(
        self,
        X: FloatArray,
        sure: npt.NDArray[np.bool_],
        survivor: IndexArray,
        similarity: FloatArray,
    ) -> None:
        best = np.full(len(X), BELOW_EVERY_COSINE, dtype=np.float32)
        by = np.full(len(X), NOBODY, dtype=np.int64)
        open_rows = np.flatnonzero(~sure)
        if len(open_rows):
            for kept, numbers in zip(self._kept, self._numbers, strict=True):
                _raise(best, by, open_rows, X[open_rows] @ kept.T, numbers)
        stays = sure.copy()
        if len(open_rows):
            within = X @ X.T
            for row in open_rows:
                earlier = stays[:row] & (within[row, :row] > self._above)
                stays[row] = not (best[row] > self._above or earlier.any())
            gone = np.flatnonzero(~stays)
            products = within[gone]
            products[~stays[None, :] | (np.arange(len(X))[None, :] >= gone[:, None])] = (
                BELOW_EVERY_COSINE
            )
            if len(gone):
                _raise(best, by, gone, products, self._offered + np.arange(len(X)))
            survivor[gone] = by[gone]
            similarity[gone] = np.minimum(best[gone], np.float32(1))
        self._add(X[stays], self._offered + np.flatnonzero(stays))
        self._offered += len(X)

    def _add(self, X: FloatArray, numbers: IndexArray) -> None:
        """Hold kept rows in panels, so that a product with one of them is bounded."""
        if self._kept and len(self._kept[-1]) + len(X) <= PANEL_ROWS:
            self._kept[-1] = np.concatenate([self._kept[-1], X])
            self._numbers[-1] = np.concatenate([self._numbers[-1], numbers])
        elif len(X):
            self._kept.append(X)
            self._numbers.append(numbers)


def _raise(
    best: FloatArray, by: IndexArray, rows: IndexArray, products: FloatArray, numbers: IndexArray
) -> None:
    """Take over the best product of each row, and its kept row's number, where it is higher."""
    column = products.argmax(axis=1)
    value = products[np.arange(len(rows)), column]
    better = value > best[rows]
    best[rows[better]] = value[better]
    by[rows[better]] = numbers[column[better]]
