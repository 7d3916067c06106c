"""Study 3: what share of the duplicates each way finds (eta, table A2 of the paper: 94.6 % at 63 %
kept, 89.0 % at 40 %).

``python benchmarks/paper/efficiency.py``

The paper divides by what its widest search found. Here every pair is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from corpus import load_corpus
from models import vectors_of
from scored import FloatArray, Mask, all_pairs, eps_at, random_rank, study_options
from tables import Table

from semdedup_spark.in_memory import cluster_vectors, score_vectors
from semdedup_spark.kernels.cluster.lloyd import LabelArray
from semdedup_spark.kernels.score.borders import Prober
from semdedup_spark.kernels.score.routes import Visits
from semdedup_spark.kernels.vectors import IndexArray

KEPT = (95, 80, 63, 40)
PROBES = (1, 2, 4)
_BLOCK = 1024


@dataclass(frozen=True)
class Near:
    """All pairs above a threshold: the row that ranks later, the one before it."""

    later: IndexArray
    earlier: IndexArray


def near_pairs(X: FloatArray, rank: npt.NDArray[np.int64], eps: float) -> Near:
    """Every pair of unit rows with a cosine above ``1 - eps``, by n * n / 2 products."""
    order = np.argsort(rank)
    sorted_rows = X[order]
    later, earlier = [], []
    for start in range(0, len(X), _BLOCK):
        products = sorted_rows[start : start + _BLOCK] @ sorted_rows[: start + _BLOCK].T
        j, i = np.nonzero(products > 1 - eps)
        before = i < j + start
        later.append(order[j[before] + start])
        earlier.append(order[i[before]])
    return Near(np.concatenate(later), np.concatenate(earlier))


def found_by_probes(near: Near, labels: LabelArray, visits: Visits, n: int) -> Mask:
    """(n,) rows with a near earlier row that they meet: in their own cluster, or in one that either
    of the two visits.
    """
    k = int(max(labels.max(initial=0), visits.cluster.max(initial=0))) + 1
    met = np.zeros((n, k), dtype=bool) if n * k <= 1 << 30 else None
    if met is None:
        raise ValueError(f"n rows times k clusters must be at most {1 << 30}. Got {n} and {k}.")
    met[np.arange(n), labels] = True
    met[visits.row, visits.cluster] = True
    meets = met[near.later, labels[near.earlier]] | met[near.earlier, labels[near.later]]
    removed = np.zeros(n, dtype=bool)
    removed[near.later[meets]] = True
    return removed


def study(X: FloatArray, k: int, percents: Sequence[int] = KEPT) -> dict[str, Table]:
    """Eta of each way at the eps that keeps each fraction when all pairs are compared."""
    rank = random_rank(len(X))
    truth = all_pairs(X, rank).max_similarity.astype(np.float64)
    table = Table(
        f"eta: share of the removable rows that are found, k = {k:,}",
        ("way", *(f"{percent} % kept" for percent in percents)),
    )
    table.add("eps", *(eps_at(truth.astype(np.float32), percent) for percent in percents))
    ways: dict[str, list[float]] = {}
    clusters = cluster_vectors(X, k)
    for percent in percents:
        eps = eps_at(truth.astype(np.float32), percent)
        expected = truth > 1 - eps
        near = near_pairs(X, rank, eps)
        for probes in (0, *PROBES):
            name = f"probes: {probes}" if probes else "cluster"
            prober = Prober(clusters.centroids, eps_max=eps, budget=probes)
            borders = prober(X)
            found = found_by_probes(near, borders.assignment.labels, borders.visits, len(X))
            ways.setdefault(name, []).append(float((found & expected).sum() / expected.sum()))
        exact = score_vectors(X, rank=rank, recall="exact", n_clusters=k, eps_max=min(eps, 0.999))
        gone = exact.max_similarity.astype(np.float64) > 1 - eps
        ways.setdefault("exact", []).append(float((gone & expected).sum() / expected.sum()))
    for name, etas in ways.items():
        table.add(name, *etas)
    return {"eta": table}


@click.command(help=__doc__)
@study_options(rows=20_000)
@click.option("--encoder", default="static", show_default=True)
@click.option("--k", type=int, help="Clusters; none: the square root of the rows.")
def main(rows: int, cache: Path, out: Path, encoder: str, k: int | None) -> None:
    corpus = load_corpus(rows, cache)
    X = vectors_of(encoder, corpus.texts, cache)
    print(f"{corpus.name}: {len(corpus):,} texts by {encoder}; paper: 0.946 at 63 %, 0.890 at 40 %")
    for name, table in study(X, k or round(len(X) ** 0.5)).items():
        table.show()
        table.write(out / "efficiency" / f"{name}.csv")


if __name__ == "__main__":
    main()
