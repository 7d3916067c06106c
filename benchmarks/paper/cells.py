"""The cells of studies 5 and 6: what is to be trained, what it is trained on, what came of it, and
the tables of that.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from scored import FloatArray, IndexArray, Mask, all_pairs, random_rank, removed_at
from tables import Table

from semdedup_spark.in_memory import cluster_vectors

KEPT = (96, 80, 50, 20)
BUDGETS = ("steps", "epochs")
# Which of two duplicates stays: the one farther from the centroid, as in the paper, or the nearer.
ORDERS = ("SemDeDup low", "SemDeDup high")
ALL = "all rows"
_READ = {"str": str, "int": int, "float": float}


@dataclass(frozen=True)
class Cell:
    """One model to train: which, for how long, on what, with which seed."""

    model: str
    budget: str
    method: str
    kept: int
    seed: int


# What came of a cell: the cell itself, and what was measured.
Result = TypeVar("Result", bound=Cell)
Score = Callable[[IndexArray], FloatArray]


def grid(
    model: str,
    seeds: int,
    percents: Sequence[int],
    methods: Mapping[str, Sequence[str]],
) -> Iterator[Cell]:
    """Everything to train, the first seed of all first; ``methods`` are those of each budget."""
    for seed in range(seeds):
        yield Cell(model, next(iter(methods)), ALL, 100, seed)
        for budget, some in methods.items():
            for kept in percents:
                yield from (Cell(model, budget, method, kept, seed) for method in some)


class Selector:
    """What each method keeps of n rows, by the rank order of each seed. ``others``: methods besides
    chance and SemDeDup, from the rank order to a score; the highest scores go first.
    """

    def __init__(self, X: FloatArray, others: Mapping[str, Score] | None = None) -> None:
        self._X, self._others = X, others or {}
        self._scores: dict[tuple[str, int], FloatArray] = {}

    def kept(self, cell: Cell) -> Mask:
        """(n,) the rows to train on."""
        if cell.method == ALL:
            return np.ones(len(self._X), dtype=bool)
        key = (cell.method, cell.seed)
        if key not in self._scores:
            self._scores[key] = self._score(*key)
        return ~removed_at(self._scores[key], cell.kept)

    def _score(self, method: str, seed: int) -> FloatArray:
        X, rank = self._X, random_rank(len(self._X), seed)
        if method in ORDERS:
            nearness = cluster_vectors(X, round(len(X) ** 0.5), seed=seed).similarity
            order = np.argsort(-nearness if method.endswith("high") else nearness, kind="stable")
            rank[order] = np.arange(len(X))
        if method.startswith("SemDeDup"):
            return all_pairs(X, rank).max_similarity
        if method in self._others:
            return self._others[method](rank)
        return rank.astype(np.float32)


def read_results(file: Path, kind: type[Result]) -> dict[Cell, Result]:
    """Results of an earlier run by cell; none where there is no file."""
    if not file.exists():
        return {}
    read = {each.name: _READ[str(each.type)] for each in fields(kind)}
    with file.open(newline="", encoding="utf-8") as opened:
        rows = [
            kind(**{name: read[name](value) for name, value in row.items()})
            for row in csv.DictReader(opened)
        ]
    return {cell_of(row): row for row in rows}


def cell_of(result: Cell) -> Cell:
    """The cell that was measured."""
    return Cell(*(getattr(result, each.name) for each in fields(Cell)))


def add_result(file: Path, result: Cell) -> None:
    """Append one line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        if is_new:
            writer.writerow([each.name for each in fields(result)])
        writer.writerow(astuple(result))


def trained(
    wanted: Sequence[Cell],
    file: Path,
    kind: type[Result],
    run: Callable[[Cell], Result],
    value: Callable[[Result], float],
) -> list[Result]:
    """Train what is missing in the file, with an estimate of what is left; return the results of
    all. ``value`` is what is told of each.
    """
    known = read_results(file, kind)
    missing = [cell for cell in wanted if cell not in known]
    begun = time.perf_counter()
    for number, cell in enumerate(missing, start=1):
        known[cell] = run(cell)
        add_result(file, known[cell])
        left = (len(missing) - number) * (time.perf_counter() - begun) / number / 60
        print(
            f"{number} of {len(missing)}: {cell} {value(known[cell]):.2f}, about {left:.0f} "
            "min left",
            flush=True,
        )
    return [known[cell] for cell in wanted]


def spread_table(title: str, results: Sequence[Result], value: Callable[[Result], float]) -> Table:
    """Mean and deviation over the seeds."""
    table = Table(
        f"{title}, mean ± deviation over the seeds",
        ("model", "budget", "method", *(f"{kept} % kept" for kept in (100, *KEPT))),
    )
    for line in dict.fromkeys((r.model, r.budget, r.method) for r in results):
        of_line = [r for r in results if (r.model, r.budget, r.method) == line]
        table.add(
            *line,
            *(_spread([value(r) for r in of_line if r.kept == k]) for k in (100, *KEPT)),
        )
    return table


def _spread(values: Sequence[float]) -> str | None:
    if not values:
        return None
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.2f}"
