"""The run ledger: one row for each stage of each run, one for each failure, and what may be
reused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.tables.catalog import OutputRoot, read_table, table_exists
from semdedup_spark.tables.commits.write import append_note
from semdedup_spark.tables.literal_rows import few_rows
from semdedup_spark.tables.marks import StageMark, read_mark
from semdedup_spark.tables.states import TableState
from semdedup_spark.visible import masked_repr

# Seconds of work that a killed process may lose. A commit to the ledger takes as long as the work
# of a stage on a small table.
AT_RISK_SECONDS = 30.0
# The smallest difference of two timestamps in the ledger.
_TICK = timedelta(microseconds=1)
_NEVER = datetime(1, 1, 1, tzinfo=timezone.utc)


@masked_repr
@dataclass(frozen=True)
class StageRecord:
    """A row of the table ``runs``.

    Attributes
    ----------
    run_id
        Name of the invocation.
    stage
        Name of the stage; ``select:NAME`` for a named selection; ``failed`` for what ended a run.
    started_at
        When the stage began, UTC.
    seconds
        Wall time of the stage, in seconds.
    reused
        Whether an earlier output was still valid and nothing was computed.
    why
        Why the stage was computed or reused, in words. Of a failure: what it was.
    config
        Settings that decide the result, as JSON, without secrets.
    config_hash
        SHA-256 of ``config``, in hex.
    result_key
        Identity of the output.
    inputs
        Identity of what the stage read, by name.
    outputs
        Delta versions of the tables that hold the result, by table.
    counts
        Numbers of rows, by what they count.
    metrics
        Measured numbers, by name.
    software
        Versions of the software, by name.
    marks
        The mark of each of ``outputs`` as JSON, by table. Empty in rows of release 0.1.
    """

    run_id: str
    stage: str
    started_at: datetime
    seconds: float
    reused: bool
    why: str
    config: str
    config_hash: str
    result_key: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)


class Ledger:
    """The table ``runs`` as one invocation sees it. It is read when it is first asked, which is
    after the lease of the output was taken, and appended to as stages end.

    Parameters
    ----------
    spark
        The session that reads and writes.
    root
        The output that the table lies in.
    """

    def __init__(self, spark: SparkSession, root: OutputRoot) -> None:
        self._spark = spark
        self._root = root
        self._pending: list[StageRecord] = []
        # Rows that were the newest of their stages at some time since the table was read.
        self._seen: list[StageRecord] = []
        self._newest = _NEVER  # beginning of the newest row

    def reload(self) -> None:
        """Read the table anew when it is asked next. Rows that a failed call left unwritten are
        dropped.
        """
        self.__dict__.pop("_last", None)
        self._pending.clear()
        self._seen.clear()

    @cached_property
    def _last(self) -> dict[str, StageRecord]:
        last = _last_records(self._spark, self._root)
        self._newest = max((record.started_at for record in last.values()), default=_NEVER)
        last.pop(s.FAILED, None)
        self._seen = list(last.values())
        return last

    def last(self, stage: str) -> StageRecord | None:
        """Find the newest row of a stage.

        Parameters
        ----------
        stage
            Name of the stage.

        Returns
        -------
        StageRecord | None
            ``None`` where the stage has not run here.
        """
        return self._last.get(stage)

    def last_before(self, stage: str, later: StageRecord) -> StageRecord | None:
        """Find the newest row of a stage at the time of a row of another stage.

        Parameters
        ----------
        stage
            Name of the stage.
        later
            A row of the ledger.

        Returns
        -------
        StageRecord | None
            ``None`` where there is none, or none any more.
        """
        _ = self._last
        seen = [r for r in self._seen if r.stage == stage and r.started_at < later.started_at]
        if seen:  # all other rows of the stage are older
            return max(seen, key=lambda record: record.started_at)
        before = _last_records(self._spark, self._root, before=later.started_at)
        return before.get(stage)

    def records(self) -> list[StageRecord]:
        """List the newest row of every stage.

        Returns
        -------
        list[StageRecord]
            In the order in which the stages ran.
        """
        return list(self._last.values())

    def selections(self) -> list[tuple[str | None, StageRecord]]:
        """List the newest row of every selection.

        Returns
        -------
        list[tuple[str | None, StageRecord]]
            The selection's name, ``None`` for the one without, and the row.
        """
        stages = ((record.stage.partition(":"), record) for record in self.records())
        return [(name or None, record) for (kind, _, name), record in stages if kind == "select"]

    def state_of(self, table: str) -> TableState | None:
        """Tell what a table held when its stage was last recorded.

        Parameters
        ----------
        table
            Name of the table.

        Returns
        -------
        TableState | None
            ``None`` where no record has it.
        """
        makers = [record for record in self._last.values() if table in record.marks]
        if not makers:
            return None
        newest = max(makers, key=lambda record: record.started_at)
        mark = read_mark(newest.marks[table], self._root.name(table))
        return None if mark is None else TableState(newest.outputs[table], mark)

    def add(self, record: StageRecord) -> None:
        """Add a row. It is written at once where a process that is killed would lose more work
        than :data:`AT_RISK_SECONDS`; otherwise it waits for the next one, or for :meth:`flush`.
        The ledger is ordered by ``started_at``, and clocks are set back: a row never begins before
        those that are there.

        Parameters
        ----------
        record
            The row.
        """
        record = self._after_all(record)
        self._last[record.stage] = record
        self._seen.append(record)
        self._pending.append(record)
        if sum(row.seconds for row in self._pending if not row.reused) > AT_RISK_SECONDS:
            self.flush()

    def add_failure(self, run_id: str, why: str) -> None:
        """Write down at once that a run failed. It changes nothing that may be reused.

        Parameters
        ----------
        run_id
            Name of the run.
        why
            What it failed of, without anything that the data says.
        """
        now = datetime.now(timezone.utc)
        record = StageRecord(run_id, s.FAILED, now, 0.0, False, why, "{}", "", "")
        self._pending.append(self._after_all(record))
        self.flush()

    def _after_all(self, record: StageRecord) -> StageRecord:
        _ = self._last
        self._newest = max(record.started_at, self._newest + _TICK)
        return replace(record, started_at=self._newest)

    def flush(self) -> None:
        """Append the rows that were added since the last time, in one commit."""
        if not self._pending:
            return
        newest = self._pending[-1]
        rows = [tuple(asdict(record).values()) for record in self._pending]
        frame = few_rows(self._spark, rows, s.RUNS_DDL)
        mark = StageMark(newest.run_id, newest.stage, newest.result_key)
        append_note(frame, self._root, s.RUNS, mark)
        self._pending.clear()


def _last_records(
    spark: SparkSession, root: OutputRoot, *, before: datetime | None = None
) -> dict[str, StageRecord]:
    """The newest row of each stage, by its name; of those that began before a time, if given."""
    if not table_exists(spark, root, s.RUNS):  # the first run here
        return {}
    ledger = read_table(spark, root, s.RUNS)
    if before is not None:
        ledger = ledger.filter(F.col("started_at") < F.lit(before))
    newest = ledger.groupBy(s.STAGE).agg(F.max_by(F.struct("*"), "started_at").alias("record"))
    # One row for each stage. They are sorted, because the order of Spark's groups is arbitrary.
    rows = newest.select("record.*").collect()
    rows.sort(key=lambda row: (row["started_at"], row[s.STAGE]))
    names = [f.name for f in fields(StageRecord)]
    # A ledger of release 0.1 has no marks; rows that it wrote into a newer ledger have none.
    found = (row.asDict() for row in rows)
    known = ({n: row[n] for n in names if row.get(n) is not None} for row in found)
    records = [StageRecord(**row) for row in known]
    # Spark hands timestamps over as local time without a zone.
    return {r.stage: replace(r, started_at=r.started_at.astimezone(timezone.utc)) for r in records}
