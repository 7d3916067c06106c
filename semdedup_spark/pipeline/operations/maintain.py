"""Housekeeping of a whole output."""

from __future__ import annotations

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.commits.views import is_view
from semdedup_spark.tables.maintenance import (
    SHORTEST_RETENTION_HOURS,
    Tidied,
    tidy_table,
    trim_rows,
)

_LEDGERS = (s.RUNS, s.LEASES)


@exclusive
def maintain(
    job: Job, *, retain_hours: int = SHORTEST_RETENTION_HOURS, ledger_days: int = 365
) -> list[Tidied]:
    """OPTIMIZE and VACUUM every table that the ledger knows, after old rows of ``runs`` and
    ``leases`` are gone.

    Parameters
    ----------
    job
        The job.
    retain_hours
        Hours, at least 168: files that younger versions need stay.
    ledger_days
        Days after which rows of ``runs`` and ``leases`` go.

    Returns
    -------
    list[Tidied]
        What was done to each table.
    """
    there = [t for t in _known_tables(job) if table_exists(job.spark, job.root, t)]
    tables = [t for t in there if not is_view(job.spark, job.root, t)]
    for table in _LEDGERS:
        if table in tables:
            trim_rows(job.spark, job.root, table, older_than_days=ledger_days)
    return [
        tidy_table(job.spark, job.root, t, retain_hours=retain_hours, compact=not _is_clone(t))
        for t in tables
    ]


def _is_clone(table: str) -> bool:
    """Whether to compact it would copy the rows that it shows."""
    return table.startswith(f"{s.CLONED}_")


def _known_tables(job: Job) -> list[str]:
    if not table_exists(job.spark, job.root, s.RUNS):
        return []
    ledger = read_table(job.spark, job.root, s.RUNS)
    written = ledger.select(F.explode(F.map_keys("outputs"))).distinct().collect()  # some ten
    return sorted({row[0] for row in written} | {*_LEDGERS, *s.BY_PEOPLE})
