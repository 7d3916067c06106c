"""Seconds of ``select`` where every row is a duplicate of the one before it: one chain of 10,000.

``python benchmarks/chain.py --rows 10000``
"""

from __future__ import annotations

import tempfile

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import print_table
from pyspark.sql import functions as F
from sparkjobs import session

from semdedup_spark import open_job, parse_config, run_job
from semdedup_spark import schema as s
from semdedup_spark.pipeline import run_select
from semdedup_spark.tables.catalog import read_table

_DIMENSION, _STEP, _EPS = 64, 0.2, 0.05


def chain(n: int) -> np.ndarray:
    """(n, d) float32: each row a small random step from the one before it."""
    random = np.random.default_rng(0)
    X = np.empty((n, _DIMENSION), dtype=np.float32)
    x = random.standard_normal(_DIMENSION)
    for row in X:
        x = x / np.linalg.norm(x)
        row[:] = x
        x = x + _STEP / _DIMENSION**0.5 * random.standard_normal(_DIMENSION)
    return X


@click.command(help=__doc__)
@click.option("--rows", default=10_000, show_default=True)
@click.option("--cores", default=2, show_default=True)
def main(rows: int, cores: int) -> None:
    """Score once; then select by each resolution, and say what is left of the chain."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        X = chain(rows)
        columns = {"step": pa.array(range(rows)), "v": pa.array(list(X), pa.list_(pa.float32()))}
        pq.write_table(pa.table(columns), f"{folder}/chain.parquet")
        source = {"kind": "vectors", "format": "parquet", "path": f"{folder}/chain.parquet"}
        tree = {
            "output": f"{folder}/out",
            "source": {**source, "id": "step", "content": "v"},
            "embed": {"encoder": "none"},
            "cluster": {"n_clusters": 1},
            "score": {"rank_by": "step"},
        }
        spark = session(cores)
        run_job(open_job(spark, parse_config(tree)))
        for resolution in ("paper", "cover", "components"):
            select = {"eps": _EPS, "resolution": resolution, "name": resolution}
            job = open_job(spark, parse_config({**tree, "select": select}))
            record = run_select(job)
            name = s.of_selection(s.DUPLICATES, resolution)
            largest = read_table(spark, job.root, name).groupBy(s.SURVIVOR_ID).count()
            most = largest.agg(F.max("count")).first()
            counts = (record.counts["kept"], record.counts["removed"], most[0] if most else 0)
            table.append([resolution, record.seconds, *counts])
    header = ["resolution", "seconds", "kept", "removed", "largest group"]
    print_table(f"select on a chain of {rows:,}, eps {_EPS}", header, table)


if __name__ == "__main__":
    main()
