"""Guards of an output against its source: an empty or another source empties it only if told to."""

from __future__ import annotations

import json

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import OtherSourceError, SourceError
from semdedup_spark.masking import identifying
from semdedup_spark.paths import absolute
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.row_identity import HASHES
from semdedup_spark.pipeline.stages.embed.source_changes import Compared, compared_rows
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import read_table, table_exists

_REASONS = 5
# Columns that rows must have to be compared with those of a source.
_COMPARED = {s.ID, s.CONTENT_HASH, s.BATCH}


def place_of_source(job: Job, source: SourceConfig, table: str) -> str:
    """Name the place of a source, in the same way from every working directory and schema.

    Parameters
    ----------
    job
        The job. A DataFrame of its own has no place but the name that its configuration gives.
    source
        The configuration of the source.
    table
        The table of its embeddings.

    Returns
    -------
    str
        Its absolute path, or the full name of its table. Credentials are left out: they do not
        make another source.
    """
    if table in job.frames:
        return _shown(source.table or "")
    return _whole(job.spark, source.path, source.table) or ""


def check_not_empty(job: Job, rows: SourceRows, source: SourceConfig, table: str) -> None:
    """Refuse a source without rows, unless the job may leave its tables empty.

    Parameters
    ----------
    job
        ``allow_empty`` lets such a source through.
    rows
        The source as it was opened.
    source
        Its configuration.
    table
        The table of its embeddings.

    Raises
    ------
    SourceError
        The source has no row.
    """
    if not rows.n_read and not job.allow_empty:
        raise SourceError(
            "the source must have at least one row. "
            f"{place_of_source(job, source, table)} has none.",
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


def check_same_length(own: SourceRows, theirs: SourceRows) -> None:
    """Refuse ready-made vectors of a reference of another length than the source's.

    Parameters
    ----------
    own
        The source.
    theirs
        The reference.

    Raises
    ------
    SourceError
        The usual lengths of their vectors differ.
    """
    # A source without a single vector has length 1.
    lengths = {side.dimension for side in (own, theirs) if side.n_read and side.dimension != 1}
    if len(lengths) > 1:
        raise SourceError(
            f"the vectors of the reference must have {own.dimension} numbers, as those of the "
            f"source have. Got {theirs.dimension}.",
            hint="make both with one encoder, or name the column of the other vectors in "
            "reference.content.",
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
        The table holds rows of a source in another place, in one that neither its mark nor the
        ledger tells, or of another DataFrame, and none of them is in this one.
    """
    if not table_exists(job.spark, job.root, table):
        return
    old = read_table(job.spark, job.root, table)
    n_old = old.count()
    if not n_old:
        return
    if not job.allow_empty:
        _refuse_only_bad_rows(seen, source.rows.n_read, place, n_old)
    before = _place_before(job, stage, table)
    other = before != place or table in job.frames  # a DataFrame has no place
    if not job.replace and other and not _share_rows(source, old):
        raise OtherSourceError(
            f"an output must belong to one source. {job.root.name(table)} has {n_old:,} rows "
            f"of {before or 'a source that nothing names'}; none of them is in {place}.",
            hint="nothing was written. Give this job an output of its own, or put --replace on "
            "the command line (replace=True in Python) to replace all rows.",
        )
    job.listener.noticed(
        f"{stage}: none of the {n_old:,} vectors in {job.root.name(table)} can be used: all rows "
        "are embedded again"
    )


def _share_rows(source: Compared, old: DataFrame) -> bool:
    told = {s.SOURCE} if s.SOURCE in old.columns else set(HASHES)
    if not set(old.columns) >= _COMPARED | told:  # another program's table
        return False
    if old.schema[s.ID].dataType != source.rows.rows.schema[s.ID].dataType:
        return False
    return bool(compared_rows(source, old, same_order=False).filter("same").limit(1).count())


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


def _place_before(job: Job, stage: str, table: str) -> str | None:
    """The place in the table's mark, which the first commit carries. Outputs of release 0.2 have
    only what the ledger says: the place as the job file named it, after the first run was done.
    """
    state = job.state(table)
    if state is not None and state.mark.place:
        return state.mark.place
    last = job.ledger.last(stage)
    if last is None:
        return None
    settings = json.loads(last.config)
    source = settings.get("source") or settings.get("reference") or {}
    return _whole(job.spark, source.get("path"), source.get("table"))


def _whole(spark: SparkSession, path: str | None, table: str | None) -> str | None:
    if path:
        return _shown(absolute(path))
    return _shown(_full_name(spark, table)) if table else None


def _full_name(spark: SparkSession, table: str) -> str:
    """The name of a table with its catalog and schema. A view of this session has none."""
    try:
        found = spark.catalog.getTable(table)
    except AnalysisException:  # no table is there now
        return table
    return ".".join([*filter(None, [found.catalog]), *(found.namespace or []), found.name])


def _shown(place: str) -> str:
    return str(identifying({"path": place})["path"])
