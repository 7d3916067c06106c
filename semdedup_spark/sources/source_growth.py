"""A source to which rows were added since it was embedded, while all others stayed as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.candidate_rows import SourceFacts
from semdedup_spark.sources.raw_source import RawSource
from semdedup_spark.sources.vector_checks import check_vectors


@dataclass(frozen=True)
class Earlier:
    """The version of a source that was embedded last.

    Attributes
    ----------
    fingerprint
        Its fingerprint.
    facts
        What counting it told. Its ids must be unique.
    n_embedded
        Number of its rows that were embedded.
    schema
        Checksum of the names and types of its own columns.
    may_add
        Takes ids of added rows (column id) and their number. Tells whether these can be embedded
        while all that is known of the other rows stays valid. No other row may have one of the
        ids.
    """

    fingerprint: str
    facts: SourceFacts
    n_embedded: int
    schema: int
    may_add: Callable[[DataFrame, int], bool]


@dataclass(frozen=True)
class Growth:
    """What was added to a source.

    Attributes
    ----------
    raw
        The added rows.
    n_added
        Their number.
    facts
        What is now known of the whole source.
    """

    raw: RawSource
    n_added: int
    facts: SourceFacts


def growth_of(
    raw: RawSource,
    source: SourceConfig,
    key: Column,
    payload: Column,
    schema: int,
    earlier: Earlier | None,
) -> Growth | None:
    """Find out whether rows were added to a source, and nothing else has changed.

    Parameters
    ----------
    raw
        The source as it is now.
    source
        Its configuration.
    key
        The id of a row.
    payload
        What the encoder gets.
    schema
        Checksum of the names and types of the own columns.
    earlier
        The version that was embedded last, if there is one.

    Returns
    -------
    Growth | None
        ``None`` where more has changed, or where it is not known. Then all rows must be read.
    """
    if earlier is None or earlier.schema != schema or source.batch is not None:
        return None
    try:
        return _growth(raw, source, key, payload, earlier)
    except Exception:  # Spark raises many kinds. Who then reads all rows says what is wrong.
        return None


def _growth(
    raw: RawSource, source: SourceConfig, key: Column, payload: Column, earlier: Earlier
) -> Growth | None:
    added = raw.since(earlier.fingerprint)
    n_added = None if added is None else _counted(added, source, key, payload)
    if added is None or n_added is None:
        return None
    n_read, dimension = earlier.facts.n_read + n_added, earlier.facts.dimension
    # While most rows have vectors of the usual length, that length stays the usual one.
    is_usual = dimension in (None, raw.dimension, source.dimension)
    is_usual |= 2 * earlier.n_embedded > n_read
    as_counted = raw.n_rows in (None, n_read)
    if not (is_usual and as_counted and earlier.may_add(added.df.select(key.alias(s.ID)), n_added)):
        return None
    return Growth(added, n_added, SourceFacts(n_read, True, dimension))


def _counted(added: RawSource, source: SourceConfig, key: Column, payload: Column) -> int | None:
    """The number of the rows; ``None`` where two have one id, or where most are no vectors."""
    if source.kind == "vectors":
        try:
            check_vectors(added, source, payload)
        except SourceError:
            return None
    measures = [F.count(F.lit(1)), F.count(s.ID), F.count_distinct(s.ID)]
    ids = added.df.select(key.alias(s.ID))
    row = ids.agg(*measures[: 2 if added.unique_ids else 3]).first()
    if row is None:
        raise AssertionError("an aggregate without groups has one row")
    return int(row[0]) if row[1] == row[-1] else None
