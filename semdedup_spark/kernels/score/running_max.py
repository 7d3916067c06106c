"""Running maxima of products: taken as computed, or decided again in higher precision."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, device, to_device

from semdedup_spark.kernels.vectors import (
    BELOW_EVERY_COSINE,
    FLOAT32_NOISE,
    FloatArray,
    IndexArray,
    paired_similarity,
)

# Stands for the neighbor of a row that has none.
NO_NEIGHBOR = -1
# A product of two unit vectors in float16 differs from the exact one by less than this. Rounding
# changes each entry by 2**-11 of itself and the stored product by 2**-12; entries near 0 add 1e-6.
HALF_NOISE = 2.0**-9
# The highest similarity of rows whose vectors differ.
BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
# With more candidates per row a whole block is multiplied again in float64, instead of its pairs.
MANY = 32


class Best(Protocol):
    """The best candidate of each of n rows so far; among equal ones the one offered first."""

    def update(self, rows: slice, products: Any, first: int) -> None:
        """Offer a range of candidates to a block of rows.

        Parameters
        ----------
        rows
            The rows of the block, a range of the n rows.
        products
            (b, c) float16 or float32. Similarity of each row of the block to each candidate.
        first
            Position of the first of the c candidates.
        """

    def result(self) -> tuple[FloatArray, IndexArray]:
        """Return the best candidates.

        Returns
        -------
        tuple[ndarray, ndarray]
            (n,) float32 similarity, 0 where there is no candidate; (n,) int64 candidate,
            ``NO_NEIGHBOR`` where there is none.
        """


class BestProduct:
    """A :class:`Best` that takes the products as they are.

    Parameters
    ----------
    A
        (n, d) array or tensor. The n rows.
    above
        Threshold of the similarity, exclusive.
    """

    def __init__(self, A: Any, above: float) -> None:
        self._xp = array_namespace(A)
        self._on = device(A)
        self._similarity = self._xp.full(len(A), above, dtype=self._xp.float32, device=self._on)
        self._neighbor = self._xp.full(len(A), NO_NEIGHBOR, dtype=self._xp.int64, device=self._on)

    def update(self, rows: slice, products: Any, first: int) -> None:
        """Offer a range of candidates; see :class:`Best`.

        Parameters
        ----------
        rows
            The rows of the block.
        products
            (b, c) float16 or float32. Similarities to the candidates.
        first
            Position of the first candidate.
        """
        # The maximum runs along contiguous memory. Along the other axis numpy is 30 times slower.
        column = self._xp.argmax(products, axis=1)
        value = products[self._xp.arange(len(products), device=self._on), column]
        better = value > self._similarity[rows]
        self._similarity[rows][better] = value[better]
        self._neighbor[rows][better] = column[better] + first

    def result(self) -> tuple[FloatArray, IndexArray]:
        """Return the best candidates; see :class:`Best`.

        Returns
        -------
        tuple[ndarray, ndarray]
            (n,) float32 similarity, and (n,) int64 candidate.
        """
        return _settled(_on_host(self._similarity), _on_host(self._neighbor))


class BestRescored:
    """A :class:`Best` that decides in float64 between candidates that the products leave open.

    The products are float16 or float32. The float64 sums do not depend on what is multiplied at a
    time. No row may equal one of its candidates.

    Parameters
    ----------
    A
        (n, d) float32. The n rows.
    B
        (m, d) float32. The candidates.
    above
        Threshold of the similarity, exclusive.
    """

    def __init__(self, A: FloatArray, B: FloatArray, above: float) -> None:
        self._A, self._B = A, B
        self._similarity = np.full(len(A), above, dtype=np.float32)
        self._neighbor = np.full(len(A), NO_NEIGHBOR, dtype=np.int64)

    def update(self, rows: slice, products: Any, first: int) -> None:
        """Offer a range of candidates; see :class:`Best`.

        Parameters
        ----------
        rows
            The rows of the block.
        products
            (b, c) float16 or float32. Similarities to the candidates.
        first
            Position of the first candidate.
        """
        xp, on = array_namespace(products), device(products)
        noise = np.float32(HALF_NOISE if products.dtype == xp.float16 else FLOAT32_NOISE)
        top = _on_host(xp.max(products, axis=1)).astype(np.float32)
        # The best of these candidates has at least top - noise, and must exceed the best so far.
        floor = np.maximum(self._similarity[rows], top - noise) - noise
        wide = xp.astype(products, xp.float32)
        running = wide >= xp.asarray(floor, device=on)[:, None]
        if int(xp.sum(xp.astype(running, xp.int64))) > MANY * len(top):
            i, j, exact = self._again(rows, running, first)
        else:
            i, j = (_on_host(part) for part in xp.nonzero(running))
            # Of two candidates that round to 1 or more the first wins, as it does where they are
            # offered one by one.
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
        """Find the best open candidate of each row by a float64 product of the whole block."""
        xp, on = array_namespace(running), device(running)
        A, B = (
            xp.asarray(X, dtype=xp.float64, device=on)
            for X in (self._A[rows], self._B[first : first + running.shape[1]])
        )
        # Rounded to float32, like the similarities of single pairs, so that the first of equal ones
        # wins here too.
        exact = xp.astype(A @ B.T, xp.float32)
        exact = xp.where(
            running, xp.clip(exact, max=float(BELOW_ONE)), xp.full_like(exact, BELOW_EVERY_COSINE)
        )
        column = xp.argmax(exact, axis=1)
        value = exact[xp.arange(len(exact), device=on), column]
        j: IndexArray = _on_host(column)
        return np.arange(len(j)), j, _on_host(value)

    def result(self) -> tuple[FloatArray, IndexArray]:
        """Return the best candidates; see :class:`Best`.

        Returns
        -------
        tuple[ndarray, ndarray]
            (n,) float32 similarity, and (n,) int64 candidate.
        """
        return _settled(self._similarity, self._neighbor)


def _on_host(array: Any) -> Any:
    return np.asarray(to_device(array, "cpu"))


def _settled(similarity: FloatArray, neighbor: IndexArray) -> tuple[FloatArray, IndexArray]:
    found = np.where(neighbor == NO_NEIGHBOR, np.float32(0), np.minimum(similarity, 1.0))
    return found.astype(np.float32), neighbor
