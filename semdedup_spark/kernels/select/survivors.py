"""From each removed row to the kept row at the end of its chain of neighbors."""

from __future__ import annotations

import numpy as np

from semdedup_spark.kernels.vectors import IndexArray


def last_of_chain(next_row: IndexArray) -> IndexArray:
    """For each of n rows the last row reached by following ``next_row``.

    ``next_row``: (n,) int64, position of the next row of the chain, -1 where the chain ends.
    Chains must not have cycles (a neighbor always ranks earlier). Pointers are doubled each
    round, so a chain of length c takes log2(c) rounds.
    """
    reached = np.where(next_row >= 0, next_row, np.arange(len(next_row)))
    while True:
        further = reached[reached]
        if np.array_equal(further, reached):
            return reached
        reached = further
