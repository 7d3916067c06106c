"""Open a source: check its schema, count its rows once, and offer its candidate rows."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, NullType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.candidate_rows import (
    SourceFacts,
    candidate_rows,
    with_reasons,
    with_unique_ids,
)
from semdedup_spark.sources.hash_ranges import place_of, within
from semdedup_spark.sources.open_raw import read_raw, refuse_missing_files
from semdedup_spark.sources.picture_sizes import with_sizes
from semdedup_spark.sources.raw_source import RawSource
from semdedup_spark.sources.row_checks import entries
from semdedup_spark.sources.schema_checks import check_batch, check_id, own_columns, payload_column
from semdedup_spark.sources.source_growth import Earlier, Growth, growth_of
from semdedup_spark.sources.source_rows import Added, Choice, SourceRows, Twins
from semdedup_spark.sources.storable_types import as_storable
from semdedup_spark.sources.vector_checks import check_vectors

# Types by kind of a column of contents that knows none, because it has no rows or only nulls.
_TYPE_OF_NOTHING = {"images": "binary", "image_text": "binary", "vectors": "array<float>"}


def open_source(
    spark: SparkSession,
    source: SourceConfig,
    check: Callable[[DataFrame, list[str], DataType], None] = lambda _own, _left_out, _id: None,
    frame: DataFrame | None = None,
    known: Callable[[str], SourceFacts | None] = lambda _fingerprint: None,
    earlier: Callable[[], Earlier | None] = lambda: None,
) -> SourceRows:
    """Open a source: check its schema without a Spark job, then count its rows in one pass.

    Parameters
    ----------
    spark
        The session that reads the source.
    source
        The configured source.
    check
        A further check, called before the count. It gets the source's own columns, the names of
        those that ``source.columns`` leaves out, and the type of the ids.
    frame
        The rows themselves, in place of a table.
    known
        Returns what an earlier count of the version told that has this fingerprint, if there was
        one. Then no row is read.
    earlier
        Returns what is known of the version that was embedded last, if there is one. Asked where
        ``known`` knows nothing. If rows were only added since, only these are read.

    Returns
    -------
    SourceRows
        The source at its present version, or at the configured one.

    Raises
    ------
    Exception
        Whatever Spark raises while it counts. :class:`SourceError` if the source cannot be used,
        or if files of its version are gone.
    """
    raw = _storable(read_raw(spark, source, frame), source)
    check_id(raw.df, source, raw.roles)
    check_batch(raw.df, source)
    payload = payload_column(raw.df, source, raw.roles)
    raw = with_sizes(raw, source, payload)
    own = own_columns(raw, source)
    left_out = [name for name in raw.df.columns if name not in (*own, raw.problem)]
    name = raw.roles.id
    key = _content_hash(payload, source) if name is None else F.col(s.quoted(name))
    id_type = raw.df.select(key).schema[0].dataType
    columns = raw.df.select(*(F.col(s.quoted(name)) for name in own))
    check(columns, left_out, id_type)
    raw.check()
    fingerprint = raw.fingerprint()
    schema = zlib.crc32(columns.schema.simpleString().encode())
    facts, growth = known(fingerprint), None
    if facts is None:
        growth = growth_of(raw, source, key, payload, schema, earlier())
    try:
        facts = facts or (growth.facts if growth else _count(raw, source, key, payload))
    except Exception as error:  # Spark raises many kinds
        refuse_missing_files(spark, source, raw, error)
        raise
    reading = _Reading(raw, source, key, payload, own, facts)
    first, shared = reading.choosing(None), name is not None and not facts.unique_ids
    return SourceRows(
        rows=first.rows,
        between=first.between,
        fingerprint=fingerprint,
        fingerprint_now=raw.fingerprint_now or raw.fingerprint,
        n_read=facts.n_read,
        unique_ids=facts.unique_ids,
        has_id=name in own,
        own_columns=[name for name in own if name != raw.unreadable],
        dimension=facts.dimension,
        has_batch=source.batch is not None,
        twins=Twins(reading.candidates, reading.choosing) if shared else None,
        schema=schema,
        added=None if growth is None else reading.added(growth),
    )


@dataclass(frozen=True)
class _Reading:
    """A source that was checked and counted, and how its columns become rows.

    Attributes
    ----------
    raw
        The source as its reader returned it.
    source
        Its configuration.
    key
        The id.
    payload
        What the encoder gets.
    own
        Names of the columns that travel to the output.
    facts
        What counting the source told.
    """

    raw: RawSource
    source: SourceConfig
    key: Column
    payload: Column
    own: list[str]
    facts: SourceFacts

    def candidates(self) -> DataFrame:
        """Select the rows without a reason, whatever their ids.

        Returns
        -------
        DataFrame
            Rows as :func:`with_reasons` returns them.
        """
        return self._with_reasons(self.raw.df).filter(F.col(s.REASON).isNull())

    def choosing(self, standing: DataFrame | None) -> Choice:
        """Choose one row of each id.

        Parameters
        ----------
        standing
            What an encoder has said of earlier rows, see :func:`numbered_copies`.

        Returns
        -------
        Choice
            The rows, and access to ranges of them.
        """
        rows, part = self._with_unique_ids(self.raw.df, standing), self.raw.part

        def between(begin: int, end: int) -> DataFrame:
            if part is not None and (self.facts.unique_ids or self._parts_hold_ids):
                return self._with_unique_ids(part(begin, end), standing)
            # Each commit must read all rows anyway, so let equal payloads fall into one commit.
            return rows.filter(within(place_of(F.col(s.CONTENT_HASH)), begin, end))

        return Choice(rows, between)

    def added(self, growth: Growth) -> Added:
        """Select the rows that were added to the source.

        Parameters
        ----------
        growth
            What was added.

        Returns
        -------
        Added
            The rows, with a reason where they have one.
        """
        rows = replace(self, raw=growth.raw).choosing(None)
        return Added(rows.rows, rows.between, growth.n_added)

    @property
    def _parts_hold_ids(self) -> bool:
        """Whether rows that share an id lie in one part: a tar's samples are assigned by key."""
        return self.source.format == "webdataset" and self.source.id is None

    def _with_reasons(self, df: DataFrame) -> DataFrame:
        batch = self.source.batch
        candidates = candidate_rows(df, self.raw, self.key, self.payload, self.own, batch)
        return with_reasons(candidates, self.source, self.facts.dimension)

    def _with_unique_ids(self, df: DataFrame, standing: DataFrame | None) -> DataFrame:
        made_id, most = self.raw.roles.id is None, self.source.max_bytes
        rows = self._with_reasons(df)
        return with_unique_ids(rows, self.facts, standing, most, made_id=made_id)


def _storable(raw: RawSource, source: SourceConfig) -> RawSource:
    types = {raw.roles.content: _TYPE_OF_NOTHING.get(source.kind), source.batch: "bigint"}

    def plain(df: DataFrame) -> DataFrame:
        for field in df.schema.fields:
            kind = types.get(field.name)
            if kind is not None and isinstance(field.dataType, NullType):
                df = df.withColumn(field.name, F.col(s.quoted(field.name)).cast(kind))
        return as_storable(df)

    return replace(raw.changed(plain), keys=None if raw.keys is None else plain(raw.keys))


def _count(raw: RawSource, source: SourceConfig, key: Column, payload: Column) -> SourceFacts:
    if source.kind == "vectors":
        check_vectors(raw, source, payload)
    dimension = raw.dimension or source.dimension
    if source.kind == "vectors" and dimension is None:
        # The most common length is the dimension. Vectors of other lengths go to quarantine.
        vectors = raw.df.select(payload.alias(s.PAYLOAD))
        n_entries = entries(F.col(s.PAYLOAD), vectors.schema[s.PAYLOAD].dataType, source)
        lengths = vectors.select(n_entries.alias("d")).filter("d > 0")
        top = lengths.groupBy("d").count().orderBy(F.desc("count"), F.desc("d")).first()
        dimension = int(top["d"]) if top else 1
    if raw.n_rows is not None and raw.unique_ids:
        return SourceFacts(raw.n_rows, True, dimension)
    measures = [F.count(F.lit(1)).alias("n"), F.count(s.ID).alias("keyed")]
    if not raw.unique_ids:
        measures.append(F.count_distinct(s.ID).alias("distinct"))
    keys = raw.df if raw.keys is None else raw.keys
    row = keys.select(key.alias(s.ID)).agg(*measures).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return SourceFacts(int(row["n"]), raw.unique_ids or row["distinct"] == row["keyed"], dimension)


def _content_hash(payload: Column, source: SourceConfig) -> Column:
    """Hex SHA-256 of the payload's bytes, or of its JSON if it is nested."""
    nested = source.kind in ("vectors", "image_text")
    return F.sha2(F.to_json(F.struct(payload)) if nested else payload.cast("binary"), 256)
