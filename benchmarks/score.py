"""Seconds of the stage ``score``, side by side with what it should be compared with.

``python benchmarks/score.py --part bound --part published --n 400000 --k 632``
"""

from __future__ import annotations

import importlib
import math
import os
import shutil
from pathlib import Path

import click
from measuring import write_json
from options import Options
from vectors import CACHE, DATA

PARTS = ("bound", "published", "larger", "semhash", "ten_eps", "shapes")
_ROWS = {"bound": 400_000, "published": 400_000, "larger": 4_000_000, "semhash": 100_000}
_FOLDER = click.Path(path_type=Path, file_okay=False)


def default_clusters(n: int) -> int:
    """About the square root of n: assignment and comparison then cost about the same."""
    return max(1, math.isqrt(n))


@click.command()
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=("bound",))
@click.option("--n", type=int, help="rows; by default what README.md says for each part")
@click.option("--k", type=int, help="clusters; by default the square root of n")
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--eps", type=float, default=0.05, show_default=True)
@click.option("--memory-gib", type=float, default=4.0, show_default=True, help="of part larger")
@click.option("--seed", type=int, default=0, show_default=True, help="of the vectors")
@click.option(
    "--storage", type=click.Choice(["array", "binary"]), default="array", show_default=True
)
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--fresh", is_flag=True, help="first remove the tables of earlier runs")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write all numbers here")
def main(
    parts: tuple[str, ...],
    n: int | None,
    k: int | None,
    fresh: bool,
    json_path: Path | None,
    cache: Path,
    **others: object,
) -> None:
    """Measure the parts one after the other; each prints minimum and median of its repeats."""
    if fresh:
        shutil.rmtree(cache / "tables", ignore_errors=True)
    results = {}
    for part in parts:
        rows = n or _ROWS.get(part, 400_000)
        options = Options(n=rows, k=k or default_clusters(rows), cache=cache, **others)  # type: ignore[arg-type]
        results[part] = importlib.import_module(f"part_{part}").run(options)
        write_json(json_path, results)  # what is done stays, whatever a later part does


if __name__ == "__main__":
    main()
