"""Counts that Spark takes while it writes a table."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Observation

from semdedup_spark.pipeline.job_context import Job


@dataclass(frozen=True)
class Observed:
    """Rows to be written, and what is counted in the write.

    Attributes
    ----------
    rows
        The rows that must be written.
    observation
        The counts, ``None`` if the output's tables have names.
    aggregates
        What is counted.
    """

    rows: DataFrame
    observation: Observation | None
    aggregates: tuple[Column, ...] = ()

    def counts(self) -> dict[str, int]:
        """Return the counts, after the rows were written.

        Returns
        -------
        dict[str, int]
            Counts by their names; empty if nothing could be counted.
        """
        seen = {} if self.observation is None else self.observation.get
        return {name: int(value or 0) for name, value in seen.items()}

    def counts_of(self, written: DataFrame) -> dict[str, int]:
        """Return the counts, from the rows that were written where the write did not tell them.

        Parameters
        ----------
        written
            The same rows, as they are stored.

        Returns
        -------
        dict[str, int]
            Counts by their names.
        """
        if self.observation is not None:
            return self.counts()
        row = written.agg(*self.aggregates).first()
        return {} if row is None else {k: int(v or 0) for k, v in row.asDict().items()}


def observe(job: Job, rows: DataFrame, *counts: Column) -> Observed:
    """Count in the write of rows, which spares reading them again.

    Parameters
    ----------
    job
        The job that writes the rows.
    rows
        The rows to be written, or rows that they are made of.
    *counts
        Aggregates with names.

    Returns
    -------
    Observed
        The rows, and the counts to come.
    """
    # A write to a named table is a command within a command. Spark 4.1 loses what was observed in
    # it, and asking for that then fails: there are no counts for outputs of named tables.
    if job.root.is_catalog:
        return Observed(rows, None, counts)
    observation = Observation()
    return Observed(rows.observe(observation, *counts), observation, counts)
