"""Raw columns become candidate rows: a unique key, a payload, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.checks import id_column, own_columns, payload_column
from semdedup_spark.sources.reading import hash_of, read_raw

_ORDER = "__order"


@dataclass(frozen=True)
class SourceRows:
    """One source at one version.

    ``rows``: id, payload, source (struct of own columns), reason, message. A row with a reason
    has no payload. ``n_read``: all rows. ``has_id``: whether the id is one of the own columns;
    ``own_columns``: their names. ``dimension``: of vectors, else ``None``.
    """

    rows: DataFrame
    fingerprint: str
    n_read: int
    has_id: bool
    own_columns: list[str]
    unique_ids: bool
    dimension: int | None


def open_source(
    spark: SparkSession,
    source: SourceConfig,
    check: Callable[[DataFrame, list[str]], None] = lambda _own, _left_out: None,
) -> SourceRows:
    """Check the schema, then count in one pass. Raises :class:`SourceError` before any job.

    ``check``: what else must hold; called before the count with the source's own columns and with
    the names of those that ``source.columns`` leaves out.
    """
    raw = read_raw(spark, source)
    key = id_column(raw.df, source)
    payload = payload_column(raw.df, source)
    own = own_columns(raw.df, source, key)
    carried = [F.col(s.quoted(name)) for name in own]
    check(raw.df.select(*carried), [name for name in raw.df.columns if name not in own])
    content = [] if source.format == "files" else [payload]
    columns = [*content, *(_hashable(raw.df, name) for name in own)]
    rows = raw.df.select(
        (_content_hash(payload, source) if key is None else F.col(s.quoted(key))).alias(s.ID),
        payload.alias(s.PAYLOAD),
        F.struct(*carried).alias(s.SOURCE),
        hash_of(columns).alias(_ORDER),
        _corrupt(raw.df).alias(s.REASON),
    )
    opened = SourceRows(
        rows=rows,
        fingerprint=raw.fingerprint(),
        n_read=0,
        has_id=key is not None and key in own,
        own_columns=[name for name in own if name != s.CORRUPT_RECORD],
        unique_ids=source.format == "files",
        dimension=None,
    )
    opened = _count(opened, source)
    reason = F.coalesce(F.col(s.REASON), _content_reason(source, opened.dimension))
    opened = replace(opened, rows=opened.rows.withColumn(s.REASON, reason))
    return replace(opened, rows=_checked(opened, made_id=key is None))


def _count(opened: SourceRows, source: SourceConfig) -> SourceRows:
    measures = [F.count(F.lit(1)).alias("n"), F.count(s.ID).alias("keyed")]
    if not opened.unique_ids:
        measures.append(F.count_distinct(s.ID).alias("distinct"))
    row = opened.rows.agg(*measures).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    dimension = None
    if source.kind == "vectors":
        # The most common length is the dimension; other lengths go to quarantine.
        lengths = opened.rows.filter("payload IS NOT NULL").groupBy(F.size(s.PAYLOAD).alias("d"))
        top = lengths.count().orderBy(F.desc("count"), F.desc("d")).first()
        dimension = int(top["d"]) if top else 1
    unique = opened.unique_ids or row["distinct"] == row["keyed"]
    return replace(opened, n_read=int(row["n"]), unique_ids=unique, dimension=dimension)


def _checked(opened: SourceRows, *, made_id: bool) -> DataFrame:
    # No filter on a bare column here: Spark would push it into the JSON parser, which then drops
    # a record that it could read only in part, from both sides of the filter.
    rows, no_id = opened.rows, F.col(s.ID).isNull()
    reason = F.coalesce(F.col(s.REASON), F.when(no_id, F.lit("null_id")))
    if not opened.unique_ids:
        # Of rows with one id a good one wins, and of good ones the one whose columns hash lowest:
        # the same one on every run, however the rows are spread.
        same_id = Window.partitionBy(s.ID, F.when(no_id, F.col(_ORDER)))
        ranked = same_id.orderBy(F.col(s.REASON).isNotNull(), _ORDER)
        rows = rows.withColumn("__copy", F.row_number().over(ranked))
        again = F.col("__copy") > 1
        if made_id:  # equal content is no error: number the copies
            numbered = F.concat_ws("-", F.col(s.ID), F.col("__copy") - 1)
            rows = rows.withColumn(s.ID, F.when(again, numbered).otherwise(F.col(s.ID)))
        else:
            reason = F.coalesce(reason, F.when(again, F.lit("duplicate_id")))
    rows = rows.withColumn(s.REASON, reason)
    return rows.select(
        s.ID,
        F.when(F.col(s.REASON).isNull(), F.col(s.PAYLOAD)).alias(s.PAYLOAD),
        s.SOURCE,
        s.REASON,
        _message(F.col(s.REASON), opened.dimension).alias(s.MESSAGE),
    )


def _content_reason(source: SourceConfig, dimension: int | None) -> Column:
    payload = F.col(s.PAYLOAD)
    if source.kind == "text":
        return (
            F.when(payload.isNull(), "null_text")
            .when(~_is_utf8(payload), "invalid_utf8")
            .when(payload.rlike(r"^[\s\p{Z}]*$"), "empty_text")
        )
    if source.kind == "images":
        return F.when(payload.isNull(), "null_image").when(F.length(payload) == 0, "empty_image")
    return F.when(payload.isNull(), "null_vector").when(
        F.size(payload) != dimension, "wrong_length"
    )


def _is_utf8(text: Column) -> Column:
    if hasattr(F, "is_valid_utf8"):  # Spark 4
        return F.is_valid_utf8(text)
    as_bytes = text.cast("binary")  # decoding replaces what is malformed
    return F.encode(F.decode(as_bytes, "UTF-8"), "UTF-8") == as_bytes


def _message(reason: Column, dimension: int | None) -> Column:
    words = {
        "unreadable_record": "the reader could not parse the record; source holds its text",
        "null_id": "the id is null",
        "duplicate_id": "another row has this id; the row whose columns hash lowest is kept",
        "null_text": "the text is null",
        "invalid_utf8": "the text is not valid UTF-8",
        "empty_text": "the text is empty or only white space",
        "null_image": "the image is null",
        "empty_image": "the image has no bytes",
        "null_vector": "the vector is null",
        "wrong_length": f"the vector must have the usual length, {dimension}",
    }
    message = F.lit(None).cast("string")
    for code, text in words.items():
        message = F.when(reason == code, F.lit(text)).otherwise(message)
    return message


def _corrupt(df: DataFrame) -> Column:
    if s.CORRUPT_RECORD not in df.columns:
        return F.lit(None).cast("string")
    return F.when(F.col(s.CORRUPT_RECORD).isNotNull(), "unreadable_record")


def _content_hash(payload: Column, source: SourceConfig) -> Column:
    content = F.to_json(F.struct(payload)) if source.kind == "vectors" else payload.cast("binary")
    return F.sha2(content, 256)


def _hashable(df: DataFrame, name: str) -> Column:
    column = F.col(s.quoted(name))
    return F.to_json(F.struct(column)) if _has_map(df.schema[name].dataType) else column


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_map(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    return isinstance(kind, MapType)
