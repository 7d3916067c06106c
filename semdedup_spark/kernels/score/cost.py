"""Costs, before anyone pays them: of comparing rows; and the sample to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdedup_spark.kernels.cluster.sample_plan import BYTES_PER_CORE_SECOND
from semdedup_spark.kernels.score.unit_plan import UnitPlan

_PSEUDO_VISITS = 4.0
# A vector travels to another unit in the time of so many comparisons: 690 with 384 numbers, 730
# with 3,072 (benchmarks/recall.py).
_COMPARISONS_PER_COPY = 700
_MANY_PAIRS = 2e7


def expected_probes(
    seen: npt.ArrayLike, sizes: npt.ArrayLike, sample_rows: int
) -> npt.NDArray[np.float64]:
    """(k,) rows that will visit each cluster, from those of a sample.

    ``seen``: (k,) visits by the ``sample_rows`` rows of the sample; ``sizes``: (k,) rows of each
    cluster. Few visits say little of one cluster, so each is drawn towards what clusters of its
    size get on average.
    """
    visits, rows = np.asarray(seen, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    usual = visits.sum() * rows / max(rows.sum(), 1.0)
    drawn = usual * (visits + _PSEUDO_VISITS) / (usual + _PSEUDO_VISITS)
    return np.asarray(drawn * rows.sum() / max(sample_rows, 1))


def cheaper_all_with_all(sizes: npt.ArrayLike, probes: npt.ArrayLike, unit_rows: int) -> bool:
    """Whether comparing all pairs takes less than clusters with so many probes do: comparisons, and
    vectors that travel to more units than one.

    ``sizes``, ``probes``: (k,) rows of each cluster, and rows that visit it; ``unit_rows``: most
    rows of a unit. Of few rows only the comparisons count: neither takes long then.
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
    """``probes``: visits to other clusters; ``comparisons``: pairs of rows compared;
    ``copies``: vectors that travel to a unit; ``core_seconds``: of one core.
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
    """What assigning to ``n_clusters`` and comparing rows will cost. ``sizes``, ``probes``: as
    planned, (k,), or (1,) where all rows are compared with each other.
    """
    rows, visits = np.asarray(sizes, dtype=np.float64), np.asarray(probes, dtype=np.float64)
    comparisons = float((rows * rows / 2 + rows * visits).sum())
    copies = float((rows * (plan.slots + plan.probe_slots) + visits * plan.slots).sum())
    products = rows.sum() * n_clusters + comparisons
    seconds = 2 * dimension * products / flops_per_second
    moving = 4 * dimension * (copies + rows.sum()) / BYTES_PER_CORE_SECOND
    return ComparisonCost(float(visits.sum()), comparisons, copies, float(seconds + moving))
