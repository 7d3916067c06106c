"""The cells of study 5: what is to be trained, what came of it, and the tables of that."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from tables import Table

KEPT = (96, 80, 50, 20)


@dataclass(frozen=True)
class Cell:
    """One model to train: which, for how long, on what, with which seed."""

    model: str
    budget: str
    method: str
    kept: int
    seed: int


@dataclass(frozen=True)
class Result(Cell):
    """What came of it; ``once``: the perplexity on one text of each held-out source package."""

    tokens: int
    perplexity: float
    once: float
    seconds: float


def read_results(file: Path) -> dict[Cell, Result]:
    """Results of an earlier run by cell; none where there is no file."""
    if not file.exists():
        return {}
    kinds = {"kept": int, "seed": int, "tokens": int} | dict.fromkeys(
        ("perplexity", "once", "seconds"), float
    )
    with file.open(newline="", encoding="utf-8") as opened:
        rows = [
            Result(**{name: kinds.get(name, str)(value) for name, value in row.items()})  # type: ignore[arg-type]
            for row in csv.DictReader(opened)
        ]
    return {_cell_of(row): row for row in rows}


def _cell_of(result: Result) -> Cell:
    return Cell(*(getattr(result, each.name) for each in fields(Cell)))


def add_result(file: Path, result: Result) -> None:
    """Append one line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        if is_new:
            writer.writerow([each.name for each in fields(Result)])
        writer.writerow(astuple(result))


def summaries(results: Sequence[Result]) -> dict[str, Table]:
    """Mean and deviation over the seeds, by the names of their files."""
    what: dict[str, tuple[str, Callable[[Result], float]]] = {
        "summary": ("Perplexity a token on held-out source packages", lambda r: r.perplexity),
        "once": ("The same on one text of each held-out source package", lambda r: r.once),
        "tokens": ("Thousands of tokens to train on", lambda r: r.tokens / 1000),
    }
    found = {}
    for name, (title, value) in what.items():
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
        found[name] = table
    return found


def _spread(values: Sequence[float]) -> str | None:
    if not values:
        return None
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) if len(values) > 1 else 0.0:.2f}"
