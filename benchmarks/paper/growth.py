"""Study 7: duplicates grow with the corpus (arXiv 2603.06603).

``python benchmarks/paper/growth.py``

In a random order the score of the r-th row is its nearest neighbor among r - 1 random rows. So one
GROUP BY over the scores of one run tells what share of a smaller corpus would be removed, at every
size. It is compared with what comparing all pairs of smaller corpora finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from corpus import load_corpus
from models import vectors_of
from scored import FloatArray, all_pairs, eps_at, random_rank, study_options
from tables import Table

KEPT = (95, 90, 80)
# Shares of the corpus that are compared by themselves.
SIZES = (0.05, 0.1, 0.25, 0.5)
_SEEDS = 3
_STEPS = 8


def removed_by_size(
    max_similarity: FloatArray, rank: np.ndarray, eps: float, sizes: Sequence[int]
) -> list[float]:
    """Share that is removed of the first rows in the order, for each number of rows: the GROUP BY.

    ``max_similarity`` and ``rank``: (n,), of one run over all rows in a random order.
    """
    is_removed = np.zeros(len(rank), dtype=bool)
    is_removed[rank] = max_similarity.astype(np.float64) > 1 - eps
    so_far = np.cumsum(is_removed)
    return [float(so_far[size - 1] / size) for size in sizes]


def scores_alone(X: FloatArray, size: int) -> list[FloatArray]:
    """The scores of random rows that are compared by themselves, for each seed."""
    samples = (np.random.default_rng(seed).permutation(len(X)) for seed in range(1, _SEEDS + 1))
    chosen = (sample[:size] for sample in samples)
    return [all_pairs(X[rows], np.arange(size)).max_similarity for rows in chosen]


def removed(scores: FloatArray, eps: float) -> float:
    """Share of the rows that an eps removes."""
    return float((scores.astype(np.float64) > 1 - eps).mean())


def study(X: FloatArray) -> dict[str, Table]:
    """All tables of the study, by the names of their files."""
    n = len(X)
    rank = random_rank(n)
    scores = all_pairs(X, rank).max_similarity
    eps_of = {kept: eps_at(scores, kept) for kept in KEPT}
    sizes = [max(2, round(n / 2**step)) for step in range(_STEPS, -1, -1)]
    curve = Table(
        "Share removed at each size, from one run",
        ("rows", *(f"eps {eps:.4f}" for eps in eps_of.values())),
    )
    curves = [removed_by_size(scores, rank, eps, sizes) for eps in eps_of.values()]
    for row in zip(sizes, *curves, strict=True):
        curve.add(*row)
    check = Table(
        f"Beside comparing all pairs of {_SEEDS} smaller corpora",
        ("rows", "eps", "from one run", "by itself, mean", "difference, points"),
    )
    sample = Table(
        "What a sample of the rows says of a threshold",
        ("eps", "removed of all", *(f"of {share:.0%}" for share in SIZES)),
    )
    alone = {size: scores_alone(X, size) for size in (round(n * share) for share in SIZES)}
    for eps in eps_of.values():
        means = [sum(removed(each, eps) for each in of) / _SEEDS for of in alone.values()]
        told = removed_by_size(scores, rank, eps, list(alone))
        for size, from_one, mean in zip(alone, told, means, strict=True):
            check.add(size, eps, from_one, mean, 100 * (from_one - mean))
        sample.add(eps, removed(scores, eps), *means)
    return {"curve": curve, "brute_force": check, "sample": sample}


@click.command(help=__doc__)
@study_options(rows=20_000)
@click.option("--encoder", default="static", show_default=True)
def main(rows: int, cache: Path, out: Path, encoder: str) -> None:
    corpus = load_corpus(rows, cache)
    X = vectors_of(encoder, corpus.texts, cache)
    print(f"{corpus.name}: {len(corpus):,} texts by {encoder}")
    for name, table in study(X).items():
        table.show()
        table.write(out / "growth" / f"{name}.csv")


if __name__ == "__main__":
    main()
