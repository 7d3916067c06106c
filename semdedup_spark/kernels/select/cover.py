"""Greedy selection in rank order: a row goes only if a row that stays is above the threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.vectors import FloatArray, IndexArray

NOBODY = -1
_BLOCK = 256
_PANEL = 4096
# Below every cosine.
_NEVER = -2.0


@dataclass(frozen=True)
class Cover:
    """``survivor``: (m,) of each row offered the number of the kept row that covers it best, the
    earliest on ties, ``NOBODY`` where the row itself is kept; ``similarity``: (m,) to it, 0 there.
    Rows are numbered as they were offered.
    """

    survivor: IndexArray
    similarity: FloatArray


class GreedyCover:
    """Decides rows that come in rank order, some at a time. It holds the vectors of kept rows."""

    def __init__(self, above: float) -> None:
        """``above``: the similarity that a removed row's survivor exceeds."""
        self._above = np.float32(above)
        self._kept: list[FloatArray] = []
        self._numbers: list[IndexArray] = []
        self._offered = 0

    def offer(self, X: FloatArray, sure: npt.NDArray[np.bool_], *, block: int = _BLOCK) -> Cover:
        """The next rows ``X`` (m, d), unit rows; ``sure``: (m,) those that stay in any case."""
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
        best = np.full(len(X), _NEVER, dtype=np.float32)
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
            products[~stays[None, :] | (np.arange(len(X))[None, :] >= gone[:, None])] = _NEVER
            if len(gone):
                _raise(best, by, gone, products, self._offered + np.arange(len(X)))
            survivor[gone] = by[gone]
            similarity[gone] = np.minimum(best[gone], np.float32(1))
        self._add(X[stays], self._offered + np.flatnonzero(stays))
        self._offered += len(X)

    def _add(self, X: FloatArray, numbers: IndexArray) -> None:
        """Kept rows are held in panels, so that a product with them is bounded."""
        if self._kept and len(self._kept[-1]) + len(X) <= _PANEL:
            self._kept[-1] = np.concatenate([self._kept[-1], X])
            self._numbers[-1] = np.concatenate([self._numbers[-1], numbers])
        elif len(X):
            self._kept.append(X)
            self._numbers.append(numbers)


def _raise(
    best: FloatArray, by: IndexArray, rows: IndexArray, products: FloatArray, numbers: IndexArray
) -> None:
    """Put the best of each row's products into ``best`` and ``by``, where it is better."""
    column = products.argmax(axis=1)
    value = products[np.arange(len(rows)), column]
    better = value > best[rows]
    best[rows[better]] = value[better]
    by[rows[better]] = numbers[column[better]]
