"""Study 2: how much the result depends on the number of clusters (table A1 of the paper: kept sets
of 72 % share 97 % of their rows for k = 10,000 to 70,000).

``python benchmarks/paper/robust_k.py``
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import click
from corpus import load_corpus
from models import vectors_of
from scored import FloatArray, Mask, eps_at, random_rank, removed_at, shared, study_options
from tables import Table

from semdedup_spark.in_memory import cluster_vectors, score_vectors
from semdedup_spark.in_memory.prune import max_similarity_in_clusters

KEPT = (90, 72, 50)
# Beyond the eps of the smallest kept set, or `exact` could not answer for it.
_BEYOND = 1.02


def numbers_of_clusters(n: int) -> tuple[int, ...]:
    """Four numbers, a factor of 7 apart as in the paper, about the square root of n rows."""
    middle = max(4, round(n**0.5))
    return tuple(max(2, round(middle * factor)) for factor in (0.38, 0.75, 1.5, 2.66))


def scores_of(X: FloatArray, way: str, k: int, eps_max: float) -> FloatArray:
    """The scores of one way: ``published`` is the paper's (within clusters, the row farthest from
    the centroid first); ``cluster`` and ``exact`` rank at random.
    """
    if way == "published":
        return max_similarity_in_clusters(X, cluster_vectors(X, k))
    recall = "exact" if way == "exact" else "cluster"
    rank = random_rank(len(X))
    found = score_vectors(X, rank=rank, recall=recall, n_clusters=k, eps_max=eps_max)  # type: ignore[arg-type]
    return found.max_similarity


def study(X: FloatArray, ks: Sequence[int], percents: Sequence[int] = KEPT) -> dict[str, Table]:
    """Overlap of kept and of removed rows between numbers of clusters, the mean over all pairs."""
    whole = score_vectors(
        X, rank=random_rank(len(X)), recall="cluster", n_clusters=1, eps_max=0.999
    )
    eps_max = min(0.999, _BEYOND * eps_at(whole.max_similarity, min(percents)))
    table = Table(
        f"Overlap between k = {', '.join(f'{k:,}' for k in ks)} (least and mean over pairs of k)",
        ("way", "kept %", "I kept, mean", "I kept, least", "by chance", "I removed, mean"),
    )
    for way in ("published", "cluster", "exact"):
        scores = [scores_of(X, way, k, eps_max) for k in ks]
        for percent in percents:
            removed = [removed_at(of_k, percent) for of_k in scores]
            kept = _shared([~mask for mask in removed])
            gone = _shared(removed)
            mean = sum(kept) / len(kept)
            table.add(way, percent, mean, min(kept), percent / 100, sum(gone) / len(gone))
    return {"overlap": table}


def _shared(masks: Sequence[Mask]) -> list[float]:
    return [shared(a, b) for a, b in permutations(masks, 2)]


@click.command(help=__doc__)
@study_options(rows=20_000)
@click.option("--encoder", default="static", show_default=True)
def main(rows: int, cache: Path, out: Path, encoder: str) -> None:
    corpus = load_corpus(rows, cache)
    X = vectors_of(encoder, corpus.texts, cache)
    print(f"{corpus.name}: {len(corpus):,} texts by {encoder}; paper: I = 0.97 at 72 % kept")
    for name, table in study(X, numbers_of_clusters(len(X))).items():
        table.show()
        table.write(out / "robust_k" / f"{name}.csv")


if __name__ == "__main__":
    main()
