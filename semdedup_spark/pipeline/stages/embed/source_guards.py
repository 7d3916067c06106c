"""Guards of an output against its source: an empty or another source empties it only if told to."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig, canonical_json
from semdedup_spark.errors import OtherSourceError, SourceError
from semdedup_spark.masking import identifying
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.source_changes import Compared, compared_rows
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import read_table, table_exists

_REASONS = 5
# Settings that identify the source; the others say how it is read.
_PLACE = ("path", "table")


def place_of_source(source: SourceConfig) -> str:
    """Name the place of a source.

    Parameters
    ----------
    source
        Its configuration.

    Returns
    -------
    str
        Its path or table, as the ledger writes it.
    """
    return _place(json.loads(canonical_json(source))) or ""


def check_not_empty(job: Job, source: SourceRows, place: str) -> None:
    """Refuse a source without rows, unless the job may leave its tables empty.

    Parameters
    ----------
    job
        ``allow_empty`` lets such a source through.
    source
        The source as it was opened.
    place
        Where it is.

    Raises
    ------
    SourceError
        The source has no row.
    """
    if not source.n_read and not job.allow_empty:
        raise SourceError(
            f"the source must have at least one row. {place} has none.",
            hint="nothing was written. If it is meant to be empty, --allow-empty leaves all tables "
            "empty.",
        )


def check_same_ids(own: DataType, theirs: DataType) -> None:
    """Refuse ids of a reference of another type than the source's.

    Parameters
    ----------
    own
        Type of the source's ids.
    theirs
        Type of the reference's ids.

    Raises
    ------
    SourceError
        They differ.
    """
    if own != theirs:
        raise SourceError(
            "the ids of source and reference must be of one type, as neighbor_id holds the "
            f"latter. Got {own.simpleString()} and {theirs.simpleString()}.",
            hint="cast one of them in a view.",
        )


def check_replacement(
    job: Job, stage: str, table: str, source: Compared, place: str, seen: DataFrame
) -> None:
    """Refuse to replace all rows of a table by mistake; else say how many vectors it costs. A
    :class:`SourceError` says that the table holds rows, and no row of the source can be embedded.

    Parameters
    ----------
    job
        ``replace`` and ``allow_empty`` allow what is refused otherwise.
    stage
        The stage that is about to begin the table anew.
    table
        The table.
    source
        The rows that are to be in it.
    place
        Where these are, see :func:`place_of_source`.
    seen
        The rows as the encoder would leave them, with their ``reason``. Rows are asked for until
        one is good.

    Raises
    ------
    OtherSourceError
        The table holds rows of a source in another place, or of another DataFrame, and none of
        them is in this one.
    """
    if not table_exists(job.spark, job.root, table):
        return
    old = read_table(job.spark, job.root, table)
    n_old = old.count()
    if not n_old:
        return
    if not job.allow_empty:
        _refuse_only_bad_rows(seen, source.rows.n_read, place, n_old)
    before = _place_before(job, stage)
    other = before not in (None, place) or table in job.frames  # a DataFrame has no place
    if not job.replace and other and not _share_rows(source, old):
        raise OtherSourceError(
            f"an output must belong to one source. {job.root.name(table)} has {n_old:,} rows "
            f"of {before}; none of them is in {place}.",
            hint="nothing was written. Give this job an output of its own, or put --replace on "
            "the command line (replace=True in Python) to replace all rows.",
        )
    job.listener.noticed(
        f"{stage}: none of the {n_old:,} vectors in {job.root.name(table)} can be used: all rows "
        "are embedded again"
    )


def _share_rows(source: Compared, old: DataFrame) -> bool:
    if old.schema[s.ID].dataType != source.rows.rows.schema[s.ID].dataType:
        return False
    return bool(compared_rows(source, old).filter("same").limit(1).count())


def _refuse_only_bad_rows(seen: DataFrame, n_read: int, place: str, n_old: int) -> None:
    if not n_read or seen.filter(F.col(s.REASON).isNull()).limit(1).count():
        return
    counted = seen.groupBy(s.REASON).count().orderBy(F.desc("count"), s.REASON).limit(_REASONS)
    reasons = ", ".join(f"{row[s.REASON]}: {row['count']:,}" for row in counted.collect())
    raise SourceError(
        f"at least one row of the source must be fit to be embedded, as {n_old:,} rows were "
        f"before. All {n_read:,} rows of {place} are not ({reasons}).",
        hint="nothing was written. If this is what you want, --allow-empty leaves the tables "
        "empty, with these rows in quarantine.",
    )


def _place_before(job: Job, stage: str) -> str | None:
    last = job.ledger.last(stage)
    if last is None:
        return None
    settings = json.loads(last.config)
    return _place(settings.get("source") or settings.get("reference") or {})


def _place(source: dict[str, Any]) -> str | None:
    """The place without credentials: the ledger has none, and they do not make another source."""
    shown = identifying(source)
    return next((shown[key] for key in _PLACE if shown.get(key)), None)
