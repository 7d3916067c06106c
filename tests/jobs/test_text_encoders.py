"""Whole embedding stages with a user's own text model."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark import open_job, parse_config
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.text.hf_text import load_hf_text
from semdedup_spark.pipeline import run_embed
from tests.encoders.textmodels import TEXTS, make, text_of
from tests.jobs.jobfiles import table, write_jsonl


@pytest.mark.long
def test_another_model_in_the_same_place_is_never_mixed_with_the_first(spark, tmp_path):
    rows = [{"doc": i, "text": text} for i, text in enumerate([*TEXTS, text_of(40), " "])]
    write_jsonl(tmp_path / "in.jsonl", rows)
    config = parse_config(
        {
            "output": str(tmp_path / "out"),
            "source": {
                "kind": "text",
                "format": "jsonl",
                "path": str(tmp_path / "in.jsonl"),
                "id": "doc",
                "content": "text",
            },
            "embed": {
                "encoder": "hf-text",
                "model": str(tmp_path / "model"),
                "pooling": "last",
                "long_text": "reject",
                "max_length": 36,
            },
        }
    )

    def embed():
        record = run_embed(open_job(spark, config))
        stored = table(spark, tmp_path / "out", "embeddings").orderBy("id").collect()
        assert [row["id"] for row in stored] == list(range(len(TEXTS)))
        rejected = table(spark, tmp_path / "out", "quarantine").collect()
        reasons = {row["id"]: row["reason"] for row in rejected}
        assert reasons == {len(TEXTS): "over_long_text", len(TEXTS) + 1: "empty_text"}
        here = load_hf_text(EncoderSpec("hf-text", config.embed.model, pooling="last"))
        found = np.array([row["embedding"] for row in stored], dtype=np.float32)
        np.testing.assert_allclose(found, encode_payloads(here, TEXTS).X, atol=1e-6)
        return record

    make("opt", tmp_path / "model")
    first = embed()
    assert not first.reused
    assert "last-pooling" in first.inputs["encoder"]
    assert embed().reused
    make("opt", tmp_path / "model", seed=1)  # workers that hold the first one are still alive
    second = embed()
    assert not second.reused
    assert second.why == "its input encoder changed"
