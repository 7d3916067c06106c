"""Study 1: how much the result depends on the encoder (section 6.4 of the paper), at equal kept
fractions.

``python benchmarks/paper/robust_encoder.py``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from corpus import load_corpus
from models import specs, vectors_of
from scored import (
    FloatArray,
    IndexArray,
    Mask,
    all_pairs,
    eps_at,
    random_rank,
    removed_at,
    shared,
    shown,
    study_options,
)
from tables import Table

from semdedup_spark.kernels.statistics.random_pairs import background_of

KEPT = (95, 90, 80)
_RANDOM_ROWS = 1000
_EXAMPLES = 10
_GRID = np.geomspace(1e-3, 0.9, 40).round(5)


@dataclass(frozen=True)
class Scored:
    """The scores and the nearest earlier rows of n rows by one encoder."""

    X: FloatArray
    max_similarity: FloatArray
    neighbor: IndexArray


def scored_by_each(vectors: Mapping[str, FloatArray], rank: IndexArray) -> dict[str, Scored]:
    """Score the same rows in the same order by each encoder, all pairs compared."""
    found = {}
    for name, X in vectors.items():
        scores = all_pairs(X, rank)
        found[name] = Scored(X, scores.max_similarity, scores.neighbor)
    return found


def thresholds(encoders: Mapping[str, Scored]) -> Table:
    """What unrelated rows look like to each encoder, and the eps that keeps each fraction."""
    table = Table(
        "A threshold belongs to a model: cosines of random pairs, and the eps that keeps a share",
        ("encoder", "d", "mean", "p99.9", *(f"eps at {kept} %" for kept in KEPT)),
    )
    for name, scored in encoders.items():
        chosen = np.random.default_rng(0).permutation(len(scored.X))[:_RANDOM_ROWS]
        back = background_of(scored.X[chosen])
        mean, high = (back.mean, back.p999) if back else (None, None)
        of_kept = (eps_at(scored.max_similarity, kept) for kept in KEPT)
        table.add(name, scored.X.shape[1], mean, high, *of_kept)
    return table


def curve(encoders: Mapping[str, Scored]) -> Table:
    """The fraction that each encoder keeps at each eps, for the figure."""
    table = Table("What each eps keeps", ("eps", *encoders))
    for eps in _GRID:
        table.add(
            float(eps),
            *(float((scored.max_similarity <= 1 - eps).mean()) for scored in encoders.values()),
        )
    return table


def overlaps(removed: Mapping[str, Mask], kept: int, *, of_kept: bool) -> Table:
    """Share of the rows kept (or removed) by the encoder of the line that the one of the column
    keeps (or removes), too.
    """
    verb, chance = ("kept", kept / 100) if of_kept else ("removed", 1 - kept / 100)
    table = Table(
        f"Overlap I of what is {verb}, at {kept} % kept (by chance: {chance:.2f})",
        ("encoder", *removed),
    )
    sets = {name: ~mask if of_kept else mask for name, mask in removed.items()}
    for name, mask in sets.items():
        table.add(name, *(shared(mask, other) for other in sets.values()))
    return table


def agreement(by_kept: Mapping[int, Mapping[str, Mask]]) -> Table:
    """Of all rows that any encoder removes, how many all, most, or only one of them do."""
    table = Table(
        "Rows that at least one encoder removes",
        ("kept %", "rows", "by all", "by most", "by one alone"),
    )
    for kept, removed in by_kept.items():
        votes = np.sum(list(removed.values()), axis=0)
        n, any_ = len(removed), int((votes > 0).sum())
        table.add(
            kept,
            any_,
            float((votes == n).sum() / any_),
            float((votes * 2 > n).sum() / any_),
            float((votes == 1).sum() / any_),
        )
    return table


def only_one(
    removed: Mapping[str, Mask], encoders: Mapping[str, Scored], texts: Sequence[str]
) -> Table:
    """Rows that one encoder alone removes, the most similar first, and what it takes them for."""
    table = Table(
        "What one encoder alone removes",
        ("encoder", "cosine", "removed", "its nearest earlier row"),
    )
    votes = np.sum(list(removed.values()), axis=0)
    each = -(-_EXAMPLES // len(removed))
    for name, mask in removed.items():
        alone = np.flatnonzero(mask & (votes == 1))
        scored = encoders[name]
        for row in alone[np.argsort(-scored.max_similarity[alone], kind="stable")][:each]:
            near = texts[scored.neighbor[row]]
            table.add(name, float(scored.max_similarity[row]), shown(texts[row]), shown(near))
    return table


def study(vectors: Mapping[str, FloatArray], texts: Sequence[str]) -> dict[str, Table]:
    """All tables of the study, by the names of their files."""
    encoders = scored_by_each(vectors, random_rank(len(texts)))
    by_kept = {
        kept: {name: removed_at(s.max_similarity, kept) for name, s in encoders.items()}
        for kept in KEPT
    }
    tables = {"thresholds": thresholds(encoders), "curve": curve(encoders)}
    for kept, removed in by_kept.items():
        tables[f"kept_by_both_{kept}"] = overlaps(removed, kept, of_kept=True)
        tables[f"removed_by_both_{kept}"] = overlaps(removed, kept, of_kept=False)
    tables["agreement"] = agreement(by_kept)
    tables["only_one"] = only_one(by_kept[KEPT[1]], encoders, texts)
    return tables


@click.command(help=__doc__)
@study_options(rows=6000)
def main(rows: int, cache: Path, out: Path) -> None:
    corpus = load_corpus(rows, cache)
    vectors = {name: vectors_of(name, corpus.texts, cache) for name in specs(cache)}
    print(f"{corpus.name}: {len(corpus):,} texts.")
    for name, table in study(vectors, corpus.texts).items():
        if name != "curve":
            table.show()
        table.write(out / "robust_encoder" / f"{name}.csv")


if __name__ == "__main__":
    main()
