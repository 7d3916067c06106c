"""Whether minilm's nearness is people's: Spearman on the test set of STS-B, through our encoder.

``python benchmarks/sts.py``
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import pandas as pd
from vectors import DATA

from semdedup_spark.encoders.batches import encode_payloads
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=DATA)
@click.option("--encoder", default="minilm", show_default=True)
@click.option("--model", help="Local directory; none: the encoder's own.")
@click.option("--pooling", type=click.Choice(["mean", "cls", "last"]))
@click.option("--precision", default="float32", show_default=True)
def main(data: Path, encoder: str, model: str | None, pooling: str | None, precision: str) -> None:
    """Print the identity, the pairs, Spearman's rank correlation, and seconds."""
    spec = EncoderSpec(encoder, model=model, pooling=pooling, precision=precision)
    path = data / "stsb_en" / "stsb-en-test.csv"
    pairs = pd.read_csv(path, header=None, names=["a", "b", "score"])
    loaded = load_encoder(spec)
    clock = time.perf_counter()
    X = encode_payloads(loaded, [*pairs["a"], *pairs["b"]]).X
    seconds = time.perf_counter() - clock
    cosine = pd.Series((X[: len(pairs)] * X[len(pairs) :]).sum(axis=1))
    spearman = cosine.rank().corr(pairs["score"].rank())
    click.echo(encoder_identity(spec))
    click.echo(f"{len(pairs):,} pairs, Spearman {spearman:.4f}, {seconds:.1f} s")


if __name__ == "__main__":
    main()
