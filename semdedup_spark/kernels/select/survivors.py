"""Follows the chain of neighbors from each removed row to the kept row at its end."""

from __future__ import annotations

import numpy as np

from semdedup_spark.kernels.vectors import IndexArray


def last_of_chain(next_row: IndexArray) -> IndexArray:
    """Find for each of n rows the last row of its chain.

    Each round doubles the pointers, so a chain of length c takes log2(c) rounds. Chains must not
    have cycles; they have none, because a neighbor always ranks earlier.

    Parameters
    ----------
    next_row
        (n,) int64. Position of the next row of the chain, -1 where the chain ends.

    Returns
    -------
    ndarray
        (n,) int64. Position of the last row reached by following ``next_row``.
    """
    reached = np.where(next_row >= 0, next_row, np.arange(len(next_row)))
    while True:
        further = reached[reached]
        if np.array_equal(further, reached):
            return reached
        reached = further
