"""A job: a configuration, a session, an output, and what this run may do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark.config import JobConfig
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.runs import Ledger, StageRecord
from semdedup_spark.tables.states import StateCache, TableState, table_state


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes
    ----------
    stage
        Name of the stage.
    rows
        Rows done, those of earlier runs included.
    total
        Rows to do in all.
    seconds
        Seconds since this run began the stage.
    before
        Rows that were done when this run began.
    rejected
        Rows sent to quarantine since; ``None`` where that is not known.
    """

    stage: str
    rows: int
    total: int
    seconds: float
    before: int = 0
    rejected: int | None = None


@dataclass(frozen=True)
class Listener:
    """Functions that are called with what happens in a job. By default they do nothing.

    Attributes
    ----------
    progress
        Called as a stage goes on.
    started
        Called with the name of a stage that is computed, and why.
    finished
        Called with the ledger's row of a stage that has ended.
    noticed
        Called with a sentence that a person should read.
    failed
        Called with the error that ends the work on the output, once, before it is raised.
    waiting
        Called with what is done now, where it belongs to no stage.
    """

    progress: Callable[[Progress], None] = lambda _: None
    started: Callable[[str, str], None] = lambda _stage, _why: None
    finished: Callable[[StageRecord], None] = lambda _: None
    noticed: Callable[[str], None] = lambda _: None
    failed: Callable[[Exception], None] = lambda _: None
    waiting: Callable[[str], None] = lambda _: None


class Turn:
    """The time in which one run may write to an output. The lease is taken when work begins, which
    is after what the source alone can refuse: such a run leaves no trace of a lease.

    Parameters
    ----------
    claim
        Takes the lease, or raises.
    states
        What the tables hold, valid while the lease is held.
    """

    def __init__(self, claim: Callable[[], None], states: StateCache) -> None:
        self._claim = claim
        self.states = states
        # Sources that were opened before their turn to be embedded, by the table of the vectors.
        self.opened: dict[str, SourceRows] = {}
        # Sources as this run embedded or reused them, by the same tables.
        self.read: dict[str, SourceRows] = {}
        # Fingerprints of sources of which this run has read all rows.
        self.whole: set[str] = set()
        self.holds = False
        # Whether a stage has been asked for.
        self.began_stage = False
        self.depth = 0

    def begin(self) -> None:
        """Take the lease, unless it is held already."""
        if not self.holds:
            self._claim()
            self.holds = True


@dataclass(frozen=True)
class Job:
    """One invocation: where it runs, what it was asked for, and its id.

    Attributes
    ----------
    spark
        The session that all work is done in.
    config
        What is to be done.
    root
        The output.
    run_id
        Name of the run in the ledger.
    ledger
        The table ``runs``.
    listener
        Who is told what happens.
    dry_run
        Whether stages only say what they would do.
    replace
        Whether rows of another source may be replaced.
    allow_empty
        Whether a source without usable rows may empty the tables.
    frames
        Rows in place of those of a source, by the table that holds their vectors.
    turns
        By run id, who may write now. Copies of a job share it, so that a copy with other settings
        works under the lease of its original, and one with another run id does not.
    """

    spark: SparkSession
    config: JobConfig
    root: OutputRoot
    run_id: str
    ledger: Ledger
    listener: Listener = field(default_factory=Listener)
    dry_run: bool = False
    replace: bool = False
    allow_empty: bool = False
    frames: Mapping[str, DataFrame] = field(default_factory=dict, repr=False, compare=False)
    turns: dict[str, Turn] = field(default_factory=dict, repr=False, compare=False)

    @property
    def turn(self) -> Turn | None:
        """The turn that this run has on the output, while it has one."""
        return self.turns.get(self.run_id)

    def alone(self) -> Job:
        """Leave the reference out, for work that does not need it.

        Returns
        -------
        Job
            The same job, under the same lease.
        """
        return replace(self, config=self.config.model_copy(update={"reference": None}))

    def begin(self) -> None:
        """Take the lease if this run has its turn on the output. Call it before the output is read
        to decide what to write. Without a turn, as in a dry run or for commands that only read, it
        does nothing.
        """
        if self.turn is not None:
            self.turn.begin()

    def state(self, table: str) -> TableState | None:
        """Tell what a table of the output holds. While the lease is held nobody else writes, so
        the history is read only once between two writes.

        Parameters
        ----------
        table
            Name of the table.

        Returns
        -------
        TableState | None
            ``None`` where there is no table, or another program changed its rows last.
        """
        if self.turn is not None and self.turn.holds:
            return self.turn.states.state(table)
        return table_state(self.spark, self.root, table, self.ledger.state_of)


def open_job(
    spark: SparkSession,
    config: JobConfig,
    *,
    run_id: str | None = None,
    listener: Listener | None = None,
    dry_run: bool = False,
    replace: bool = False,
    allow_empty: bool = False,
    frames: Mapping[str, DataFrame] | None = None,
) -> Job:
    """Make a job on this session. It holds no lease: the functions that write take it, each for
    its duration, and :func:`~semdedup_spark.pipeline.exclusive.held_output` for several of them.

    Parameters
    ----------
    spark
        The session that all work is done in.
    config
        What is to be done.
    run_id
        Name of the run in the ledger; by default made from the time. A run that is tried again may
        keep its name.
    listener
        Who is told of progress.
    dry_run
        Stages only say what they would do.
    replace
        Rows of another source, of which none is in this one, may be replaced.
    allow_empty
        A source without rows, or without a row that can be embedded, may leave the tables empty.
    frames
        DataFrames in place of the source and the reference, by the table that holds their vectors:
        ``embeddings`` and ``reference``. The configuration then names them as it would a table.

    Returns
    -------
    Job
        To be given to ``run_job`` or to the stages.
    """
    root = OutputRoot.parse(config.output)
    chosen = run_id or datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    return Job(
        spark,
        config,
        root,
        chosen,
        Ledger(spark, root),
        listener or Listener(),
        dry_run,
        replace,
        allow_empty,
        frames or {},
    )
