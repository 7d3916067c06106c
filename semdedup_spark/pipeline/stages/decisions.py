"""The table ``overrides`` as stages read it: decisions about rows, by ids of the source's type."""

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
    """The overrides, for rows whose ids are of ``id_type``; ``None`` where there are none. Whole
    numbers of another width are the same ids.

    Raises :class:`SourceError` where the ids are of another kind: a decision of a person is neither
    dropped nor guessed.
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
        f"Got {id_type.simpleString()} for {own.simpleString()}; decided is about {shown}.",
        hint="let the id keep its type, in a view; or withdraw these decisions, with `semdedup "
        "restore --withdraw --id ID` and `semdedup remove --withdraw --id ID`, and decide again "
        "by the new ids; or give the job another output.",
    )
