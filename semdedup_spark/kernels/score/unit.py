"""One work unit: takes rows of several clusters in rank order and returns their scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semdedup_spark.kernels.score.devices import block_rows, place
from semdedup_spark.kernels.score.routes import HOME, SECOND
from semdedup_spark.kernels.score.running_max import BELOW_ONE, NO_NEIGHBOR
from semdedup_spark.kernels.score.similarity import (
    EarlierSimilarity,
    max_earlier_similarity,
    max_earlier_similarity_across,
    max_similarity_to_earlier,
    merge_best,
)
from semdedup_spark.kernels.score.sketches import Pairs, choose_basis, pairs_above
from semdedup_spark.kernels.score.unit_contents import (
    UnitRowsInOrder,
    heads_of_copies,
    tiles_to_compare,
)
from semdedup_spark.kernels.vectors import FloatArray, IndexArray

# With more pairs set aside, the pairs are merged into the result.
_MOST_PAIRS = 1 << 20


@dataclass(frozen=True)
class UnitScores:
    """The result of a unit.

    Attributes
    ----------
    best
        The score of each row; neighbors are positions in the unit.
    comparisons
        Number of pairs compared.
    """

    best: EarlierSimilarity
    comparisons: int


def score_unit(
    rows: UnitRowsInOrder,
    *,
    above: float = 0.0,
    device: str = "cpu",
    block: int | None = None,
    half: bool = False,
    settled: bool = False,
) -> UnitScores:
    """Compute the score and the neighbor of every row of the unit.

    Rows with equal vectors form a group. The group's first row represents it in the products. At
    home every other row of the group gets exactly 1.0, and the first row as its neighbor. Rows that
    differ get at most the largest number below 1.0.

    Parameters
    ----------
    rows
        The rows of the unit.
    above
        Threshold of the cosine, exclusive. A row with none above it gets 0 and no neighbor.
    device
        Where products are computed: ``cpu``, or torch's name of a device.
    block
        Rows per block; ``None`` chooses what suits the device.
    half
        Whether a GPU multiplies in float16. What that leaves open is decided in float64.
    settled
        Whether to decide in float64 what float32 leaves open, so that results do not depend on
        which rows are in the unit.

    Returns
    -------
    UnitScores
        The scores.
    """
    n = len(rows.tile)
    similarity = np.zeros(n, dtype=np.float32)
    neighbor = np.full(n, NO_NEIGHBOR, dtype=np.int64)
    wanted = np.ones(n, dtype=bool) if rows.is_target is None else rows.is_target
    head = heads_of_copies(rows)
    if rows.others_only:  # a target must not represent other rows
        head = np.where(wanted[head], np.arange(n), head)
    copies = np.flatnonzero((head != np.arange(n)) & (rows.role == HOME) & wanted)
    similarity[copies], neighbor[copies] = 1.0, head[copies]
    placed = place(rows.vectors, device, half=half)
    exact = rows.vectors if settled or (half and device != "cpu") else None
    found = _Found(placed, exact, rows.vector, similarity, neighbor)
    comparisons = 0
    for members in tiles_to_compare(rows.tile, np.flatnonzero(head == np.arange(n))):
        first = members[rows.role[members] != SECOND]
        second = members[rows.role[members] == SECOND]
        size = block or block_rows(device, len(members))
        at_home = rows.role[first[0]] == HOME if len(first) else False
        if rows.is_target is not None or rows.others_only:
            sides = [(first, first)] if at_home else []
            for targets, others in (*sides, (first, second), (second, first)):
                there = others[~wanted[others]] if rows.others_only else others
                comparisons += found.onto(targets[wanted[targets]], there, above, size)
            continue
        comparisons += len(first) * len(second)
        comparisons += len(first) * (len(first) - 1) // 2 if at_home else 0
        if found.sketched(first, second, above, at_home=at_home):
            continue
        if at_home and len(first) > 1:
            found.within(first, above, size)
        if len(first) and len(second):
            found.across(first, second, above, size)
    found.settle()
    # Without this bound a row that rounds to similarity 1 would tie with an equal row.
    different = np.ones(n, dtype=bool)
    different[copies] = False
    np.minimum(similarity, BELOW_ONE, out=similarity, where=different)
    return UnitScores(EarlierSimilarity(similarity, neighbor), comparisons)


@dataclass(frozen=True)
class _Found:
    """The place where the results of the tiles are merged.

    Attributes
    ----------
    vectors
        (u, d) array or tensor. The vectors on the computing device.
    exact
        (u, d) float32. The vectors for decisions in float64; ``None`` where products decide.
    vector
        (n,) int64. Position of each row's vector.
    similarity
        (n,) float32. Best similarity of each row so far.
    neighbor
        (n,) int64. Best neighbor of each row so far.
    pairs
        Pairs set aside, not yet merged.
    """

    vectors: Any
    exact: FloatArray | None
    vector: IndexArray
    similarity: FloatArray
    neighbor: IndexArray
    pairs: list[Pairs] = field(default_factory=list)

    def within(self, rows: IndexArray, above: float, block: int) -> None:
        exact = None if self.exact is None else self.exact[self.vector[rows]]
        best = max_earlier_similarity(self._of(rows), above=above, exact=exact, block=block)
        self._store(best, rows, rows)

    def across(self, first: IndexArray, second: IndexArray, above: float, block: int) -> None:
        exact = None
        if self.exact is not None:
            exact = self.exact[self.vector[first]], self.exact[self.vector[second]]
        of_first, of_second = max_earlier_similarity_across(
            self._of(first), first, self._of(second), second, above=above, exact=exact, block=block
        )
        self._store(of_first, first, second)
        self._store(of_second, second, first)

    def onto(self, rows: IndexArray, others: IndexArray, above: float, block: int) -> int:
        """Compare each of ``rows`` with those of ``others`` that rank before it.

        The scores of ``others`` do not change.

        Parameters
        ----------
        rows
            (m,) int64, ascending. Positions of the rows to score.
        others
            (o,) int64, ascending. Positions of the rows to compare with.
        above
            Threshold of the cosine, exclusive.
        block
            Rows per block.

        Returns
        -------
        int
            Number of pairs compared.
        """
        if not len(rows) or not len(others):
            return 0
        A, B, exact = self._of(rows), self._of(others), None
        if self.exact is self.vectors:
            exact = A, B
        elif self.exact is not None:
            exact = self.exact[self.vector[rows]], self.exact[self.vector[others]]
        best = max_similarity_to_earlier(A, rows, B, others, above=above, exact=exact, block=block)
        self._store(best, rows, others)
        return int(np.searchsorted(others, rows).sum())

    def sketched(
        self, first: IndexArray, second: IndexArray, above: float, *, at_home: bool
    ) -> bool:
        """Compare rows by sketches where that is cheaper.

        Parameters
        ----------
        first
            (a,) int64, ascending. Positions of the first rows.
        second
            (b,) int64, ascending. Positions of the second rows.
        above
            Threshold of the cosine, exclusive.
        at_home
            Whether the first rows are also compared with each other.

        Returns
        -------
        bool
            Whether the rows were compared.
        """
        # A GPU computes a large product faster than it finds out which part of it is needed.
        if above <= 0 or not isinstance(self.vectors, np.ndarray) or self.exact is not None:
            return False
        within = len(first) * (len(first) - 1) // 2 if at_home else 0
        rows = np.concatenate([first, second])
        X = self._of(rows)
        basis = choose_basis(X, within + len(first) * len(second), above)
        if basis is None:
            return False
        a, b = X[: len(first)], X[len(first) :]
        if at_home:
            for pairs in pairs_above(a, first, None, None, basis, above):
                self._set_aside(pairs)
        for pairs in pairs_above(a, first, b, second, basis, above):
            self._set_aside(pairs)
        return True

    def _set_aside(self, pairs: Pairs) -> None:
        self.pairs.append(pairs)
        if sum(len(some.i) for some in self.pairs) > _MOST_PAIRS:
            self.settle()

    def settle(self) -> None:
        """Merge the pairs set aside into the result."""
        if not self.pairs:
            return
        i = np.concatenate([pairs.i for pairs in self.pairs])
        j = np.concatenate([pairs.j for pairs in self.pairs])
        later, earlier = np.maximum(i, j), np.minimum(i, j)
        similarity = np.concatenate([pairs.similarity for pairs in self.pairs])
        self.pairs.clear()
        order = np.lexsort((earlier, -similarity, later))
        best = order[np.diff(later[order], prepend=-1) > 0]
        found = EarlierSimilarity(similarity[best], earlier[best])
        merge_best(EarlierSimilarity(self.similarity, self.neighbor), later[best], found)

    def _of(self, rows: IndexArray) -> Any:
        return self.vectors[self.vector[rows]]

    def _store(self, best: EarlierSimilarity, rows: IndexArray, others: IndexArray) -> None:
        found = best.neighbor != NO_NEIGHBOR
        neighbors = others[best.neighbor[found]]
        merge_best(
            EarlierSimilarity(self.similarity, self.neighbor),
            rows[found],
            EarlierSimilarity(best.max_similarity[found], neighbors),
        )
