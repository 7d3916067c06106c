"""Clustering: training, assignment, 50,000 clusters, and how time grows with rows.

``python benchmarks/cluster.py --part train --n 250000 --k 1000``
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from cluster_parts import assignment, growth, large, levels, real, training
from measuring import write_json
from options import Options
from vectors import CACHE, DATA

PARTS: dict[str, tuple[Callable[[Options], dict[str, Any]], int, int]] = {
    # what runs it, rows, clusters
    "train": (training, 250_000, 1000),
    "real": (real, 12_679, 112),
    "assign": (assignment, 1_000_000, 1000),
    "levels": (levels, 250_000, 4096),
    "large": (large, 1_000_000, 50_000),
    "growth": (growth, 100_000, 0),
}
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, default=("train",))
@click.option("--n", type=int, help="rows; by default what README.md says for each part")
@click.option("--k", type=int, help="clusters; the same")
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="of the vectors")
@click.option(
    "--storage", type=click.Choice(["array", "binary"]), default="array", show_default=True
)
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="write all numbers here")
def main(
    parts: tuple[str, ...], n: int | None, k: int | None, json_path: Path | None, **others: object
) -> None:
    """Measure the parts one after the other."""
    results = {}
    for part in parts:
        run, rows, clusters = PARTS[part]
        options = Options(n=n or rows, k=k or clusters, **others)  # type: ignore[arg-type]
        results[part] = run(options)
        write_json(json_path, results)


if __name__ == "__main__":
    main()
