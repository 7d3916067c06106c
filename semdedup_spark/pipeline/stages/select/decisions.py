"""Read decisions of people: about rows, and about pairs of rows."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.schema.comments import COMMENTS
from semdedup_spark.tables.catalog import read_table, table_exists

_SHOWN = 5


def count_decisions(job: Job) -> int:
    """Count the rows that people decided about.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    int
        Number of rows of ``overrides``.
    """
    rows = rows_if_any(job, s.OVERRIDES)
    return 0 if rows is None else rows.count()


def rows_if_any(job: Job, table: str) -> DataFrame | None:
    """Read a table that is there only once somebody has decided something.

    Parameters
    ----------
    job
        The job.
    table
        One of ``BY_PEOPLE``.

    Returns
    -------
    DataFrame | None
        Its rows; ``None`` where there is no such table.

    Raises
    ------
    SourceError
        Somebody made it by SQL without one of its columns.
    """
    if not table_exists(job.spark, job.root, table):
        return None
    rows = read_table(job.spark, job.root, table)
    missing = [name for name in COMMENTS[table] if name not in rows.columns]
    if missing:
        raise SourceError(
            f"the table {table} must have the columns {', '.join(COMMENTS[table])}. It has "
            f"{', '.join(rows.columns)}.",
            hint=f"make it again with all of them: docs/reference/tables.md says what {missing[0]} "
            "means.",
        )
    return rows


def decisions(job: Job, id_type: DataType) -> DataFrame | None:
    """Read the decisions about rows. Ids that are whole numbers of another width are the same ids.

    Parameters
    ----------
    job
        The job.
    id_type
        Type of the ids of the rows.

    Returns
    -------
    DataFrame | None
        Rows of ``overrides``; ``None`` where there are none.

    Notes
    -----
    :class:`SourceError` where the ids of ``overrides`` are of another type. A decision of a person
    is not dropped, and what it would mean now is not guessed.
    """
    return _of_type(
        job,
        s.OVERRIDES,
        {s.ID: id_type},
        "withdraw these decisions, with `semdedup restore --withdraw --id ID` and `semdedup remove "
        "--withdraw --id ID`, and decide again by the new ids",
    )


def pairs_apart(job: Job, id_type: DataType, survivor_type: DataType) -> DataFrame | None:
    """Read the pairs that people keep apart.

    Parameters
    ----------
    job
        The job.
    id_type
        Type of the ids of the rows.
    survivor_type
        Type of the ids of their survivors.

    Returns
    -------
    DataFrame | None
        Columns id and survivor_id; ``None`` where there are none. Without a reference each pair is
        there in both directions: which row ranks first may have changed since.

    Notes
    -----
    :class:`SourceError` where the ids are of another type, as :func:`decisions` raises it.
    """
    return _pairs(job, s.NEVER_MERGE, id_type, survivor_type)


def pairs_together(job: Job, id_type: DataType, survivor_type: DataType) -> DataFrame | None:
    """Read the pairs that people called duplicates. Directions and errors are those of
    :func:`pairs_apart`.

    Parameters
    ----------
    job
        The job.
    id_type
        Type of the ids of the rows.
    survivor_type
        Type of the ids of their survivors.

    Returns
    -------
    DataFrame | None
        Columns id and survivor_id; ``None`` where there are none.
    """
    return _pairs(job, s.ALSO_MERGE, id_type, survivor_type)


def _pairs(job: Job, table: str, id_type: DataType, survivor_type: DataType) -> DataFrame | None:
    kinds = {s.ID: id_type, s.SURVIVOR_ID: survivor_type}
    hint = f"drop the table {table}, and audit again by the new ids"
    rows = _of_type(job, table, kinds, hint)
    if rows is None:
        return None
    pairs = rows.select(s.ID, s.SURVIVOR_ID)
    if job.config.reference is None:
        pairs = pairs.unionByName(pairs.toDF(s.SURVIVOR_ID, s.ID))
    return pairs.distinct()


def _of_type(job: Job, table: str, kinds: Mapping[str, DataType], way_out: str) -> DataFrame | None:
    rows = rows_if_any(job, table)
    if rows is None:
        return None
    for name, kind in kinds.items():
        own = rows.schema[name].dataType
        if own == kind:
            continue
        if isinstance(own, IntegralType) and isinstance(kind, IntegralType):
            rows = rows.withColumn(name, F.col(name).cast("bigint"))
            continue
        few = [row[0] for row in rows.select(name).orderBy(name).limit(_SHOWN + 1).collect()]
        if not few:
            return None
        shown = ", ".join(map(repr, few[:_SHOWN])) + (", ..." if few[_SHOWN:] else "")
        raise SourceError(
            f"ids must be of the type that the table {table} has, as it holds decisions about "
            f"rows. Got {kind.simpleString()} for {own.simpleString()}; there are decisions about "
            f"{shown}.",
            hint=f"let the id keep its type, in a view; or {way_out}; or give the job another "
            "output.",
        )
    return rows
