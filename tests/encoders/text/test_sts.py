"""Nearness means to minilm what it means to people, as far as its authors measured it."""

from __future__ import annotations

import pandas as pd

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads


def test_minilm_ranks_pairs_of_sentences_as_people_do(shared_data):
    """Every third of the 1,379 pairs: 0.824 when written; benchmarks/sts.py has all, 0.820."""
    pairs = pd.read_csv(
        shared_data / "stsb_en" / "stsb-en-test.csv", header=None, names=["a", "b", "score"]
    ).iloc[::3]
    encoder = load_encoder(EncoderSpec("minilm", device="cpu"))
    batch = encode_payloads(encoder, [*pairs["a"], *pairs["b"]])
    assert not any(batch.reasons)
    n = len(pairs)
    cosine = pd.Series((batch.X[:n] * batch.X[n:]).sum(axis=1), index=pairs.index)
    spearman = cosine.rank().corr(pairs["score"].rank())
    print(f"minilm on {n} pairs of STS-B: Spearman {spearman:.4f}")
    assert 0.80 < spearman < 0.84
