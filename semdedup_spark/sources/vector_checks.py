"""Check on a bounded sample, before any work, whether vectors can be embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.kernels.binary_vectors import look_at, look_at_bytes, may_be, other_types
from semdedup_spark.kernels.vectors import WIDTHS
from semdedup_spark.sources.raw_source import RawSource

_SAMPLE_ROWS = 500
# Limits of a sampled value: a wrong column may hold images, or vectors of millions of numbers.
_MOST_BYTES, _MOST_NUMBERS = 1 << 15, 1 << 12
# Of fewer rows, most may be nothing by chance. They get reasons of their own.
_FEWEST_ROWS = 16
# Fewer numbers do not tell their type.
_FEWEST_NUMBERS = 256

_OF_BYTES = (
    "n bigint, numbers bigint, fitting bigint, lengths array<bigint>, unusable bigint, "
    "octaves double, sensible boolean, others array<string>"
)
Measure = Callable[[list[Any]], dict[str, object]]


def check_vectors(raw: RawSource, source: SourceConfig, payload: Column) -> None:
    """Refuse a source if most vectors of a sample cannot be embeddings.

    Parameters
    ----------
    raw
        The source as its reader returned it.
    source
        The configured source.
    payload
        The vectors: array<float>, array<double>, or binary of ``source.dtype``.

    Raises
    ------
    SourceError
        If ``source.dimension`` is not that of the files, if most sampled vectors are not usable, or
        if bytes cannot be numbers of ``source.dtype``.
    """
    if None not in (raw.dimension, source.dimension) and raw.dimension != source.dimension:
        raise SourceError(
            f"source.dimension must be that of the vectors, {raw.dimension}. "
            f"Got {source.dimension}.",
            hint="leave it null: these files tell their dimension.",
        )
    vectors = raw.df.select(payload.alias("v"))
    if isinstance(vectors.schema["v"].dataType, BinaryType):
        _check_bytes(vectors, source)
    else:
        _check_lists(vectors)


def _check_lists(vectors: DataFrame) -> None:
    few = vectors.select(F.slice("v", 1, _MOST_NUMBERS).alias("v"))

    def measure(values: list[Any]) -> dict[str, object]:
        look = look_at([np.array(value, np.float64) for value in values], sized=False)
        return {"n": look.n, "unusable": look.unusable}

    found = _measured(few, measure, "n bigint, unusable bigint")
    if found.n >= _FEWEST_ROWS and found.unusable > found.n / 2:
        raise SourceError(
            f"source.content must hold vectors of numbers. Got {found.unusable} of {found.n} "
            "sampled rows with NaN, infinity or only zeros.",
            hint="set source.content to another column, or leave such rows out in a view.",
        )


def _check_bytes(vectors: DataFrame, source: SourceConfig) -> None:
    dtype = source.dtype or "float32"
    length, start = F.length("v").alias("length"), F.substring("v", 1, _MOST_BYTES).alias("start")
    few = vectors.select(F.when(F.length("v") > 0, F.struct(length, start)).alias("v"))
    found = _measured(few, bytes_measure(dtype, source), _OF_BYTES)
    if found.numbers < _FEWEST_NUMBERS and found.n < _FEWEST_ROWS:
        return
    if found.fitting <= found.n / 2:
        width = WIDTHS[dtype] * (source.dimension or 1)
        raise SourceError(
            f"source.content must hold vectors as bytes of {dtype}: most values must have "
            f"{'' if source.dimension else 'a multiple of '}{width} bytes. Got values of "
            f"{', '.join(map(str, found.lengths))} bytes.",
            hint="set source.dtype and source.dimension to those of the stored vectors.",
        )
    if not found.sensible or found.others:
        raise _implausible(found, dtype)


def bytes_measure(dtype: str, source: SourceConfig) -> Measure:
    """Make a function that looks at a sample of vectors as bytes.

    Parameters
    ----------
    dtype
        The type that they are read as.
    source
        The configured source.

    Returns
    -------
    Measure
        Takes dicts of ``length`` (in bytes) and ``start`` (the first bytes). Returns a dict of the
        columns that the check needs. Fewer than 16 rows that cannot be used are not implausible.
    """
    width, declared = WIDTHS[dtype] * (source.dimension or 1), source.dtype is not None
    one_length = source.dimension is not None

    def measure(values: list[Any]) -> dict[str, object]:
        lengths = [value["length"] for value in values]
        starts = [
            value["start"]
            for value, length in zip(values, lengths, strict=True)
            if (length == width if one_length else length % width == 0)
        ]
        look, judged = look_at_bytes(starts, dtype), starts
        if len(values) < _FEWEST_ROWS:
            judged = [start for start in starts if not look_at_bytes([start], dtype).unusable]
        return {
            "n": len(values),
            "numbers": sum(lengths) // WIDTHS[dtype],
            "fitting": len(starts),
            "lengths": sorted(set(lengths))[:5],
            "unusable": look.unusable,
            "octaves": look.octaves,
            "sensible": may_be(judged, dtype, declared=declared),
            "others": [] if declared else other_types(starts, dtype),
        }

    return measure


def _implausible(found: Row, dtype: str) -> SourceError:
    like = f" The bytes look like {' or '.join(found.others)}." if found.others else ""
    return SourceError(
        f"source.content must hold vectors as bytes of {dtype}. Of {found.fitting} sampled values "
        f"{found.unusable} hold NaN, infinity, only zeros or magnitudes outside 1e-30 to 1e30. "
        f"Entries spread over {found.octaves:.0f} octaves (embeddings: about 2).{like}",
        hint="set source.dtype to the stored type (float16, bfloat16, float32 or float64), and "
        "source.dimension; convert other bytes to array<float> in a view.",
    )


def _measured(few: DataFrame, measure: Measure, result: str) -> Row:
    """Apply ``measure`` on a worker to the first values of the column v, so that no value reaches
    the driver.
    """
    names = [field.split(" ")[0] for field in result.split(", ")]

    def measured(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        values = [value for b in batches for value in b.column(0).drop_null().to_pylist()]
        found = measure(values)
        yield pa.RecordBatch.from_pydict({name: [found[name]] for name in names})

    row = few.limit(_SAMPLE_ROWS).repartition(1).mapInArrow(measured, result).first()
    if row is None:
        raise AssertionError("one partition has one row")
    return row
