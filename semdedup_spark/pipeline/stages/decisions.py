"""Read the table ``overrides``: decisions of people about rows."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table, table_exists

_SHOWN = 5


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

    Raises
    ------
    SourceError
        The ids of ``overrides`` are of another type. A decision of a person is not dropped, and
        what it would mean now is not guessed.
    """
    if not table_exists(job.spark, job.root, s.OVERRIDES):
        return None
    rows = read_table(job.spark, job.root, s.OVERRIDES)
    own = rows.schema[s.ID].dataType
    if own == id_type:
        return rows
    if isinstance(own, IntegralType) and isinstance(id_type, IntegralType):
        return rows.withColumn(s.ID, F.col(s.ID).cast("bigint"))
    few = [row[0] for row in rows.select(s.ID).orderBy(s.ID).limit(_SHOWN + 1).collect()]
    if not few:
        return None
    shown = ", ".join(map(repr, few[:_SHOWN])) + (", ..." if few[_SHOWN:] else "")
    raise SourceError(
        f"ids must be of the type that the table overrides has, as it holds decisions about rows. "
        f"Got {id_type.simpleString()} for {own.simpleString()}; there are decisions about "
        f"{shown}.",
        hint="let the id keep its type, in a view; or withdraw these decisions, with `semdedup "
        "restore --withdraw --id ID` and `semdedup remove --withdraw --id ID`, and decide again "
        "by the new ids; or give the job another output.",
    )
