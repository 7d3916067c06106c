"""Connected components of the graph of pairs above a threshold, within one unit, block by block.

A block of pairs is merged into the components found so far and forgotten: memory does not grow
with the number of pairs, which is quadratic where many rows are alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semdedup_spark.kernels.score.routes import HOME, SECOND
from semdedup_spark.kernels.score.sketches import choose_basis, pairs_above
from semdedup_spark.kernels.score.unit import UnitRowsInOrder, heads_of_copies, tiles_to_compare
from semdedup_spark.kernels.select.survivors import last_of_chain
from semdedup_spark.kernels.vectors import FloatArray, IndexArray

_BLOCK = 256
_PANEL = 4096


def first_linked(rows: UnitRowsInOrder, *, above: float, block: int = _BLOCK) -> IndexArray:
    """(n,) for each row of the unit the first one, in rank order, that it is linked to by a chain
    of pairs that the unit compares and whose similarity is greater than ``above``; itself where
    there is none.

    Rows with equal vectors are one node, whose first row stands for it. About as many products as
    :func:`semdedup_spark.kernels.score.unit.score_unit` makes.
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
    """Merge the components of positions ``i`` and ``j`` (m,), in place.

    ``first``: (n,) for each position the least of its component.
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
    """Pairs of positions in the unit above the threshold: of ``one`` within itself if
    ``at_home``, and with ``other``; a bounded number at a time.
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
        for begin in range(0, rows.stop if within else len(B), _PANEL):
            end = min(begin + _PANEL, rows.stop if within else len(B))
            i, j = np.nonzero(A[rows] @ B[begin:end].T > np.float32(above))
            if len(i):
                yield i + start, j + begin
