"""``semdedup tune`` on made-up scores: seconds, with a session that is up.

``python benchmarks/tune.py --rows 1000000``
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from measuring import Clock
from pyspark.sql import functions as F

from semdedup_spark import open_job, open_session, parse_config
from semdedup_spark.pipeline.queries.tune import run_tune


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(rows: int, repeats: int) -> None:
    """See the module."""
    spark = open_session()
    u = F.rand(seed=0)
    # One in ten is an exact copy; the others crowd towards 1, as real scores do.
    m = F.when(F.rand(seed=1) < 0.1, 1.0).otherwise(F.sqrt(u)).cast("float")
    scores = spark.range(rows).select(
        "id", m.alias("max_similarity"), (F.col("id") / 2).cast("long").alias("neighbor_id")
    )
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "out"
        scores.write.format("delta").save(str(output / "scores"))
        source = {"kind": "vectors", "format": "npy", "path": scratch}
        job = open_job(
            spark,
            parse_config({"output": str(output), "source": source, "embed": {"encoder": "none"}}),
        )
        for _ in range(repeats):
            with Clock(f"tune, {rows:,} scores"):
                tuning = run_tune(job)
    print(f"{tuning.copies:,} copies; kept {[round(t.kept, 4) for t in tuning.thresholds]}")


if __name__ == "__main__":
    main()
