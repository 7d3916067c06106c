"""Raw columns become candidate rows: a unique key, a payload, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DoubleType,
    FloatType,
    StringType,
    StructType,
)

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.duplicate_ids import AGAIN, COPY, ORDER, numbered_copies
from semdedup_spark.sources.hash_ranges import place_of, with_content_hash, within
from semdedup_spark.sources.open_raw import read_raw, refuse_missing_files
from semdedup_spark.sources.raw_source import RawSource, no_problem
from semdedup_spark.sources.row_checks import content_reason, entries, message_of
from semdedup_spark.sources.schema_checks import check_batch, check_id, own_columns, payload_column
from semdedup_spark.sources.storable_types import as_storable
from semdedup_spark.sources.vector_checks import check_vectors
from semdedup_spark.values import Typed, hash_of

MOST_BATCHES = 2**31 - 1


@dataclass(frozen=True)
class Choice:
    """``rows`` and ``between`` of :class:`SourceRows`, by what is known of rows with one id."""

    rows: DataFrame
    between: Callable[[int, int], DataFrame]


@dataclass(frozen=True)
class Twins:
    """Of a source where rows share an id. ``candidates()``: every row that an encoder may find
    good, with its ``ORDER``; ``choosing(standing)``: the choice by what is known of them, see
    :func:`numbered_copies`.
    """

    candidates: Callable[[], DataFrame]
    choosing: Callable[[DataFrame | None], Choice]


@dataclass(frozen=True)
class SourceRows:
    """One source at one version.

    ``rows``: id, payload, source (struct of own columns), reason, message, content_hash; a row with
    a reason has no payload. ``between(begin, end)``: those with places in that range of
    [0, ``END_OF_PLACES``), each row having one place; a source that can reads no others, of another
    equal payloads have one place. ``n_read``: all rows. ``has_id``:
    whether the id is one of the own columns; ``own_columns``: their names. ``dimension``: of
    vectors, else ``None``. ``fingerprint_now()``: the fingerprint, looked for again.
    ``has_batch``: whether ``rows`` has the column batch, int, of the source's own. ``twins``:
    ``None`` where no two rows have one id.
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
    twins: Twins | None = None


@dataclass(frozen=True)
class _Known:
    """``n_read``: all rows; ``unique_ids``: no two have one id; ``dimension``: of vectors."""

    n_read: int
    unique_ids: bool
    dimension: int | None


def open_source(
    spark: SparkSession,
    source: SourceConfig,
    check: Callable[[DataFrame, list[str], DataType], None] = lambda _own, _left_out, _id: None,
) -> SourceRows:
    """Check the schema, then count in one pass. Raises :class:`SourceError` before any job.

    ``check``: what else must hold; called before the count with the source's own columns, with the
    names of those that ``source.columns`` leaves out, and with the type of the ids.
    """
    raw = read_raw(spark, source)
    check_id(raw.df, source, raw.roles)
    check_batch(raw.df, source)
    payload = payload_column(raw.df, source, raw.roles)
    raw = _storable(raw)
    own = own_columns(raw, source)
    left_out = [name for name in raw.df.columns if name not in (*own, raw.problem)]
    name = raw.roles.id
    key = _content_hash(payload, source) if name is None else F.col(s.quoted(name))
    id_type = raw.df.select(key).schema[0].dataType
    check(raw.df.select(*(F.col(s.quoted(name)) for name in own)), left_out, id_type)
    raw.check()
    fingerprint = raw.fingerprint()
    try:
        known = _count(raw, source, key, payload)
    except Exception as error:  # Spark raises many kinds
        refuse_missing_files(spark, source, raw, error)
        raise

    reading = _Reading(raw, source, key, payload, own, known)
    first, shared = reading.choosing(None), name is not None and not known.unique_ids
    return SourceRows(
        rows=first.rows,
        between=first.between,
        fingerprint=fingerprint,
        fingerprint_now=raw.fingerprint,
        n_read=known.n_read,
        has_id=name in own,
        own_columns=[name for name in own if name != raw.unreadable],
        dimension=known.dimension,
        has_batch=source.batch is not None,
        twins=Twins(reading.candidates, reading.choosing) if shared else None,
    )


@dataclass(frozen=True)
class _Reading:
    """A source that was checked and counted, and how its rows are made of its columns."""

    raw: RawSource
    source: SourceConfig
    key: Column
    payload: Column
    own: list[str]
    known: _Known

    def candidates(self) -> DataFrame:
        """Rows without a reason, whatever their ids."""
        return self._judged(self.raw.df).filter(F.col(s.REASON).isNull())

    def choosing(self, standing: DataFrame | None) -> Choice:
        """See :class:`Twins`."""
        rows, part = self._checked(self.raw.df, standing), self.raw.part

        def between(begin: int, end: int) -> DataFrame:
            if part is not None and self.known.unique_ids:
                return self._checked(part(begin, end), None)
            # Every commit reads all of it: equal payloads can as well meet in one.
            return rows.filter(within(place_of(F.col(s.CONTENT_HASH)), begin, end))

        return Choice(rows, between)

    def _judged(self, df: DataFrame) -> DataFrame:
        candidates = _candidates(df, self.raw, self.key, self.payload, self.own, self.source.batch)
        return _judged(candidates, self.source, self.known)

    def _checked(self, df: DataFrame, standing: DataFrame | None) -> DataFrame:
        made_id, most = self.raw.roles.id is None, self.source.max_bytes
        return _checked(self._judged(df), self.known, standing, most, made_id=made_id)


def _storable(raw: RawSource) -> RawSource:
    part, keys = raw.part, raw.keys
    return replace(
        raw,
        df=as_storable(raw.df),
        part=None if part is None else lambda begin, end: as_storable(part(begin, end)),
        keys=None if keys is None else as_storable(keys),
    )


def hash_of_columns(rows: DataFrame, content: str | None) -> Column:
    """A hash of what the row's own columns, those in its struct ``source``, hold beside what
    ``content_hash`` tells. ``content``: the column that is embedded.
    """
    kind, source = rows.schema[s.SOURCE].dataType, F.col(s.SOURCE)
    columns: list[Typed] = []
    for field in kind:  # type: ignore[attr-defined]
        of_row = source[field.name], field.dataType
        columns += [of_row] if field.name != content else _beside_payload(*of_row)
    return hash_of(columns)


def _beside_payload(column: Column, kind: DataType) -> list[Typed]:
    """Of the content's column what is not embedded as it is, such as the path of an image, or
    how an MLlib vector is stored.
    """
    if isinstance(kind, StructType) and "bytes" in kind.names:
        return [(column[f.name], f.dataType) for f in kind if f.name != "bytes"]
    numbers = isinstance(kind, ArrayType) and isinstance(kind.elementType, FloatType | DoubleType)
    return [] if numbers or isinstance(kind, StringType | BinaryType) else [(column, kind)]


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
    kind, fields = df.select(payload).schema[0].dataType, [df.schema[name] for name in own]
    return df.select(
        key.alias(s.ID),
        payload.alias(s.PAYLOAD),
        F.struct(*(F.col(s.quoted(name)) for name in own)).alias(s.SOURCE),
        hash_of([(payload, kind), *((F.col(s.quoted(f.name)), f.dataType) for f in fields)]).alias(
            ORDER
        ),
        F.coalesce(problem["reason"], F.when(unread.isNotNull(), "unreadable_record")).alias(
            s.REASON
        ),
        problem["message"].alias(s.MESSAGE),
        *number,
    )


def _judged(candidates: DataFrame, source: SourceConfig, known: _Known) -> DataFrame:
    """With the reasons that can be told from a row alone, and the hash of its content."""
    # No filter on a bare column here: Spark would push it into the JSON parser, which then drops
    # a record that it could read only in part, from both sides of the filter.
    of_type = candidates.schema[s.PAYLOAD].dataType
    reason = content_reason(F.col(s.PAYLOAD), source, of_type, known.dimension)
    rows = candidates.withColumn(s.REASON, F.coalesce(F.col(s.REASON), reason))
    if s.BATCH in rows.columns:
        usable = F.coalesce(F.col(s.BATCH).between(0, MOST_BATCHES), F.lit(False))
        rows = rows.withColumn(s.REASON, F.coalesce(s.REASON, F.when(~usable, "wrong_batch")))
        number = F.when(usable, F.col(s.BATCH)).otherwise(0).cast("int")
        rows = rows.withColumn(s.BATCH, number)
    no_id = F.when(F.col(s.ID).isNull(), "null_id")
    return with_content_hash(rows.withColumn(s.REASON, F.coalesce(s.REASON, no_id)))


def _checked(
    rows: DataFrame, known: _Known, standing: DataFrame | None, most: int, *, made_id: bool
) -> DataFrame:
    """``rows``: as :func:`_judged` leaves them. Of those with one id one keeps its payload."""
    number = [s.BATCH] if s.BATCH in rows.columns else []
    has_payload, again = F.col(s.REASON).isNull(), []
    if not known.unique_ids:
        rows, is_copy = numbered_copies(rows, number, standing), F.col(COPY) > 1
        if made_id:  # equal content is no error: number the copies
            name = F.concat_ws("-", F.col(s.ID), F.col(COPY) - 1)
            rows = rows.withColumn(s.ID, F.when(is_copy, name).otherwise(F.col(s.ID)))
        else:
            reason = F.coalesce(s.REASON, F.when(is_copy, "duplicate_id"))
            rows, again = rows.withColumn(s.REASON, reason), [AGAIN]
            has_payload = has_payload | F.col(AGAIN)
    return rows.select(
        s.ID,
        F.when(has_payload, F.col(s.PAYLOAD)).alias(s.PAYLOAD),
        s.SOURCE,
        s.REASON,
        F.coalesce(s.MESSAGE, message_of(F.col(s.REASON), known.dimension, most)).alias(s.MESSAGE),
        s.CONTENT_HASH,
        *number,
        *again,
    )


def _content_hash(payload: Column, source: SourceConfig) -> Column:
    """SHA-256, in hex, of the payload: of its bytes, or of its JSON where it is no single value."""
    nested = source.kind in ("vectors", "image_text")
    return F.sha2(F.to_json(F.struct(payload)) if nested else payload.cast("binary"), 256)
