"""The score: each row's highest cosine similarity to a row that ranks before it.

Rows come in rank order. A block of rows is multiplied with the rows before it, a panel at a time:
memory is O(block * (panel + d)) whatever the number of rows, and only pairs in which one row can
rank before the other are multiplied. The same source runs on numpy arrays and on torch tensors,
on the CPU or a GPU, through the array API standard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from semdedup_spark.kernels.score.running_max import NEVER, Best, BestProduct, BestRescored
from semdedup_spark.kernels.vectors import FloatArray, IndexArray

# Rows compared at a time: a small block wastes little above the diagonal, a large one feeds BLAS.
# See devices.block_rows for what suits how many rows.
BLOCK = 128
_PANEL = 4096


@dataclass(frozen=True)
class EarlierSimilarity:
    """For each of n rows, in the order given.

    ``max_similarity``: (n,) float32 in [0, 1], ``max(0, max over earlier rows of the cosine)``;
    ``neighbor``: (n,) int64, position of the earliest row that attains it, ``NO_NEIGHBOR`` where
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
    panel: int = _PANEL,
) -> EarlierSimilarity:
    """Compare every row with all rows before it (SemDeDup, Abbas et al. 2023, algorithm 1).

    ``X``: (n, d) float32 array or tensor, unit rows, in rank order. About n * n / 2 products.
    Similarities that are not greater than ``above`` count as none: 0, without neighbor.
    ``exact``: the float32 rows, where ``X`` is a float16 copy of them (on a GPU half the memory and
    a fraction of the time), or these rows again: what the products leave undecided is settled by
    them in float64, so that the result does not depend on what is multiplied at a time.
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
    panel: int = _PANEL,
) -> tuple[EarlierSimilarity, EarlierSimilarity]:
    """Compare every row of ``A`` with every row of ``B``; the later of each pair is updated.

    ``A``: (n, d), ``B``: (m, d), float32 arrays or tensors, unit rows; ``rank_a``, ``rank_b``:
    ascending positions in one common rank order, no position in both. Returns one result for
    ``A``, whose ``neighbor`` holds positions in ``B``, and one for ``B`` with positions in ``A``.
    ``exact``: see :func:`max_earlier_similarity`.
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
    panel: int = _PANEL,
) -> EarlierSimilarity:
    """For every row of ``A`` the most similar row of ``B`` that ranks before it; nothing for ``B``.

    As :func:`max_earlier_similarity_across`, except that a position may be in both. For a few new
    rows among many old ones: ``A`` the new ones, ``B`` all.
    """
    best: Best = BestProduct(A, above) if exact is None else BestRescored(*exact, above)
    return _best_earlier(A, rank_a, B, rank_b, best, block, panel)


def _best_earlier(
    A: Any, rank_a: IndexArray, B: Any, rank_b: IndexArray, best: Best, block: int, panel: int
) -> EarlierSimilarity:
    """For each row of ``A`` the most similar row of ``B`` among those that rank before it."""
    for start in range(0, len(A), block):
        rows = slice(start, min(start + block, len(A)))
        # Ranks ascend: B[:surely] ranks before all rows of the block, B[end:] before none.
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
    """Put what was found for ``rows`` (m different positions) into ``best``, in place.

    ``found``: m entries, each with a neighbor, a position in ``best`` as well. Of equal
    similarities the neighbor that ranks first wins: positions are in rank order.
    """
    before, neighbor = best.max_similarity[rows], best.neighbor[rows]
    better = found.max_similarity > before
    better |= (found.max_similarity == before) & (found.neighbor < neighbor)
    best.max_similarity[rows[better]] = found.max_similarity[better]
    best.neighbor[rows[better]] = found.neighbor[better]


def _mask(products: Any, keep: np.ndarray) -> None:
    if isinstance(products, np.ndarray):
        np.copyto(products, NEVER, where=~keep)
    else:
        xp = array_namespace(products)
        products[xp.asarray(~keep, device=device(products))] = NEVER
