"""Payloads become vectors, in a scalar Arrow UDF: the row's other columns never leave the JVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.encoders.batches import EncodedBatch, check_vectors, encode_payloads, spread
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.transforms.arrow import keep_zips_read, task_gpu, to_lists, to_matrix

READY_MADE = "none"
_RESULT = f"struct<{s.EMBEDDING}:array<float>,{s.REASON}:string,{s.MESSAGE}:string>"


def embed_rows(rows: DataFrame, spec: EncoderSpec, *, batch: int) -> DataFrame:
    """Add an embedding, or a reason, to each candidate row.

    ``rows``: id, payload, source, reason, message; rows with a reason have a null payload and keep
    it. Returns id, embedding, batch, source, reason, message; exactly one of embedding and reason
    is null in each row.
    """
    encoded = rows.withColumn("encoded", _udf(spec)(F.col(s.PAYLOAD)))
    return encoded.select(
        s.ID,
        F.col(f"encoded.{s.EMBEDDING}").alias(s.EMBEDDING),
        F.lit(batch).alias(s.BATCH),
        s.SOURCE,
        F.coalesce(F.col(s.REASON), F.col(f"encoded.{s.REASON}")).alias(s.REASON),
        F.coalesce(F.col(s.MESSAGE), F.col(f"encoded.{s.MESSAGE}")).alias(s.MESSAGE),
    )


def _udf(spec: EncoderSpec) -> Callable[[Column], Column]:
    def embed(columns: Iterator[pa.Array]) -> Iterator[pa.Array]:
        for column in columns:
            yield encode_column(column, spec)

    # Not deterministic, as far as the optimiser may know: it would otherwise run the model twice,
    # once to filter on the reason and once for the vector.
    if hasattr(F, "arrow_udf"):  # Spark 4.1
        embed.__annotations__ = {"columns": Iterator[pa.Array], "return": Iterator[pa.Array]}
        return F.arrow_udf(embed, _RESULT).asNondeterministic()  # type: ignore[no-any-return]
    return _pandas_udf(spec)


def _pandas_udf(spec: EncoderSpec) -> Callable[[Column], Column]:
    import pandas as pd

    def embed(columns: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        for column in columns:
            encoded = encode_column(pa.Array.from_pandas(column), spec)
            yield pd.DataFrame({f.name: encoded.field(f.name).to_pandas() for f in encoded.type})

    embed.__annotations__ = {"columns": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    return F.pandas_udf(embed, _RESULT).asNondeterministic()  # type: ignore


def encode_column(column: pa.Array, spec: EncoderSpec) -> pa.StructArray:
    """The UDF's body: a column of payloads to a column of struct<embedding, reason, message>."""
    keep_zips_read()
    present = np.asarray(column.is_valid())
    if spec.name == READY_MADE:
        encoded = _ready_made(column, present)
    else:
        encoder = load_encoder(replace(spec, device=task_device(spec.device)))
        encoded = encode_payloads(encoder, column.to_pylist())
    missing = ~present | np.array([reason is not None for reason in encoded.reasons], dtype=bool)
    return pa.StructArray.from_arrays(
        [
            to_lists(encoded.X, missing),
            pa.array(encoded.reasons, type=pa.string()),
            pa.array(encoded.messages, type=pa.string()),
        ],
        names=[s.EMBEDDING, s.REASON, s.MESSAGE],
    )


def _ready_made(column: pa.Array, present: np.ndarray) -> EncodedBatch:
    rows = np.flatnonzero(present).tolist()
    encoded = check_vectors(to_matrix(column.drop_null())) if rows else None
    return spread(encoded, rows, [None] * len(column), [None] * len(column))


def task_device(wanted: str) -> str:
    """The GPU that Spark assigned to this task, else what the configuration wants."""
    return wanted if wanted == "cpu" else task_gpu() or wanted
