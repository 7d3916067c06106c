"""Cheaper exact recall: an upper bound of the cosine in few dimensions rules out most pairs.

Let V (d, m) have orthonormal columns, and let x and y be unit vectors. By the inequality of Cauchy
and Schwarz,

    x . y  <=  (V'x) . (V'y) + r(x) r(y),    r(x) = sqrt(1 - |V'x|^2).

The right side is the product of the sketches (V'x, r(x)) and (V'y, r(y)), which are unit vectors of
m + 1 dimensions. Where V holds the main directions of the rows, few pairs have a bound above the
horizon, and only those need all d dimensions. No pair above the horizon is missed for any V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.vectors import (
    BELOW_EVERY_COSINE,
    FloatArray,
    IndexArray,
    paired_similarity,
)

# Bounds of float32 rounding: of |V'x|^2, and of a product of sketches.
_LENGTH_NOISE = 1e-6
_BOUND_NOISE = 1e-5
_SAMPLE_ROWS = 256
_WIDTHS = (16, 32, 48, 64, 96, 128, 192, 256)
# Comparing a single pair costs as much as this many pairs in a matrix product.
_PAIR_COST = 150.0
# Sketches are used where they are expected to cost at most this share of the plain products.
_LARGEST_COST = 0.6
# In a tile of fewer multiply-adds they are not tried.
_SMALLEST_PRODUCTS = 2**30
BLOCK = 512
PANEL = 1024
# A block in which a larger share of the pairs passes the bound is multiplied in full.
DENSE = 0.02


@dataclass(frozen=True)
class Pairs:
    """m pairs of rows.

    Attributes
    ----------
    i
        (m,) int64. Position of one row of each pair.
    j
        (m,) int64. Position of the other row, in the same array.
    similarity
        (m,) float32. Exact cosine.
    """

    i: IndexArray
    j: IndexArray
    similarity: FloatArray


def choose_basis(X: FloatArray, n_pairs: int, above: float) -> FloatArray | None:
    """Choose the directions that make comparing rows cheapest, by trial on a sample.

    The choice is deterministic.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    n_pairs
        Number of pairs of these rows to compare.
    above
        Threshold of the cosine.

    Returns
    -------
    ndarray | None
        (d, m) float32, orthonormal columns; ``None`` where plain products are as cheap.
    """
    n, d = X.shape
    if n_pairs * d < _SMALLEST_PRODUCTS or n < _SAMPLE_ROWS:
        return None
    basis = _main_directions(X[_spread(n, 0.0)])
    # The trial uses other rows, because the basis fits the rows it was made from better.
    trial = X[_spread(n, 0.5)] @ basis
    best, cost = None, _LARGEST_COST
    for width in (w for w in _WIDTHS if w <= basis.shape[1]):
        sketches = _with_rest(trial[:, :width])
        likely = np.count_nonzero(np.triu(sketches @ sketches.T > above, 1)) / (len(trial) ** 2 / 2)
        expected = (width + 1) / d + likely * _PAIR_COST
        if expected < cost:
            best, cost = np.ascontiguousarray(basis[:, :width]), expected
    return best


def _spread(n: int, shift: float) -> IndexArray:
    """Choose evenly spaced positions among n rows, shifted by a share of the spacing."""
    step = n / _SAMPLE_ROWS
    return ((np.arange(_SAMPLE_ROWS) + shift) * step).astype(np.int64)


def _main_directions(sample: FloatArray) -> FloatArray:
    """Compute the principal directions of the sample (not centred), (d, m), the strongest first."""
    wide = sample.astype(np.float64)
    values, vectors = np.linalg.eigh(wide @ wide.T)
    strong = np.flatnonzero(values > values[-1] * 1e-6)[::-1][: _WIDTHS[-1]]
    directions: FloatArray = (wide.T @ (vectors[:, strong] / np.sqrt(values[strong]))).astype(
        np.float32
    )
    return directions


def sketch(X: FloatArray, basis: FloatArray) -> FloatArray:
    """Compute sketches of rows.

    Parameters
    ----------
    X
        (n, d) float32. Unit rows.
    basis
        (d, m) float32. Orthonormal columns.

    Returns
    -------
    ndarray
        (n, m + 1) float32. Their products bound the cosines from above, except for rounding.
    """
    return _with_rest(X @ basis)


def _with_rest(main: FloatArray) -> FloatArray:
    left = np.maximum(1.0 - np.einsum("ij,ij->i", main, main), 0.0) + _LENGTH_NOISE
    return np.hstack([main, np.sqrt(left)[:, None]]).astype(np.float32, copy=False)


def pairs_above(
    A: FloatArray,
    at_a: IndexArray,
    B: FloatArray | None,
    at_b: IndexArray | None,
    basis: FloatArray,
    above: float,
    *,
    every: bool = False,
) -> Iterator[Pairs]:
    """Find the pairs of rows whose cosine exceeds a threshold.

    The pairs include, for each row, the most similar earlier row. A block with very many pairs
    yields only the best pairs of its rows, unless ``every`` is set.

    Parameters
    ----------
    A
        (n, d) float32. Unit rows.
    at_a
        (n,) int64, ascending. Positions of these rows in one common array.
    B
        (m, d) float32. Unit rows to compare ``A`` with; ``None`` compares the rows of ``A``.
    at_b
        (m,) int64, ascending. Positions of the rows of ``B``; none is also in ``at_a``.
    basis
        (d, w) float32. Orthonormal columns, from :func:`choose_basis`.
    above
        Threshold of the cosine, exclusive.
    every
        Whether every pair is wanted.

    Yields
    ------
    Pairs
        The pairs of one block.
    """
    sketch_a = sketch(A, basis)
    sketch_b, others, at = sketch_a, A, at_a
    if B is not None and at_b is not None:
        sketch_b, others, at = sketch(B, basis), B, at_b
    for start in range(0, len(A), BLOCK):
        rows = slice(start, min(start + BLOCK, len(A)))
        for first in range(0, rows.stop if B is None else len(others), PANEL):
            columns = slice(first, min(first + PANEL, rows.stop if B is None else len(others)))
            bound = sketch_a[rows] @ sketch_b[columns].T
            likely = np.flatnonzero(bound > above - _BOUND_NOISE)
            if len(likely) > DENSE * bound.size:
                select = _all_of_block if every else _best_of_block
                yield select(A[rows], at_a[rows], others[columns], at[columns], above)
                continue
            i, j = np.divmod(likely, bound.shape[1])
            if B is None:
                once = j + first < i + start
                i, j = i[once], j[once]
            if len(i):
                exact = paired_similarity(A[rows][i], others[columns][j])
                found = exact > above
                yield Pairs(at_a[rows][i[found]], at[columns][j[found]], exact[found])


def _best_of_block(
    A: FloatArray, at_a: IndexArray, B: FloatArray, at_b: IndexArray, above: float
) -> Pairs:
    """Find for each row of both sides the best row that is earlier."""
    products = A @ B.T
    earlier = at_b[None, :] < at_a[:, None]
    same = at_b[None, :] == at_a[:, None]
    of_a = np.where(earlier, products, BELOW_EVERY_COSINE)
    of_b = np.where(earlier | same, BELOW_EVERY_COSINE, products)
    i = np.r_[np.arange(len(A)), of_b.argmax(axis=0)]
    j = np.r_[of_a.argmax(axis=1), np.arange(len(B))]
    best = np.r_[of_a.max(axis=1), of_b.max(axis=0)].astype(np.float32)
    found = best > above
    similarity = np.minimum(best[found], np.float32(1))
    return Pairs(at_a[i[found]], at_b[j[found]], similarity)


def _all_of_block(
    A: FloatArray, at_a: IndexArray, B: FloatArray, at_b: IndexArray, above: float
) -> Pairs:
    products = A @ B.T
    i, j = np.nonzero((products > np.float32(above)) & (at_a[:, None] != at_b[None, :]))
    return Pairs(at_a[i], at_b[j], np.minimum(products[i, j], np.float32(1)))
