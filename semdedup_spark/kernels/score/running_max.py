"""Running maxima of products: as they come, or settled in higher precision."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, device, to_device

from semdedup_spark.kernels.vectors import (
    FLOAT32_NOISE,
    FloatArray,
    IndexArray,
    paired_similarity,
)

NO_NEIGHBOR = -1
# Below every cosine, so that it never wins.
NEVER = -2.0
# A product of two unit vectors rounded to float16 differs from the true one by less: each entry by
# 2**-11 of itself, and the product by 2**-12 when it is stored (entries near 0 add 1e-6).
HALF_NOISE = 2.0**-9
# The most that the similarity of rows that differ can be.
BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
# Candidates a row beyond which a block is multiplied again in float64, rather than pair by pair.
_MANY = 32


class Best(Protocol):
    """The best candidate of each of n rows so far; of equal ones the one offered first."""

    def update(self, rows: slice, products: Any, first: int) -> None:
        """``products``: (rows, columns), the similarity of each row to candidates ``first``..."""

    def result(self) -> tuple[FloatArray, IndexArray]:
        """(n,) similarity, 0 where there is none, and (n,) candidate, ``NO_NEIGHBOR`` there."""


class BestProduct:
    """See :class:`Best`; the products decide. ``A``: the n rows; ``above``: to be exceeded."""

    def __init__(self, A: Any, above: float) -> None:
        self._xp = array_namespace(A)
        self._on = device(A)
        self._similarity = self._xp.full(len(A), above, dtype=self._xp.float32, device=self._on)
        self._neighbor = self._xp.full(len(A), NO_NEIGHBOR, dtype=self._xp.int64, device=self._on)

    def update(self, rows: slice, products: Any, first: int) -> None:
        """See :class:`Best`."""
        # The maximum along contiguous memory: numpy's along the other axis is 30 times slower.
        column = self._xp.argmax(products, axis=1)
        value = products[self._xp.arange(len(products), device=self._on), column]
        better = value > self._similarity[rows]
        self._similarity[rows][better] = value[better]
        self._neighbor[rows][better] = column[better] + first

    def result(self) -> tuple[FloatArray, IndexArray]:
        """See :class:`Best`."""
        return _settled(_on_host(self._similarity), _on_host(self._neighbor))


class BestRescored:
    """See :class:`Best`; products are float16 or float32, and every candidate that they leave in
    the running is settled by sums in float64, which do not depend on what is multiplied at a time.
    No row equals one of its candidates.
    ``A``, ``B``: (n, d) and (m, d) float32 rows and candidates.
    """

    def __init__(self, A: FloatArray, B: FloatArray, above: float) -> None:
        self._A, self._B = A, B
        self._similarity = np.full(len(A), above, dtype=np.float32)
        self._neighbor = np.full(len(A), NO_NEIGHBOR, dtype=np.int64)

    def update(self, rows: slice, products: Any, first: int) -> None:
        """See :class:`Best`."""
        xp, on = array_namespace(products), device(products)
        noise = np.float32(HALF_NOISE if products.dtype == xp.float16 else FLOAT32_NOISE)
        top = _on_host(xp.max(products, axis=1)).astype(np.float32)
        # The best of these candidates is at least top - noise, and must beat the best so far.
        floor = np.maximum(self._similarity[rows], top - noise) - noise
        wide = xp.astype(products, xp.float32)
        running = wide >= xp.asarray(floor, device=on)[:, None]
        if int(xp.sum(xp.astype(running, xp.int64))) > _MANY * len(top):
            i, j, exact = self._again(rows, running, first)
        else:
            i, j = (_on_host(part) for part in xp.nonzero(running))
            # Of two that round to 1 or more the first wins, as it does where they come one by one.
            exact = np.minimum(paired_similarity(self._A[rows][i], self._B[first:][j]), BELOW_ONE)
        order = np.lexsort((j, -exact, i))
        best = order[np.diff(i[order], prepend=-1) > 0]
        row, value = i[best] + rows.start, exact[best]
        better = value > self._similarity[row]
        self._similarity[row[better]] = value[better]
        self._neighbor[row[better]] = j[best][better] + first

    def _again(
        self, rows: slice, running: Any, first: int
    ) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Of each row the best candidate in the running, by a float64 product of the block."""
        xp, on = array_namespace(running), device(running)
        A, B = (
            xp.asarray(X, dtype=xp.float64, device=on)
            for X in (self._A[rows], self._B[first : first + running.shape[1]])
        )
        # Rounded, as what is settled pair by pair is: of equal ones the first wins.
        exact = xp.astype(A @ B.T, xp.float32)
        exact = xp.where(running, xp.clip(exact, max=float(BELOW_ONE)), xp.full_like(exact, NEVER))
        column = xp.argmax(exact, axis=1)
        value = exact[xp.arange(len(exact), device=on), column]
        j: IndexArray = _on_host(column)
        return np.arange(len(j)), j, _on_host(value)

    def result(self) -> tuple[FloatArray, IndexArray]:
        """See :class:`Best`."""
        return _settled(self._similarity, self._neighbor)


def _on_host(array: Any) -> Any:
    return np.asarray(to_device(array, "cpu"))


def _settled(similarity: FloatArray, neighbor: IndexArray) -> tuple[FloatArray, IndexArray]:
    found = np.where(neighbor == NO_NEIGHBOR, np.float32(0), np.minimum(similarity, 1.0))
    return found.astype(np.float32), neighbor
