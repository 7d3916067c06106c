"""Study 4: SemDeDup beside a random choice, exact duplicates, and NearDup (MinHash on word n-grams;
it kept 96.1 % of the paper's C4).

``python benchmarks/paper/baselines.py``
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from corpus import Corpus, load_corpus
from models import vectors_of
from neardup import max_jaccard
from scored import (
    FloatArray,
    IndexArray,
    Mask,
    all_pairs,
    random_rank,
    removed_at,
    shared,
    shown,
    study_options,
)
from tables import Table

# The threshold of the paper's baseline.
SAME = 0.8
_EXAMPLES = 5


@dataclass(frozen=True)
class Removal:
    """What a method removes, and for which earlier row; -1 where it has none in mind."""

    removed: Mask
    neighbor: IndexArray


def earlier_copy(texts: Sequence[str], rank: IndexArray) -> IndexArray:
    """(n,) the first row with the same text where it is another one, else -1."""
    first: dict[str, int] = {}
    found = np.full(len(texts), -1, dtype=np.int64)
    for row in np.argsort(rank).tolist():
        at = first.setdefault(texts[row], row)
        found[row] = at if at != row else -1
    return found


def methods(
    texts: Sequence[str], X: FloatArray
) -> tuple[dict[str, Removal], dict[str, float], dict[str, FloatArray]]:
    """Each method at its own threshold, and SemDeDup at the fractions that they keep; the seconds
    of the two that compare; and their scores.
    """
    rank = random_rank(len(texts))
    begun = time.perf_counter()
    similarity, near = max_jaccard(texts, rank)
    by_words = time.perf_counter()
    scores = all_pairs(X, rank)
    seconds = {"NearDup": by_words - begun, "SemDeDup": time.perf_counter() - by_words}
    copies = earlier_copy(texts, rank)
    nothing = np.full(len(texts), -1, dtype=np.int64)
    like_words = _kept_percent(similarity > SAME)
    found = {
        "exact duplicates": Removal(copies >= 0, copies),
        f"NearDup, Jaccard > {SAME}": Removal(similarity > SAME, near),
    }
    for kept in (like_words, 80.0, 50.0):
        chosen = removed_at(rank.astype(np.float32), kept)
        found[f"random, {kept:.1f} %"] = Removal(chosen, nothing)
        if kept != like_words:
            found[f"NearDup, {kept:.1f} %"] = Removal(removed_at(similarity, kept), near)
        of_vectors = removed_at(scores.max_similarity, kept)
        found[f"SemDeDup, {kept:.1f} %"] = Removal(of_vectors, scores.neighbor)
    return found, seconds, {"NearDup": similarity, "SemDeDup": scores.max_similarity}


def _kept_percent(removed: Mask) -> float:
    return float(100 * (1 - removed.mean()))


def overview(found: dict[str, Removal], corpus: Corpus) -> Table:
    """What each method keeps, and how much of what it removes has a twin of the same source."""
    table = Table(
        "What each method keeps; the share of exact copies that it removes; the share of what it "
        "removes whose twin has the same source package",
        ("method", "kept %", "removed", "exact copies", "same source"),
    )
    copies = found["exact duplicates"].removed
    groups = np.array(corpus.groups)
    for name, method in found.items():
        rows = np.flatnonzero(method.removed & (method.neighbor >= 0))
        same = float((groups[rows] == groups[method.neighbor[rows]]).mean()) if len(rows) else None
        kept = _kept_percent(method.removed)
        table.add(name, kept, int(method.removed.sum()), shared(copies, method.removed), same)
    return table


def differences(found: dict[str, Removal]) -> Table:
    """What SemDeDup and NearDup remove of the same number of rows."""
    table = Table(
        "SemDeDup and NearDup at the same kept fraction",
        ("kept", "removed by both", "by NearDup alone", "by SemDeDup alone"),
    )
    for name, method in found.items():
        if not name.startswith("SemDeDup"):
            continue
        percent = name.removeprefix("SemDeDup, ")
        words = found.get(f"NearDup, {percent}") or found[f"NearDup, Jaccard > {SAME}"]
        a, b = words.removed, method.removed
        table.add(percent, int((a & b).sum()), int((a & ~b).sum()), int((b & ~a).sum()))
    return table


def examples(
    found: dict[str, Removal], scores: dict[str, FloatArray], texts: Sequence[str]
) -> Table:
    """At 80 % kept: what one of the two removes and the other would keep for longest."""
    table = Table(
        "What one of the two removes at 80 % kept, and the other is least inclined to",
        ("method", "Jaccard", "cosine", "removed", "its nearest earlier row"),
    )
    pair = {name: found[f"{name}, 80.0 %"] for name in ("NearDup", "SemDeDup")}
    for name, other in (("NearDup", "SemDeDup"), ("SemDeDup", "NearDup")):
        rows = np.flatnonzero(pair[name].removed & ~pair[other].removed)
        for row in rows[np.argsort(scores[other][rows], kind="stable")][:_EXAMPLES]:
            both = (float(scores[each][row]) for each in ("NearDup", "SemDeDup"))
            near = texts[pair[name].neighbor[row]]
            table.add(name, *both, shown(texts[row], 50), shown(near, 50))
    return table


def study(corpus: Corpus, X: FloatArray) -> dict[str, Table]:
    """All tables of the study, by the names of their files."""
    found, seconds, scores = methods(corpus.texts, X)
    cost = Table("Seconds to compare, vectors and texts being there", ("method", "seconds"))
    for name, each in seconds.items():
        cost.add(name, each)
    return {
        "overview": overview(found, corpus),
        "differences": differences(found),
        "examples": examples(found, scores, corpus.texts),
        "seconds": cost,
    }


@click.command(help=__doc__)
@study_options(rows=20_000)
@click.option("--encoder", default="static", show_default=True)
def main(rows: int, cache: Path, out: Path, encoder: str) -> None:
    corpus = load_corpus(rows, cache)
    X = vectors_of(encoder, corpus.texts, cache)
    print(f"{corpus.name}: {len(corpus):,} texts by {encoder}; paper: NearDup keeps 96.1 % of C4")
    for name, table in study(corpus, X).items():
        table.show()
        table.write(out / "baselines" / f"{name}.csv")


if __name__ == "__main__":
    main()
