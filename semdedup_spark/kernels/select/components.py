"""Connected components of the graph of pairs above a threshold, within one unit.

Pairs are found block by block. A block of pairs is merged into the components found so far and then
forgotten, so memory does not grow with the number of pairs. That number is quadratic where many
rows are alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semdedup_spark.kernels.score.routes import HOME, SECOND
from semdedup_spark.kernels.score.sketches import choose_basis, pairs_above
from semdedup_spark.kernels.score.unit_contents import (
    UnitRowsInOrder,
    heads_of_copies,
    tiles_to_compare,
)
from semdedup_spark.kernels.select.survivors import last_of_chain
from semdedup_spark.kernels.vectors import PANEL_ROWS, FloatArray, IndexArray

# Rows on the first side of one matrix product.
_BLOCK = 256


def first_linked(rows: UnitRowsInOrder, *, above: float, block: int = _BLOCK) -> IndexArray:
    """Find the component of each row of a unit, named by the component's first row.

    Two rows are linked by a chain of pairs that the unit compares and whose similarity exceeds
    ``above``. Rows with equal vectors are one node, represented by the first of them. The number of
    products is about that of :func:`semdedup_spark.kernels.score.unit.score_unit`.

    Parameters
    ----------
    rows
        The n rows of the unit, in rank order.
    above
        Threshold of the cosine, exclusive.
    block
        Rows per block.

    Returns
    -------
    ndarray
        (n,) int64. Position of the first row, in rank order, that the row is linked to; its own
        position where it is linked to no earlier row.
    """
    first = heads_of_copies(rows)
    heads = np.flatnonzero(first == np.arange(len(first)))
    for members in tiles_to_compare(rows.tile, heads):
        one = members[rows.role[members] != SECOND]
        other = members[rows.role[members] == SECOND]
        at_home = bool(len(one)) and rows.role[one[0]] == HOME
        for i, j in _linked_pairs(rows, one, other, above, block, at_home=at_home):
            merge_pairs(first, i, j)
    return first


def merge_pairs(first: IndexArray, i: IndexArray, j: IndexArray) -> None:
    """Merge the components of pairs of positions.

    Parameters
    ----------
    first
        (n,) int64. The lowest position of each position's component; updated in place.
    i
        (m,) int64. One position of each pair.
    j
        (m,) int64. The other position of each pair.
    """
    a, b = first[i], first[j]
    while True:
        differ = a != b
        if not differ.any():
            return
        low, high = np.minimum(a, b)[differ], np.maximum(a, b)[differ]
        np.minimum.at(first, high, low)
        first[:] = last_of_chain(first)
        a, b = first[low], first[high]


def _linked_pairs(
    rows: UnitRowsInOrder,
    one: IndexArray,
    other: IndexArray,
    above: float,
    block: int,
    *,
    at_home: bool,
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield blocks of pairs above the threshold, as positions in the unit.

    Pairs join ``one`` with ``other`` and, if ``at_home``, the rows of ``one`` with each other.
    """
    n_pairs = len(one) * (len(one) - 1) // 2 * at_home + len(one) * len(other)
    A, B = rows.vectors[rows.vector[one]], rows.vectors[rows.vector[other]]
    basis = choose_basis(np.concatenate([A, B]), n_pairs, above)
    if basis is not None:
        if at_home:
            for found in pairs_above(A, one, None, None, basis, above, every=True):
                yield found.i, found.j
        for found in pairs_above(A, one, B, other, basis, above, every=True):
            yield found.i, found.j
        return
    if at_home:
        for i, j in _above(A, A, above, block, within=True):
            yield one[i], one[j]
    for i, j in _above(A, B, above, block, within=False):
        yield one[i], other[j]


def _above(
    A: FloatArray, B: FloatArray, above: float, block: int, *, within: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    for start in range(0, len(A), block):
        rows = slice(start, min(start + block, len(A)))
        for begin in range(0, rows.stop if within else len(B), PANEL_ROWS):
            end = min(begin + PANEL_ROWS, rows.stop if within else len(B))
            i, j = np.nonzero(A[rows] @ B[begin:end].T > np.float32(above))
            if len(i):
                yield i + start, j + begin
