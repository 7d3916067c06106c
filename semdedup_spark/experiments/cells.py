"""What a sweep tries: one selection with one seed is a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PRUNING = ("random/common", "random/diverse", "cossim/common", "cossim/diverse")
SUBSET = "subset"
SEMDEDUP = "semdedup"
METHODS = (
    *PRUNING,
    "cossim/stratified",
    "cossim/systematic",
    SEMDEDUP,
)


@dataclass(frozen=True, order=True)
class Cell:
    """``method``: ``rank_type/prune_type``, ``semdedup``, or ``subset``, a plain random subset of
    the same size; ``n_clusters``: 0 where there are none; ``ratio``: percent kept.
    """

    n_clusters: int
    seed: int
    ratio: float
    method: str


def sweep_cells(
    methods: Sequence[str],
    *,
    ratios: Sequence[float],
    clusters: Sequence[int],
    at_ratio: float,
    at_clusters: int,
    seeds: Sequence[int],
) -> list[Cell]:
    """Heo & Chen's ``run.sh``: all ``ratios`` at ``at_clusters``, all ``clusters`` at ``at_ratio``,
    for each method and seed; and beside each ratio, and at 100 %, a random subset.

    In an order in which cells with the same clusters follow each other.
    """
    pairs = {(at_clusters, ratio) for ratio in ratios}
    pairs |= {(k, at_ratio) for k in clusters}
    cells = {Cell(k, seed, r, method) for k, r in pairs for method in methods for seed in seeds}
    wanted = {ratio for _, ratio in pairs} | {100.0}
    cells |= {Cell(0, seed, ratio, SUBSET) for ratio in wanted for seed in seeds}
    return sorted(cells)
