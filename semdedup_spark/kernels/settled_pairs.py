"""Pairs of rows whose product of matrices may be above a threshold, with their cosines."""

from __future__ import annotations

import numpy as np

from semdedup_spark.kernels.vectors import FloatArray, IndexArray, paired_similarity

# Products that callers make at a time: 32 MB.
MOST_PRODUCTS = 8_000_000
# Products of matrices differ with their shape by less than this.
ROUNDING = 1e-4
# Pairs whose vectors are gathered at a time, to compute them exactly.
_MOST_PAIRS = 65_536


def settled_pairs(
    products: FloatArray, above: FloatArray, A: FloatArray, B: FloatArray
) -> tuple[IndexArray, IndexArray, FloatArray]:
    """Find the products above a threshold, and compute the cosines of these pairs exactly.

    Parameters
    ----------
    products
        (n, m) float32. ``A @ B.T``, in which pairs that are not wanted may be lower.
    above
        (n,) float32. Threshold of the products of each row of ``A``, exclusive.
    A
        (n, d) float32. Unit rows.
    B
        (m, d) float32. Unit rows.

    Returns
    -------
    tuple[IndexArray, IndexArray, FloatArray]
        Three arrays (p,): row of ``A``, row of ``B``, and their cosine, float32.
    """
    i, j = np.nonzero(products > above[:, None])
    similarity = np.empty(len(i), np.float32)
    for start in range(0, len(i), _MOST_PAIRS):
        part = slice(start, start + _MOST_PAIRS)
        similarity[part] = paired_similarity(A[i[part]], B[j[part]])
    return i, j, similarity
