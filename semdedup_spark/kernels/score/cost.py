"""Estimates the cost of comparing rows before any row is compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.sample_plan import BYTES_PER_CORE_SECOND
from semdedup_spark.kernels.score.unit_plan import UnitPlan

# Weight of the average of clusters of a size, against the visits counted in one cluster.
_PSEUDO_VISITS = 4.0
# Comparisons in the time that a vector takes to travel to another unit. Measured: 690 for vectors
# of 384 numbers, 730 for 3,072 (benchmarks/recall.py).
_COMPARISONS_PER_COPY = 700
# With fewer pairs the time that vectors travel does not matter.
_MANY_PAIRS = 2e7


def expected_probes(
    seen: npt.ArrayLike, sizes: npt.ArrayLike, sample_rows: int
) -> npt.NDArray[np.float64]:
    """Estimate from a sample how many rows will visit each cluster.

    A few visits say little about one cluster, so each count is drawn towards the average of
    clusters of the same size.

    Parameters
    ----------
    seen
        (k,) numbers. Visits that the rows of the sample made to each cluster.
    sizes
        (k,) numbers. Rows of each cluster.
    sample_rows
        Number of rows of the sample.

    Returns
    -------
    ndarray
        (k,) float64. Rows expected to visit each cluster.
    """
    visits, rows = np.asarray(seen, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    usual = visits.sum() * rows / max(rows.sum(), 1.0)
    drawn = usual * (visits + _PSEUDO_VISITS) / (usual + _PSEUDO_VISITS)
    return np.asarray(drawn * rows.sum() / max(sample_rows, 1))


def cheaper_all_with_all(sizes: npt.ArrayLike, probes: npt.ArrayLike, unit_rows: int) -> bool:
    """Decide whether comparing all pairs of rows is cheaper than clusters with probes.

    The cost consists of comparisons, and of vectors that travel to more than one unit. With few
    rows only the comparisons count, because neither way takes long then.

    Parameters
    ----------
    sizes
        (k,) numbers. Rows of each cluster.
    probes
        (k,) numbers. Rows that visit each cluster.
    unit_rows
        Most rows of a unit.

    Returns
    -------
    bool
        True where comparing all pairs costs no more.
    """
    rows, visits = np.asarray(sizes, dtype=np.float64), np.asarray(probes, dtype=np.float64)
    n = rows.sum()
    pairs, apart = n * n / 2, (rows * (rows / 2 + visits)).sum()
    if pairs >= _MANY_PAIRS:
        pairs += _COMPARISONS_PER_COPY * n * max(2 * n / unit_rows - 1, 0.0)
        apart += _COMPARISONS_PER_COPY * visits.sum()
    return bool(apart >= pairs)


@dataclass(frozen=True)
class ComparisonCost:
    """Estimated cost of comparing rows.

    Attributes
    ----------
    probes
        Visits of rows to other clusters.
    comparisons
        Pairs of rows compared.
    copies
        Vectors that travel to a unit.
    core_seconds
        Seconds of one core.
    """

    probes: float
    comparisons: float
    copies: float
    core_seconds: float


def comparison_cost(
    sizes: npt.ArrayLike,
    probes: npt.ArrayLike,
    plan: UnitPlan,
    *,
    n_clusters: int,
    dimension: int,
    flops_per_second: float,
) -> ComparisonCost:
    """Estimate the cost of assigning rows to clusters and comparing them.

    Parameters
    ----------
    sizes
        (k,) numbers. Rows of each planned cluster; (1,) where all rows are compared with each
        other.
    probes
        Visits to each of these; same shape as ``sizes``.
    plan
        The work units.
    n_clusters
        Number of centroids that each row is compared with.
    dimension
        Numbers per row.
    flops_per_second
        Rate of one core in matrix products.

    Returns
    -------
    ComparisonCost
        The estimate.
    """
    rows, visits = np.asarray(sizes, dtype=np.float64), np.asarray(probes, dtype=np.float64)
    comparisons = float((rows * rows / 2 + rows * visits).sum())
    copies = float((rows * (plan.slots + plan.probe_slots) + visits * plan.slots).sum())
    products = rows.sum() * n_clusters + comparisons
    seconds = 2 * dimension * products / flops_per_second
    moving = 4 * dimension * (copies + rows.sum()) / BYTES_PER_CORE_SECOND
    return ComparisonCost(float(visits.sum()), comparisons, copies, float(seconds + moving))
