"""How tables hold embeddings: as lists, which SQL reads, or packed, which Spark moves faster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.vectors import FloatArray, pack
from semdedup_spark.transforms.arrow import map_batches, to_lists, to_matrix

LISTS = "array<float>"
PACKED = "binary"
# By the words of the configuration, Spark's types.
STORAGE = {"array": LISTS, "binary": PACKED}


def storage_of(embeddings: DataFrame) -> str:
    """Tell how embeddings are stored.

    Parameters
    ----------
    embeddings
        Column embedding.

    Returns
    -------
    str
        Spark's type of the column, as DDL.
    """
    return embeddings.schema[s.EMBEDDING].dataType.simpleString()


def to_column(
    X: FloatArray, stored_as: str, missing: np.ndarray | None = None
) -> pa.ListArray | pa.BinaryArray:
    """Write a column of vectors.

    Parameters
    ----------
    X
        (n, d) float32. One vector a row.
    stored_as
        Spark's type of the column, one of ``STORAGE``.
    missing
        (n,) bool. Rows that become null, none by default.

    Returns
    -------
    pa.ListArray | pa.BinaryArray
        n vectors.
    """
    if stored_as == LISTS:
        return to_lists(X, missing)
    n, d = X.shape
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(4 * d)
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(pack(X))]
    return pa.Array.from_buffers(pa.binary(), n, buffers)


def in_storage(rows: DataFrame, stored_as: str) -> DataFrame:
    """Convert embeddings to another type.

    Parameters
    ----------
    rows
        Column embedding and others.
    stored_as
        Spark's type of the column, one of ``STORAGE``.

    Returns
    -------
    DataFrame
        The same rows with embeddings of this type.
    """
    if storage_of(rows) == stored_as:
        return rows
    at = rows.columns.index(s.EMBEDDING)

    def convert(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                column = to_column(to_matrix(batch.column(at)), stored_as)
                yield batch.set_column(at, s.EMBEDDING, column)

    types = {field.name: field.dataType.simpleString() for field in rows.schema}
    types[s.EMBEDDING] = stored_as
    schema = ", ".join(f"{s.quoted(name)} {kind}" for name, kind in types.items())
    return map_batches(rows, convert, schema)


def dimension_of_first(embeddings: DataFrame) -> int | None:
    """Tell how long vectors are, by the first row.

    Parameters
    ----------
    embeddings
        Column embedding.

    Returns
    -------
    int | None
        Numbers in a vector, ``None`` if there is no row.
    """
    column = F.col(s.EMBEDDING)
    packed = storage_of(embeddings) == PACKED
    length = F.octet_length(column) / 4 if packed else F.size(column)
    first = embeddings.select(length.cast("int")).first()
    return None if first is None else int(first[0])
