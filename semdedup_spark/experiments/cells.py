"""The cells of a sweep. A cell is one selection with one seed."""

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
    """One selection with one seed.

    Attributes
    ----------
    n_clusters
        Number of clusters. 0 for methods without clusters.
    seed
        Random seed of the selection and of the training.
    ratio
        Percentage of the rows that is kept, from 1 to 100.
    method
        ``rank_type/prune_type``, ``semdedup``, or ``subset``. A subset is a random choice of rows,
        as many as the other methods keep.
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
    """List the cells of Heo & Chen's ``run.sh``.

    They are all ``ratios`` at ``at_clusters`` and all ``clusters`` at ``at_ratio``, for each method
    and seed. Each ratio, and 100 percent, also has a random subset for each seed.

    Parameters
    ----------
    methods
        Names of methods, as in :class:`Cell`.
    ratios
        Percentages to keep.
    clusters
        Numbers of clusters.
    at_ratio
        Percentage that is kept while the number of clusters varies.
    at_clusters
        Number of clusters while the percentage varies.
    seeds
        Random seeds.

    Returns
    -------
    list of Cell
        The cells, each once. Those with the same clusters follow each other.
    """
    pairs = {(at_clusters, ratio) for ratio in ratios}
    pairs |= {(k, at_ratio) for k in clusters}
    cells = {Cell(k, seed, r, method) for k, r in pairs for method in methods for seed in seeds}
    wanted = {ratio for _, ratio in pairs} | {100.0}
    cells |= {Cell(0, seed, ratio, SUBSET) for ratio in wanted for seed in seeds}
    return sorted(cells)
