"""Payloads become vectors, in a scalar Arrow UDF: the row's other columns never leave the JVM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.stream.encoded_batch import EncodedBatch, check_vectors, spread
from semdedup_spark.encoders.stream.stream import PieceSize, encode_pieces
from semdedup_spark.kernels.vectors import IndexArray
from semdedup_spark.transforms.arrow import to_numbers
from semdedup_spark.transforms.embed.vector_storage import LISTS, to_column
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings, worker_encoder
from semdedup_spark.transforms.worker import begin_task

READY_MADE = "none"
REPEATED = "repeated"
_WITH_LENGTH = (
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_large_string,
    pa.types.is_large_binary,
)
_RESULT = f"struct<{s.EMBEDDING}:%s,{s.REASON}:string,{s.MESSAGE}:string,{REPEATED}:boolean>"


def embed_rows(
    rows: DataFrame,
    spec: EncoderSpec,
    settings: WorkerSettings,
    *,
    batch: int,
    stored_as: str = LISTS,
    carried: Sequence[str] = (),
) -> DataFrame:
    """Embed each candidate row that has a payload.

    Parameters
    ----------
    rows
        Columns id, payload, content_hash, reason and message, perhaps batch. Rows with a reason
        have a null payload, and keep their reason.
    spec
        The encoder.
    settings
        Limits of the worker.
    batch
        Batch number of the rows, if they bring none.
    stored_as
        Spark's type of the embedding, one of ``STORAGE``.
    carried
        More columns of ``rows`` to keep.

    Returns
    -------
    DataFrame
        Columns id, embedding, content_hash, batch, reason, message, repeated and ``carried``. In
        each row exactly one of embedding and reason is null. The message of an embedding is a note,
        usually null. ``repeated`` says whether the vector was copied from an equal payload earlier
        in the same task.
    """
    encoded = rows.withColumn("encoded", _udf(spec, settings, stored_as)(F.col(s.PAYLOAD)))
    return encoded.select(
        s.ID,
        F.col(f"encoded.{s.EMBEDDING}").alias(s.EMBEDDING),
        s.CONTENT_HASH,
        (F.col(s.BATCH) if s.BATCH in rows.columns else F.lit(batch)).alias(s.BATCH),
        F.coalesce(F.col(s.REASON), F.col(f"encoded.{s.REASON}")).alias(s.REASON),
        F.coalesce(F.col(s.MESSAGE), F.col(f"encoded.{s.MESSAGE}")).alias(s.MESSAGE),
        F.col(f"encoded.{REPEATED}").alias(REPEATED),
        *carried,
    )


def good_rows(embedded: DataFrame) -> DataFrame:
    """Keep the rows that the encoder took, as the table ``embeddings`` holds them.

    Parameters
    ----------
    embedded
        What :func:`embed_rows` returned.

    Returns
    -------
    DataFrame
        The rows without a reason.
    """
    good = embedded.filter(F.col(s.REASON).isNull()).drop(s.REASON, REPEATED)
    return good.withColumnRenamed(s.MESSAGE, s.NOTE)


def _udf(spec: EncoderSpec, settings: WorkerSettings, stored_as: str) -> Callable[[Column], Column]:
    def embed(columns: Iterator[pa.Array]) -> Iterator[pa.Array]:
        yield from encode_columns(columns, spec, settings, stored_as)

    # Not deterministic, as far as the optimiser may know: it would otherwise run the model twice,
    # once to filter on the reason and once for the vector.
    if hasattr(F, "arrow_udf"):  # Spark 4.1
        embed.__annotations__ = {"columns": Iterator[pa.Array], "return": Iterator[pa.Array]}
        return F.arrow_udf(embed, _RESULT % stored_as).asNondeterministic()  # type: ignore[no-any-return]
    return _pandas_udf(spec, settings, stored_as)


def _pandas_udf(
    spec: EncoderSpec, settings: WorkerSettings, stored_as: str
) -> Callable[[Column], Column]:
    import pandas as pd

    def embed(columns: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
        arrays = (as_arrow(column) for column in columns)
        for encoded in encode_columns(arrays, spec, settings, stored_as):
            yield pd.DataFrame({f.name: encoded.field(f.name).to_pandas() for f in encoded.type})

    embed.__annotations__ = {"columns": Iterator[pd.Series], "return": Iterator[pd.DataFrame]}
    return F.pandas_udf(embed, _RESULT % stored_as).asNondeterministic()  # type: ignore


def as_arrow(column: Any) -> pa.Array:
    """Convert what a pandas UDF is given.

    Parameters
    ----------
    column
        A Series, or a DataFrame for a struct.

    Returns
    -------
    pa.Array
        The same values.
    """
    names = getattr(column, "columns", None)
    if names is None:
        return pa.Array.from_pandas(column)
    fields = [pa.Array.from_pandas(column[name]) for name in names]
    absent = pa.array(column.isna().all(axis=1).to_numpy())  # a null struct has null fields
    return pa.StructArray.from_arrays(fields, names=list(names), mask=absent)


def encode_columns(
    columns: Iterable[pa.Array],
    spec: EncoderSpec,
    settings: WorkerSettings,
    stored_as: str = LISTS,
) -> Iterator[pa.StructArray]:
    """The UDF's body: encode columns of payloads.

    Parameters
    ----------
    columns
        Payloads.
    spec
        The encoder.
    settings
        Limits of the worker.
    stored_as
        Spark's type of the embedding, one of ``STORAGE``.

    Yields
    ------
    pa.StructArray
        Fields embedding, reason, message and repeated: the same rows in the same order. The arrays
        have lengths of their own.
    """
    begin_task()
    if spec.name == READY_MADE:
        for column in columns:
            yield _to_struct(_ready_made(column, spec.vector_dtype), stored_as)
        return
    encoder, stream = worker_encoder(spec, settings)
    for piece in encode_pieces(encoder, lambda size: _pieces(columns, size), stream):
        yield _to_struct(piece, stored_as)


def _pieces(columns: Iterable[pa.Array], size: PieceSize) -> Iterator[list[object]]:
    """Python objects a piece at a time: a batch of large images is never there twice."""
    for column in columns:
        ends = np.cumsum(payload_bytes(column))
        start = 0
        while start < max(len(column), 1):  # an empty column has one empty piece
            before = ends[start - 1] if start else 0
            fitting = int(np.searchsorted(ends, before + size.most_bytes, side="right"))
            stop = max(start + 1, min(fitting, start + size.rows))
            yield column.slice(start, stop - start).to_pylist()
            start = stop


def payload_bytes(column: pa.Array) -> IndexArray:
    """Measure payloads.

    Parameters
    ----------
    column
        n payloads.

    Returns
    -------
    IndexArray
        (n,) int64. Bytes of each text, binary value or struct of these; 0 for other types.
    """
    kind = column.type
    total = np.zeros(len(column), dtype=np.int64)
    if pa.types.is_struct(kind):
        for field in range(kind.num_fields):
            total += payload_bytes(column.field(field))
    elif any(is_kind(kind) for is_kind in _WITH_LENGTH):
        total += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return total


def _to_struct(encoded: EncodedBatch, stored_as: str) -> pa.StructArray:
    missing = np.logical_not(encoded.X.any(axis=1))  # unit vectors, and zeros where there is none
    return pa.StructArray.from_arrays(
        [
            to_column(encoded.X, stored_as, missing),
            pa.array(encoded.reasons, type=pa.string()),
            pa.array(encoded.messages, type=pa.string()),
            pa.array(encoded.repeated or [False] * len(encoded.reasons), type=pa.bool_()),
        ],
        names=[s.EMBEDDING, s.REASON, s.MESSAGE, REPEATED],
    )


def _ready_made(column: pa.Array, dtype: str) -> EncodedBatch:
    rows = np.flatnonzero(column.is_valid()).tolist()
    encoded = check_vectors(to_numbers(column.drop_null(), dtype)) if rows else None
    return spread(encoded, rows, [None] * len(column), [None] * len(column))
