"""Turn raw columns into candidate rows: a unique id, and a payload or the reason why not."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
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
from semdedup_spark.sources.hash_ranges import with_content_hash
from semdedup_spark.sources.raw_source import RawSource, no_problem
from semdedup_spark.sources.row_checks import content_reason, message_of
from semdedup_spark.values import Typed, hash_of

MOST_BATCHES = 2**31 - 1


@dataclass(frozen=True)
class SourceFacts:
    """What counting a source tells.

    Attributes
    ----------
    n_read
        Number of all rows.
    unique_ids
        Whether no two rows have the same id.
    dimension
        Length of the vectors, ``None`` for other kinds.
    """

    n_read: int
    unique_ids: bool
    dimension: int | None


def candidate_rows(
    df: DataFrame,
    raw: RawSource,
    key: Column,
    payload: Column,
    own: list[str],
    batch: str | None,
) -> DataFrame:
    """Select the columns of candidate rows from raw columns.

    Parameters
    ----------
    df
        The rows of ``raw``, or a part of them.
    raw
        The source, for the names of the reader's own columns.
    key
        The id.
    payload
        What the encoder gets.
    own
        Names of the columns that travel to the output.
    batch
        Name of the column of batch numbers, or ``None``.

    Returns
    -------
    DataFrame
        Columns id, payload, source (struct of ``own``), ``ORDER`` (a hash of the whole row), reason
        and message (of what the reader could not read, else null), and batch (bigint) if named.
    """
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


def with_reasons(candidates: DataFrame, source: SourceConfig, dimension: int | None) -> DataFrame:
    """Add the reasons that one row alone can tell, and the hash of its content.

    Parameters
    ----------
    candidates
        Rows as :func:`candidate_rows` returns them.
    source
        The source, for its kind and its limits.
    dimension
        Length of the vectors, ``None`` for other kinds.

    Returns
    -------
    DataFrame
        ``candidates`` with content_hash. A batch number becomes int, and 0 where it is not usable.
    """
    # No filter on a bare column here: Spark would push it into the JSON parser. The parser then
    # drops partly readable records from the results of the filter and of its negation.
    of_type = candidates.schema[s.PAYLOAD].dataType
    reason = content_reason(F.col(s.PAYLOAD), source, of_type, dimension)
    rows = candidates.withColumn(s.REASON, F.coalesce(F.col(s.REASON), reason))
    if s.BATCH in rows.columns:
        usable = F.coalesce(F.col(s.BATCH).between(0, MOST_BATCHES), F.lit(False))
        rows = rows.withColumn(s.REASON, F.coalesce(s.REASON, F.when(~usable, "wrong_batch")))
        number = F.when(usable, F.col(s.BATCH)).otherwise(0).cast("int")
        rows = rows.withColumn(s.BATCH, number)
    no_id = F.when(F.col(s.ID).isNull(), "null_id")
    return with_content_hash(rows.withColumn(s.REASON, F.coalesce(s.REASON, no_id)))


def with_unique_ids(
    rows: DataFrame,
    facts: SourceFacts,
    standing: DataFrame | None,
    max_bytes: int,
    *,
    made_id: bool,
) -> DataFrame:
    """Make ids unique among the rows that have a payload, and put reasons into words.

    Parameters
    ----------
    rows
        Rows as :func:`with_reasons` returns them.
    facts
        What counting the source told.
    standing
        What an encoder has said of earlier rows, see :func:`numbered_copies`.
    max_bytes
        The limit that a message names, in bytes.
    made_id
        Whether ids are made from the content. Copies then get numbered ids. Otherwise one row of
        each id is chosen, and the others get a reason.

    Returns
    -------
    DataFrame
        Columns id, payload, source, reason, message, content_hash; batch if ``rows`` has it; and
        ``AGAIN`` if a choice was made.
    """
    number = [s.BATCH] if s.BATCH in rows.columns else []
    has_payload, again = F.col(s.REASON).isNull(), []
    if not facts.unique_ids:
        rows, is_copy = numbered_copies(rows, number, standing), F.col(COPY) > 1
        if made_id:  # equal content is not an error: number the copies
            name = F.concat_ws("-", F.col(s.ID), F.col(COPY) - 1)
            rows = rows.withColumn(s.ID, F.when(is_copy, name).otherwise(F.col(s.ID)))
        else:
            reason = F.coalesce(s.REASON, F.when(is_copy, "duplicate_id"))
            rows, again = rows.withColumn(s.REASON, reason), [AGAIN]
            has_payload = has_payload | F.col(AGAIN)
    message = message_of(F.col(s.REASON), facts.dimension, max_bytes)
    return rows.select(
        s.ID,
        F.when(has_payload, F.col(s.PAYLOAD)).alias(s.PAYLOAD),
        s.SOURCE,
        s.REASON,
        F.coalesce(s.MESSAGE, message).alias(s.MESSAGE),
        s.CONTENT_HASH,
        *number,
        *again,
    )


def hash_of_columns(rows: DataFrame, content: str | None) -> Column:
    """Hash what a row's own columns hold beyond what ``content_hash`` covers.

    Parameters
    ----------
    rows
        Rows with the column source, a struct of the own columns.
    content
        Name of the column that is embedded, or ``None``.

    Returns
    -------
    Column
        A struct of two bigints, see :func:`hash_of`.
    """
    kind, source = rows.schema[s.SOURCE].dataType, F.col(s.SOURCE)
    columns: list[Typed] = []
    for field in kind:  # type: ignore[attr-defined]
        of_row = source[field.name], field.dataType
        columns += [of_row] if field.name != content else _beside_payload(*of_row)
    return hash_of(columns)


def _beside_payload(column: Column, kind: DataType) -> list[Typed]:
    """The parts of the content's column that are not embedded as they are, such as the path of an
    image, or the storage form of an MLlib vector.
    """
    if isinstance(kind, StructType) and "bytes" in kind.names:
        return [(column[f.name], f.dataType) for f in kind if f.name != "bytes"]
    numbers = isinstance(kind, ArrayType) and isinstance(kind.elementType, FloatType | DoubleType)
    return [] if numbers or isinstance(kind, StringType | BinaryType) else [(column, kind)]
