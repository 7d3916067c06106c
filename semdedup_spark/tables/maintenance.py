"""Housekeeping by SQL: fewer small files, no old ones, and a ledger that does not grow for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError
from semdedup_spark.tables.catalog import OutputRoot, history, read_table
from semdedup_spark.tables.states import LEAVE_FILES, VACUUM_END, VACUUM_START, note_write
from semdedup_spark.visible import masked_repr

# Delta's own limit: readers and writers may still use younger files.
SHORTEST_RETENTION_HOURS = 168
_LOOK_BACK = 50
_RETENTION = "delta.deletedFileRetentionDuration"
# With it even a single file may hold deleted rows, which OPTIMIZE drops.
_DELETION_VECTORS = "delta.enableDeletionVectors"


@masked_repr
@dataclass(frozen=True)
class Tidied:
    """What housekeeping did to a table.

    Attributes
    ----------
    table
        Name of the table.
    files_before
        Number of its files before OPTIMIZE.
    files_after
        Number of its files after it.
    bytes_now
        Bytes of the newest version.
    spared
        What was not done, and why.
    """

    table: str
    files_before: int
    files_after: int
    bytes_now: int
    spared: tuple[str, ...] = ()


def tidy_table(
    spark: SparkSession, root: OutputRoot, table: str, *, retain_hours: int, compact: bool = True
) -> Tidied:
    """OPTIMIZE, then VACUUM what no version younger than ``retain_hours`` needs, each only where it
    may find something. Rows stay as they are, and so do results that later runs would reuse.

    Parameters
    ----------
    spark
        The session that writes.
    root
        The output that the table lies in.
    table
        Name of the table.
    retain_hours
        Hours, at least 168. A longer time that the table itself asks for is respected.
    compact
        Whether OPTIMIZE may write rows anew. Not in a clone, whose rows lie in another table.

    Returns
    -------
    Tidied
        What was done.

    Raises
    ------
    ConfigError
        The retention is below 168 hours.
    """
    if retain_hours < SHORTEST_RETENTION_HOURS:
        raise ConfigError(
            f"the retention must be at least {SHORTEST_RETENTION_HOURS} hours. Got {retain_hours}.",
            hint="a run or a reader may still use younger files; for erasure see "
            "docs/how-to/undo.md.",
        )
    name = root.name(table)
    files, size, properties = _detail(spark, name)
    retain_hours = max(retain_hours, _own_retention_hours(spark, properties))
    commits = history(spark, root, table, limit=_LOOK_BACK)
    if is_tidy(commits, retain_hours):
        return Tidied(table, files, files, size, ("nothing was replaced since the last VACUUM",))
    steps, spared = [], []
    if not compact:
        spared.append("a clone: its rows are those of the source")
    elif files > 1 or properties.get(_DELETION_VECTORS) == "true":
        steps.append(f"OPTIMIZE {name}")
    else:
        spared.append(f"{'one' if files else 'no'} file: nothing to compact")
    if is_young(commits, retain_hours):
        spared.append(f"nothing is {retain_hours} hours old yet")
    else:
        steps.append(f"VACUUM {name} RETAIN {retain_hours} HOURS")
    if not steps:
        return Tidied(table, files, files, size, tuple(spared))
    try:
        for step in steps:
            spark.sql(step).limit(1).collect()
    finally:
        note_write(root, table)
    after, size, _ = _detail(spark, name)
    return Tidied(table, files, after, size, tuple(spared))


def _own_retention_hours(spark: SparkSession, properties: Mapping[str, str]) -> int:
    """The retention that the table's properties set; Delta refuses a VACUUM with a shorter one."""
    asked = properties.get(_RETENTION)
    if asked is None:
        return 0
    moment = F.lit("2020-01-01").cast("timestamp")
    waited = F.unix_timestamp(moment + F.lit(asked).cast("interval")) - F.unix_timestamp(moment)
    return -(-int(spark.range(1).select(waited).collect()[0][0]) // 3600)


def is_tidy(commits: Sequence[Row], retain_hours: int) -> bool:
    """Tell whether no file was replaced since a VACUUM that could already remove what had been
    before. Each further one would be a commit, and in time these push the last write out of Delta's
    log, by which results are known.

    Parameters
    ----------
    commits
        Rows of ``DESCRIBE HISTORY``, newest first.
    retain_hours
        How long a replaced file must be kept, in hours.

    Returns
    -------
    bool
        Whether another VACUUM would find nothing.
    """
    # OPTIMIZE replaces files, too: the small files that it merged are old afterwards.
    replaced = next((c["timestamp"] for c in commits if c["operation"] not in LEAVE_FILES), None)
    ended = [number for number, c in enumerate(commits) if c["operation"] == VACUUM_END]
    if replaced is None or not ended:
        return False
    begun = (c for c in commits[ended[0] :] if c["operation"] == VACUUM_START)
    asked = dict(next(begun, {"operationParameters": {}})["operationParameters"] or {})
    hours = int(asked.get("specifiedRetentionMillis") or 0) / 3_600_000
    waited: timedelta = commits[ended[0]]["timestamp"] - replaced
    return waited > timedelta(hours=max(retain_hours, hours))


def is_young(commits: Sequence[Row], retain_hours: int) -> bool:
    """Tell whether a table began so lately that each replaced file must still be kept. What a first
    write that was killed left before is found by a later VACUUM.

    Parameters
    ----------
    commits
        Rows of ``DESCRIBE HISTORY``, newest first. Where the first commit of the table is not among
        them, nothing is known.
    retain_hours
        How long a replaced file must be kept, in hours.

    Returns
    -------
    bool
        Whether a VACUUM would find no file that a commit replaced.
    """
    if not commits or int(commits[-1]["version"]) != 0:
        return False
    age: timedelta = datetime.now() - commits[-1]["timestamp"]  # Spark's times are local
    return age < timedelta(hours=retain_hours)


def trim_rows(spark: SparkSession, root: OutputRoot, table: str, *, older_than_days: int) -> None:
    """Forget old rows of ``runs`` or ``leases``, but not a stage's newest row, by which it is
    known whether its result may be reused.

    Parameters
    ----------
    spark
        The session that writes.
    root
        The output that the table lies in.
    table
        ``runs`` or ``leases``.
    older_than_days
        Rows that are older than so many days go.
    """
    name = root.name(table)
    moment = "started_at" if table == s.RUNS else "happened_at"
    spared = _newest_of_stages(spark, root) if table == s.RUNS else ""
    old = f"{moment} < current_timestamp() - INTERVAL {int(older_than_days)} DAYS"
    spark.sql(f"DELETE FROM {name} WHERE {old} {spared}").collect()


def _newest_of_stages(spark: SparkSession, root: OutputRoot) -> str:
    newest = F.unix_micros(F.max("started_at"))
    stages = read_table(spark, root, s.RUNS).filter(F.col(s.STAGE) != s.FAILED)
    rows = stages.groupBy(s.STAGE).agg(newest).collect()  # few
    moments = ", ".join(str(int(row[1])) for row in rows)
    return f"AND unix_micros(started_at) NOT IN ({moments})" if moments else ""


def _detail(spark: SparkSession, name: str) -> tuple[int, int, Mapping[str, str]]:
    """Number of files, bytes and properties of a table."""
    columns = ("numFiles", "sizeInBytes", "properties")
    row = spark.sql(f"DESCRIBE DETAIL {name}").select(*columns).first()
    return (0, 0, {}) if row is None else (int(row[0]), int(row[1]), row[2] or {})
