"""Many small batches, night after night: seconds and files, with and without maintenance.

``python benchmarks/nights.py --nights 50``: goes on where an earlier call stopped, if it finds its
``--place``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from measuring import print_table, write_json
from sparkjobs import session

from semdedup_spark import open_job, parse_config, run_job
from semdedup_spark.config import JobConfig
from semdedup_spark.pipeline import Job, held_output
from semdedup_spark.pipeline.operations.maintain import maintain

HOW = """{rows:,} x 64 rows in the first night and {new} more in each later one, of which a fifth
are near copies; each night a whole job with its lease, as `semdedup run` does it, in one Spark
session, on two outputs in turn. `left-alone` is never maintained, `maintained` every tenth night,
after that night was timed. Files: data files of the newest version of each table; `on disk`: those
of all versions, and the logs. VACUUM keeps a week: no file of these nights is old enough."""

OUTPUTS = ("left-alone", "maintained")
EVERY, DIMENSION = 10, 64
TABLES = ("embeddings", "scores", "centroids", "deduplicated", "runs", "leases")


@click.command()
@click.option("--nights", type=int, default=50, show_default=True)
@click.option("--rows", type=int, default=20_000, show_default=True, help="of the first night")
@click.option("--new", type=int, default=200, show_default=True, help="rows of a later night")
@click.option("--cores", type=int, default=os.cpu_count() or 1, show_default=True)
@click.option("--seconds", type=float, default=float("inf"), help="Start no night after so long.")
@click.option(
    "--place", type=click.Path(path_type=Path), default=Path(tempfile.gettempdir(), "nights")
)
@click.option("--json", "json_path", type=click.Path(path_type=Path))
def main(
    nights: int,
    rows: int,
    new: int,
    cores: int,
    seconds: float,
    place: Path,
    json_path: Path | None,
) -> None:
    """Night after night, and print what each cost."""
    until = time.monotonic() + seconds
    notes = place / "nights.json"
    found: list[dict[str, Any]] = json.loads(notes.read_text()) if notes.exists() else []
    if not found:
        shutil.rmtree(place, ignore_errors=True)
    spark = session(cores)
    while len(found) < nights and time.monotonic() < until:
        night = len(found)
        _arrive(place / "source", night, rows if night == 0 else new)
        line: dict[str, Any] = {"night": night}
        # In turn, so that neither always goes first.
        for output in OUTPUTS[:: 1 if night % 2 else -1]:
            job = open_job(spark, _config(place, output), run_id=f"night-{night:03d}")
            line[output] = _night(job, place / output, tidy=output == OUTPUTS[1])
        found.append(line)
        notes.write_text(json.dumps(found))
        print(json.dumps(line), flush=True)
    print(HOW.format(rows=rows, new=new))
    for output in OUTPUTS:
        _show(output, found)
    write_json(json_path, {"rows": rows, "new": new, "nights": found})


def _arrive(source: Path, night: int, n: int) -> None:
    """New rows; given again for the same night, they are there once."""
    rng = np.random.default_rng(night)
    X = rng.standard_normal((n, DIMENSION)).astype(np.float32)
    copies = np.flatnonzero(rng.random(n) < 0.2)
    X[copies] = X[rng.integers(0, n, len(copies))]
    X[copies] += 0.05 * rng.standard_normal((len(copies), DIMENSION)).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(X.ravel(), DIMENSION).cast(pa.list_(pa.float32()))
    rows = pa.table({"doc": [f"{night:03d}-{i:06d}" for i in range(n)], "v": lists})
    if night == 0 or DeltaTable(source).version() < night:
        write_deltalake(source, rows, mode="append")


def _config(place: Path, output: str) -> JobConfig:
    source = {"kind": "vectors", "format": "delta", "path": str(place / "source"), "id": "doc"}
    return parse_config(
        {
            "output": str(place / output),
            "source": {**source, "content": "v"},
            "embed": {"encoder": "none"},
            "score": {"recall": "exact", "eps_max": 0.1, "rank_by": "random"},
            "select": {"eps": 0.05},
        }
    )


def _night(job: Job, output: Path, *, tidy: bool) -> dict[str, Any]:
    clock = time.perf_counter()
    with held_output(job):
        run_job(job)
    line: dict[str, Any] = {"seconds": round(time.perf_counter() - clock, 2)}
    line["files"] = {table: len(DeltaTable(output / table).file_uris()) for table in TABLES}
    line["on_disk"] = sum(1 for path in output.rglob("*") if path.suffix in (".parquet", ".json"))
    if tidy and int(job.run_id.removeprefix("night-")) % EVERY == EVERY - 1:
        clock = time.perf_counter()
        with held_output(job):
            maintain(job)
        line["maintain"] = round(time.perf_counter() - clock, 2)
    return line


def _show(output: str, found: list[dict[str, Any]]) -> None:
    """Every fifth night; seconds are the median of those since the last line."""
    rows, since = [], 0
    for night in (n for n in range(len(found)) if n in (0, len(found) - 1) or n % 5 == 4):
        lines = [line[output] for line in found[since : night + 1]]
        since = night + 1
        here = lines[-1]
        seconds = float(np.median([line["seconds"] for line in lines]))
        tidied = sum(line.get("maintain", 0.0) for line in lines) or None
        rows.append([f"{night}", seconds, tidied, *here["files"].values(), here["on_disk"]])
    header = ["night", "s (median)", "maintain, s", *TABLES, "on disk"]
    print_table(output, header, rows)


if __name__ == "__main__":
    main()
