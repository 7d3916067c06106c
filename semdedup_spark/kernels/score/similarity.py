"""The score: each row's highest cosine similarity to a row that ranks before it.

Rows come in rank order. A block of rows is multiplied with the rows before it, one panel at a time.
Memory is O(block * (panel + d)) for any number of rows, and only pairs in which one row can rank
before the other are multiplied. The same source runs on numpy arrays and on torch tensors, on the
CPU or a GPU, through the array API standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from semdedup_spark.kernels.score.running_max import Best, BestProduct, BestRescored
from semdedup_spark.kernels.vectors import (
    BELOW_EVERY_COSINE,
    PANEL_ROWS,
    FloatArray,
    IndexArray,
)

# Rows compared at a time. A small block wastes little above the diagonal; a large one makes better
# use of BLAS. devices.block_rows chooses by the number of rows.
BLOCK = 128


@dataclass(frozen=True)
class EarlierSimilarity:
    """The scores of n rows, in the order given.

    Attributes
    ----------
    max_similarity
        (n,) float32 in [0, 1]. ``max(0, max over earlier rows of the cosine)``.
    neighbor
        (n,) int64. Position of the earliest row with this cosine; ``NO_NEIGHBOR`` where
        ``max_similarity`` is 0.
    """

    max_similarity: FloatArray
    neighbor: IndexArray


def max_earlier_similarity(
    X: Any,
    *,
    above: float = 0.0,
    exact: FloatArray | None = None,
    block: int = BLOCK,
    panel: int = PANEL_ROWS,
) -> EarlierSimilarity:
    """Compare every row with all rows before it (SemDeDup, Abbas et al. 2023, algorithm 1).

    It makes about n * n / 2 products.

    Parameters
    ----------
    X
        (n, d) float32 array or tensor. Unit rows, in rank order.
    above
        Threshold of the cosine, exclusive. A row with none above it gets 0 and no neighbor.
    exact
        (n, d) float32. The rows that decide in float64 what the products leave open, so that the
        result does not depend on what is multiplied at a time. Pass the float32 rows where ``X`` is
        a float16 copy of them, which on a GPU takes half the memory and a fraction of the time. Or
        pass ``X`` itself.
    block
        Rows per block.
    panel
        Earlier rows per product.

    Returns
    -------
    EarlierSimilarity
        The scores; neighbors are positions in ``X``.

    References
    ----------
    Abbas, A. et al. (2023). SemDeDup: Data-efficient learning at web-scale through semantic
    deduplication. arXiv:2303.09540.
    """
    rank = np.arange(len(X))
    best = BestProduct(X, above) if exact is None else BestRescored(exact, exact, above)
    return _best_earlier(X, rank, X, rank, best, block, panel)


def max_earlier_similarity_across(
    A: Any,
    rank_a: IndexArray,
    B: Any,
    rank_b: IndexArray,
    *,
    above: float = 0.0,
    exact: tuple[FloatArray, FloatArray] | None = None,
    block: int = BLOCK,
    panel: int = PANEL_ROWS,
) -> tuple[EarlierSimilarity, EarlierSimilarity]:
    """Compare all rows of ``A`` with all rows of ``B``; the later row of a pair gets the score.

    Parameters
    ----------
    A
        (n, d) float32 array or tensor. Unit rows.
    rank_a
        (n,) int64, ascending. Positions of the rows of ``A`` in one common rank order.
    B
        (m, d) float32 array or tensor. Unit rows.
    rank_b
        (m,) int64, ascending. Positions of the rows of ``B``; none is also in ``rank_a``.
    above
        Threshold of the cosine, exclusive.
    exact
        The float32 rows of ``A`` and ``B``; see :func:`max_earlier_similarity`.
    block
        Rows per block.
    panel
        Rows of the other side per product.

    Returns
    -------
    tuple[EarlierSimilarity, EarlierSimilarity]
        The scores of ``A``, whose neighbors are positions in ``B``, and those of ``B``, whose
        neighbors are positions in ``A``.
    """
    turned = None if exact is None else exact[::-1]
    return (
        max_similarity_to_earlier(
            A, rank_a, B, rank_b, above=above, exact=exact, block=block, panel=panel
        ),
        max_similarity_to_earlier(
            B, rank_b, A, rank_a, above=above, exact=turned, block=block, panel=panel
        ),
    )


def max_similarity_to_earlier(
    A: Any,
    rank_a: IndexArray,
    B: Any,
    rank_b: IndexArray,
    *,
    above: float = 0.0,
    exact: tuple[FloatArray, FloatArray] | None = None,
    block: int = BLOCK,
    panel: int = PANEL_ROWS,
) -> EarlierSimilarity:
    """Find for every row of ``A`` the most similar row of ``B`` that ranks before it.

    The rows of ``B`` get no scores. This suits a few new rows among many old ones: ``A`` are the
    new rows and ``B`` all rows.

    Parameters
    ----------
    A
        (n, d) float32 array or tensor. Unit rows.
    rank_a
        (n,) int64, ascending. Positions of the rows of ``A`` in one common rank order.
    B
        (m, d) float32 array or tensor. Unit rows.
    rank_b
        (m,) int64, ascending. Positions of the rows of ``B``; they may also be in ``rank_a``.
    above
        Threshold of the cosine, exclusive.
    exact
        The float32 rows of ``A`` and ``B``; see :func:`max_earlier_similarity`.
    block
        Rows of ``A`` per block.
    panel
        Rows of ``B`` per product.

    Returns
    -------
    EarlierSimilarity
        The scores of ``A``; neighbors are positions in ``B``.
    """
    best: Best = BestProduct(A, above) if exact is None else BestRescored(*exact, above)
    return _best_earlier(A, rank_a, B, rank_b, best, block, panel)


def _best_earlier(
    A: Any, rank_a: IndexArray, B: Any, rank_b: IndexArray, best: Best, block: int, panel: int
) -> EarlierSimilarity:
    """Find for each row of ``A`` the most similar row of ``B`` among those that rank before it."""
    for start in range(0, len(A), block):
        rows = slice(start, min(start + block, len(A)))
        # Ranks ascend, so B[:surely] ranks before all rows of the block, and B[end:] before none.
        surely = int(np.searchsorted(rank_b, rank_a[rows.start]))
        end = int(np.searchsorted(rank_b, rank_a[rows.stop - 1]))
        for first in range(0, end, panel):
            columns = slice(first, min(first + panel, end))
            products = A[rows] @ B[columns].T  # (block, d) x (d, panel) -> (block, panel)
            if columns.stop > surely:
                part = slice(max(surely, first), columns.stop)
                earlier = rank_b[part][None, :] < rank_a[rows][:, None]
                _mask(products[:, part.start - first :], earlier)
            best.update(rows, products, first)
    return EarlierSimilarity(*best.result())


def merge_best(best: EarlierSimilarity, rows: IndexArray, found: EarlierSimilarity) -> None:
    """Merge new results into the best ones so far, in place.

    Among equal similarities the neighbor that ranks first wins. Positions are in rank order.

    Parameters
    ----------
    best
        The best results of n rows; updated in place.
    rows
        (m,) int64. The rows that have new results; no position occurs twice.
    found
        m results, each with a neighbor that is also a position in ``best``.
    """
    before, neighbor = best.max_similarity[rows], best.neighbor[rows]
    better = found.max_similarity > before
    better |= (found.max_similarity == before) & (found.neighbor < neighbor)
    best.max_similarity[rows[better]] = found.max_similarity[better]
    best.neighbor[rows[better]] = found.neighbor[better]


def _mask(products: Any, keep: np.ndarray) -> None:
    if isinstance(products, np.ndarray):
        np.copyto(products, BELOW_EVERY_COSINE, where=~keep)
    else:
        xp = array_namespace(products)
        products[xp.asarray(~keep, device=device(products))] = BELOW_EVERY_COSINE
