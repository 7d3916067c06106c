"""The score: each row's highest cosine similarity to a row that ranks before it.

Rows come in rank order. Products are taken block by block, so memory is O(block^2 + block * d)
whatever the number of rows, and only blocks that can hold an earlier row are multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdedup_spark.kernels.vectors import FloatArray, IndexArray

NO_NEIGHBOR = -1
_BLOCK = 1024


@dataclass(frozen=True)
class EarlierSimilarity:
    """For each of n rows, in the order given.

    ``max_similarity``: (n,) float32 in [0, 1], ``max(0, max over earlier rows of the cosine)``;
    ``neighbor``: (n,) int64, position of the earliest row that attains it, ``NO_NEIGHBOR`` where
    ``max_similarity`` is 0.
    """

    max_similarity: FloatArray
    neighbor: IndexArray


def max_earlier_similarity(X: FloatArray, *, block: int = _BLOCK) -> EarlierSimilarity:
    """Compare every row with all rows before it (SemDeDup, Abbas et al. 2023, algorithm 1).

    ``X``: (n, d) float32, unit rows, in rank order. The upper triangle only: n * n / 2 products.
    """
    best = _Best(len(X))
    for later in range(0, len(X), block):
        columns = X[later : later + block].T  # (d, b)
        for earlier in range(0, later + 1, block):
            products = X[earlier : earlier + block] @ columns  # (b, d) x (d, b') -> (b, b')
            if earlier == later:
                products[np.tril_indices(len(products))] = 0.0
            best.update(later, products, earlier)
    return best.result()


def max_earlier_similarity_across(
    A: FloatArray, rank_a: IndexArray, B: FloatArray, rank_b: IndexArray, *, block: int = _BLOCK
) -> tuple[EarlierSimilarity, EarlierSimilarity]:
    """Compare every row of ``A`` with every row of ``B``; the later of each pair is updated.

    ``A``: (n, d), ``B``: (m, d), float32, unit rows; ``rank_a``, ``rank_b``: ascending positions
    in one common rank order, no position in both. Returns one result for ``A``, whose ``neighbor``
    holds positions in ``B``, and one for ``B`` with positions in ``A``.
    """
    best_a, best_b = _Best(len(A)), _Best(len(B))
    for i in range(0, len(A), block):
        rows, rows_rank = A[i : i + block], rank_a[i : i + block]
        for j in range(0, len(B), block):
            columns_rank = rank_b[j : j + block]
            products = rows @ B[j : j + block].T
            if rows_rank[-1] < columns_rank[0]:
                best_b.update(j, products, i)
            elif columns_rank[-1] < rows_rank[0]:
                best_a.update(i, products.T, j)
            else:
                a_first = rows_rank[:, None] < columns_rank[None, :]
                best_b.update(j, np.where(a_first, products, 0.0), i)
                best_a.update(i, np.where(a_first, 0.0, products).T, j)
    return best_a.result(), best_b.result()


class _Best:
    """Running maximum and its position; of equal maxima the one offered first stays."""

    def __init__(self, n: int) -> None:
        self._similarity = np.zeros(n, dtype=np.float32)
        self._neighbor = np.full(n, NO_NEIGHBOR, dtype=np.int64)

    def update(self, first_column: int, products: FloatArray, first_row: int) -> None:
        """``products``: (rows, columns); column c is the row to update, row r its candidate."""
        row = products.argmax(axis=0)
        value = products[row, np.arange(products.shape[1])]
        columns = slice(first_column, first_column + len(value))
        better = value > self._similarity[columns]
        self._similarity[columns][better] = value[better]
        self._neighbor[columns][better] = row[better] + first_row

    def result(self) -> EarlierSimilarity:
        return EarlierSimilarity(np.minimum(self._similarity, np.float32(1.0)), self._neighbor)
