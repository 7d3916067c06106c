"""One work unit: rows of several clusters in rank order in, their scores out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.kmeans import LabelArray
from semdedup_spark.kernels.similarity import (
    NO_NEIGHBOR,
    EarlierSimilarity,
    max_earlier_similarity,
    max_earlier_similarity_across,
)
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, first_of_equal_rows, hash_rows


@dataclass(frozen=True)
class UnitRowsInOrder:
    """The n rows of a unit, in rank order, over u distinct-or-not vectors.

    ``vectors``: (u, d) float32, unit rows; ``vector``: (n,) int64, each row's position in
    ``vectors``; ``labels``: (n,) cluster; ``slot``: (n,); ``across``: (n,) bool, whether the row
    is here to be compared with another slot of its cluster rather than with its own.
    """

    vectors: FloatArray
    vector: IndexArray
    labels: LabelArray
    slot: IndexArray
    across: npt.NDArray[np.bool_]


def score_unit(rows: UnitRowsInOrder, *, block: int = 1024) -> EarlierSimilarity:
    """M and neighbor of every row of the unit; ``neighbor`` holds positions in the unit.

    Rows with equal vectors form a group: its first row stands for it in the products, every other
    row gets exactly 1.0 and the first as its neighbor (design section 5, step 2).
    """
    n = len(rows.labels)
    similarity = np.zeros(n, dtype=np.float32)
    neighbor = np.full(n, NO_NEIGHBOR, dtype=np.int64)
    distinct = first_of_equal_rows(rows.vectors, hash_rows(rows.vectors))[rows.vector]
    # One stable sort groups the unit by cluster and by kind of tile, keeping the rank order.
    group = rows.labels.astype(np.int64) * 2 + rows.across
    order = np.argsort(group, kind="stable")
    borders = np.flatnonzero(np.diff(group[order])) + 1
    for members in np.split(order, borders) if n else []:
        score = _score_across if rows.across[members[0]] else _score_within
        score(rows, members, distinct, similarity, neighbor, block)
    return EarlierSimilarity(similarity, neighbor)


def _representatives(members: IndexArray, distinct: IndexArray) -> tuple[IndexArray, IndexArray]:
    """(positions of the first row of each equal group, first row of its group for each member)."""
    _, first, inverse = np.unique(distinct[members], return_index=True, return_inverse=True)
    return members[np.sort(first)], members[first[inverse.reshape(-1)]]


def _score_within(
    rows: UnitRowsInOrder,
    members: IndexArray,
    distinct: IndexArray,
    similarity: FloatArray,
    neighbor: IndexArray,
    block: int,
) -> None:
    heads, head_of = _representatives(members, distinct)
    copies = members != head_of
    similarity[members[copies]] = 1.0
    neighbor[members[copies]] = head_of[copies]
    best = max_earlier_similarity(rows.vectors[rows.vector[heads]], block=block)
    _store(best, heads, heads, similarity, neighbor)


def _score_across(
    rows: UnitRowsInOrder,
    members: IndexArray,
    distinct: IndexArray,
    similarity: FloatArray,
    neighbor: IndexArray,
    block: int,
) -> None:
    heads, _ = _representatives(members, distinct)
    # Two slots meet in a tile; where the hash left one of them empty there is nothing to do.
    in_first = rows.slot[heads] == rows.slot[heads].min()
    first, second = heads[in_first], heads[~in_first]
    if len(second) == 0:
        return
    of_first, of_second = max_earlier_similarity_across(
        rows.vectors[rows.vector[first]],
        first,
        rows.vectors[rows.vector[second]],
        second,
        block=block,
    )
    _store(of_first, first, second, similarity, neighbor)
    _store(of_second, second, first, similarity, neighbor)


def _store(
    best: EarlierSimilarity,
    rows: IndexArray,
    candidates: IndexArray,
    similarity: FloatArray,
    neighbor: IndexArray,
) -> None:
    found = best.neighbor != NO_NEIGHBOR
    similarity[rows[found]] = best.max_similarity[found]
    neighbor[rows[found]] = candidates[best.neighbor[found]]
