"""Raw columns become candidate rows: a unique key, a payload, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.checks import check_batch, check_id, own_columns, payload_column
from semdedup_spark.sources.places import place_of, with_content_hash, within
from semdedup_spark.sources.raw import RawSource, no_problem
from semdedup_spark.sources.reading import hash_of, read_raw, refuse_missing_files
from semdedup_spark.sources.reasons import content_reason, entries, message_of
from semdedup_spark.sources.vectors import check_vectors

_ORDER = "__order"
MOST_BATCHES = 2**31 - 1


@dataclass(frozen=True)
class SourceRows:
    """One source at one version.

    ``rows``: id, payload, source (struct of own columns), reason, message, content_hash; a row with
    a reason has no payload. ``between(begin, end)``: those with places in that range of
    [0, ``END_OF_PLACES``), each row having one place; a source that can reads no others, of another
    equal payloads have one place. ``n_read``: all rows. ``has_id``:
    whether the id is one of the own columns; ``own_columns``: their names. ``dimension``: of
    vectors, else ``None``. ``fingerprint_now()``: the fingerprint, looked for again.
    ``has_batch``: whether ``rows`` has the column batch, int, of the source's own.
    """

    rows: DataFrame
    between: Callable[[int, int], DataFrame]
    fingerprint: str
    fingerprint_now: Callable[[], str]
    n_read: int
    has_id: bool
    own_columns: list[str]
    dimension: int | None
    has_batch: bool = False


@dataclass(frozen=True)
class _Known:
    """``n_read``: all rows; ``unique_ids``: no two have one id; ``dimension``: of vectors."""

    n_read: int
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
    check_id(raw.df, source, raw.roles)
    check_batch(raw.df, source)
    payload = payload_column(raw.df, source, raw.roles)
    own = own_columns(raw, source)
    left_out = [name for name in raw.df.columns if name not in (*own, raw.problem)]
    check(raw.df.select(*(F.col(s.quoted(name)) for name in own)), left_out)
    raw.check()
    fingerprint = raw.fingerprint()
    name = raw.roles.id
    key = _content_hash(payload, source) if name is None else F.col(s.quoted(name))
    try:
        known = _count(raw, source, key, payload)
    except Exception as error:  # Spark raises many kinds
        refuse_missing_files(spark, source, raw, error)
        raise

    def checked(df: DataFrame) -> DataFrame:
        candidates = _candidates(df, raw, key, payload, own, source.batch)
        return with_content_hash(_checked(candidates, source, known, made_id=name is None))

    rows = checked(raw.df)

    def between(begin: int, end: int) -> DataFrame:
        if raw.part is not None and known.unique_ids:
            return checked(raw.part(begin, end))
        # Every commit reads all of it: equal payloads can as well meet in one.
        return rows.filter(within(place_of(F.col(s.CONTENT_HASH)), begin, end))

    return SourceRows(
        rows=rows,
        between=between,
        fingerprint=fingerprint,
        fingerprint_now=raw.fingerprint,
        n_read=known.n_read,
        has_id=name in own,
        own_columns=[name for name in own if name != raw.unreadable],
        dimension=known.dimension,
        has_batch=source.batch is not None,
    )


def hash_of_columns(rows: DataFrame, but: str | None) -> Column:
    """A hash of the row's own columns, those in its struct ``source``, except for the one named
    ``but``.
    """
    kind, source = rows.schema[s.SOURCE].dataType, F.col(s.SOURCE)
    fields = [field for field in kind if field.name != but]  # type: ignore[attr-defined]
    columns = [
        F.to_json(F.struct(source[f.name])) if _has_map(f.dataType) else source[f.name]
        for f in fields
    ]
    return hash_of([F.lit(0), *columns])


def _count(raw: RawSource, source: SourceConfig, key: Column, payload: Column) -> _Known:
    if source.kind == "vectors":
        check_vectors(raw, source, payload)
    dimension = raw.dimension or source.dimension
    if source.kind == "vectors" and dimension is None:
        # The most common length is the dimension; other lengths go to quarantine.
        vectors = raw.df.select(payload.alias(s.PAYLOAD))
        n_entries = entries(F.col(s.PAYLOAD), vectors.schema[s.PAYLOAD].dataType, source)
        lengths = vectors.select(n_entries.alias("d")).filter("d > 0")
        top = lengths.groupBy("d").count().orderBy(F.desc("count"), F.desc("d")).first()
        dimension = int(top["d"]) if top else 1
    if raw.n_rows is not None and raw.unique_ids:
        return _Known(raw.n_rows, True, dimension)
    measures = [F.count(F.lit(1)).alias("n"), F.count(s.ID).alias("keyed")]
    if not raw.unique_ids:
        measures.append(F.count_distinct(s.ID).alias("distinct"))
    keys = raw.df if raw.keys is None else raw.keys
    row = keys.select(key.alias(s.ID)).agg(*measures).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return _Known(int(row["n"]), raw.unique_ids or row["distinct"] == row["keyed"], dimension)


def _candidates(
    df: DataFrame,
    raw: RawSource,
    key: Column,
    payload: Column,
    own: list[str],
    batch: str | None,
) -> DataFrame:
    """id, payload, source; reason and message as far as the reader has any; batch, if named."""
    problem = no_problem() if raw.problem is None else F.col(raw.problem)
    unread = F.lit(None) if raw.unreadable is None else F.col(s.quoted(raw.unreadable))
    number = [] if batch is None else [F.col(s.quoted(batch)).cast("bigint").alias(s.BATCH)]
    return df.select(
        key.alias(s.ID),
        payload.alias(s.PAYLOAD),
        F.struct(*(F.col(s.quoted(name)) for name in own)).alias(s.SOURCE),
        hash_of([payload, *(_hashable(df, name) for name in own)]).alias(_ORDER),
        F.coalesce(problem["reason"], F.when(unread.isNotNull(), "unreadable_record")).alias(
            s.REASON
        ),
        problem["message"].alias(s.MESSAGE),
        *number,
    )


def _checked(
    candidates: DataFrame, source: SourceConfig, known: _Known, *, made_id: bool
) -> DataFrame:
    # No filter on a bare column here: Spark would push it into the JSON parser, which then drops
    # a record that it could read only in part, from both sides of the filter.
    payload, no_id = F.col(s.PAYLOAD), F.col(s.ID).isNull()
    of_type = candidates.schema[s.PAYLOAD].dataType
    reason = content_reason(payload, source, of_type, known.dimension)
    rows = candidates.withColumn(s.REASON, F.coalesce(F.col(s.REASON), reason))
    number = [F.col(s.BATCH).cast("int")] if s.BATCH in rows.columns else []
    if number:
        usable = F.coalesce(F.col(s.BATCH).between(0, MOST_BATCHES), F.lit(False))
        rows = rows.withColumn(s.REASON, F.coalesce(s.REASON, F.when(~usable, "wrong_batch")))
        rows = rows.withColumn(s.BATCH, F.when(usable, F.col(s.BATCH)).otherwise(0))
    reason = F.coalesce(F.col(s.REASON), F.when(no_id, F.lit("null_id")))
    if not known.unique_ids:
        # Of rows with one id a good one wins, of good ones that of the earliest batch, and of these
        # the one whose columns hash lowest: the same one on every run, however rows are spread.
        same_id = Window.partitionBy(s.ID, F.when(no_id, F.col(_ORDER)))
        ranked = same_id.orderBy(F.col(s.REASON).isNotNull(), *number, _ORDER)
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
        F.when(F.col(s.REASON).isNull(), payload).alias(s.PAYLOAD),
        s.SOURCE,
        s.REASON,
        F.coalesce(s.MESSAGE, message_of(F.col(s.REASON), known.dimension, source.max_bytes)).alias(
            s.MESSAGE
        ),
        *number,
    )


def _content_hash(payload: Column, source: SourceConfig) -> Column:
    """SHA-256, in hex, of the payload: of its bytes, or of its JSON where it is no single value."""
    nested = source.kind in ("vectors", "image_text")
    return F.sha2(F.to_json(F.struct(payload)) if nested else payload.cast("binary"), 256)


def _hashable(df: DataFrame, name: str) -> Column:
    column = F.col(s.quoted(name))
    return F.to_json(F.struct(column)) if _has_map(df.schema[name].dataType) else column


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_map(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    return isinstance(kind, MapType)
