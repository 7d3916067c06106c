"""Whether a text encoder's nearness is people's: Spearman on the test set of STS-B, through the
stage ``embed``.

``python benchmarks/sts.py``
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd
from pyspark.sql import functions as F
from sparkjobs import session
from vectors import DATA

from semdedup_spark import open_job, parse_config
from semdedup_spark import schema as s
from semdedup_spark.pipeline import run_embed
from semdedup_spark.tables.catalog import read_table


def sentences(pairs: pd.DataFrame) -> pd.DataFrame:
    """Both sentences of each pair as rows of their own: key, text."""
    sides = [
        pd.DataFrame({"key": side + pairs.index.astype(str), "text": pairs[side]}) for side in "ab"
    ]
    both: pd.DataFrame = pd.concat(sides, ignore_index=True)
    return both


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=DATA)
@click.option("--encoder", default="minilm", show_default=True)
@click.option("--model", help="Local directory; none: the encoder's own.")
@click.option("--pooling", type=click.Choice(["mean", "cls", "last"]))
@click.option("--precision", default="float32", show_default=True)
@click.option("--cores", type=int, default=2, show_default=True)
def main(data: Path, cores: int, **embed: str | None) -> None:
    """Print the identity, the counts of the stage, the pairs and Spearman's rank correlation."""
    path = data / "stsb_en" / "stsb-en-test.csv"
    pairs = pd.read_csv(path, header=None, names=["a", "b", "score"])
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/sentences.parquet"
        sentences(pairs).to_parquet(source)
        tree = {
            "output": f"{folder}/out",
            "source": {
                "kind": "text",
                "format": "parquet",
                "path": source,
                "id": "key",
                "content": "text",
            },
            "embed": {name: value for name, value in embed.items() if value is not None},
        }
        job = open_job(session(cores), parse_config(tree))
        record = run_embed(job)
        rows = read_table(job.spark, job.root, s.EMBEDDINGS)
        of_pair = (
            rows.select(F.col(s.ID), F.col(s.EMBEDDING)).toPandas().set_index(s.ID)[s.EMBEDDING]
        )
    cosine = [float(np.dot(of_pair[f"a{i}"], of_pair[f"b{i}"])) for i in pairs.index]
    spearman = pd.Series(cosine).rank().corr(pairs["score"].rank())
    click.echo(record.inputs["encoder"])
    click.echo(f"embed: {record.counts} in {record.seconds:.1f} s")
    click.echo(f"{len(pairs):,} pairs, Spearman {spearman:.4f}")


if __name__ == "__main__":
    main()
