"""What is kept and what is removed of a DataFrame of Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.config import parse_config
from semdedup_spark.errors import HorizonError
from semdedup_spark.frames.horizon import check_eps, refuse_share
from semdedup_spark.in_memory.explanation import Explained, Link
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.job import JobSummary
from semdedup_spark.pipeline.job_context import Job, open_job
from semdedup_spark.pipeline.queries.explain import run_explain
from semdedup_spark.pipeline.queries.read_selection import read_selection
from semdedup_spark.pipeline.queries.report_data import run_overview
from semdedup_spark.pipeline.queries.tune import run_tune
from semdedup_spark.pipeline.stages.select.select import run_select
from semdedup_spark.report.verdict import uncounted
from semdedup_spark.tables.catalog import read_table

_TUNING = "eps double, kept double, removed bigint, in_groups double"


@dataclass(frozen=True)
class DeduplicatedFrame:
    """The result of :func:`semdedup_spark.deduplicate` for a DataFrame of Spark.

    Attributes
    ----------
    job
        The job that made it, for the functions of ``semdedup_spark.pipeline``. Its tables lie in
        ``job.config.output``.
    summary
        Counts of the run.
    """

    job: Job
    summary: JobSummary

    def __len__(self) -> int:
        return self.summary.kept

    def __repr__(self) -> str:
        read, kept, removed = self.summary.read, self.summary.kept, self.summary.removed
        return (
            f"DeduplicatedFrame(read={read}, kept={kept}, removed={removed}, "
            f"quarantined={self.summary.quarantined}, eps={self.summary.eps:g}, "
            f"output={masked(self.job.config.output)!r})"
        )

    @property
    def kept(self) -> DataFrame:
        """The rows that stay, with the columns that came in: the table ``deduplicated``."""
        return read_selection(self.job.spark, self.job.config.output).deduplicated

    @property
    def removed(self) -> DataFrame:
        """The rows that go, each with the row that stands for it: the table ``duplicates``."""
        return read_selection(self.job.spark, self.job.config.output).duplicates

    @property
    def quarantined(self) -> DataFrame:
        """The rows that could not be embedded, with the reason: the table ``quarantine``."""
        return self._table(s.QUARANTINE)

    @property
    def assignment(self) -> DataFrame:
        """All rows that were read, and what became of each: the table of this name."""
        return read_selection(self.job.spark, self.job.config.output).assignment

    def at(self, eps: float) -> DeduplicatedFrame:
        """Select at another threshold. Nothing is embedded or compared again; the tables
        ``deduplicated`` and ``duplicates`` of the output are those of this threshold then.

        Parameters
        ----------
        eps
            The threshold, above 0 and at most ``eps_max``.

        Returns
        -------
        DeduplicatedFrame
            The same rows at this threshold.

        Notes
        -----
        What it calls raises ``HorizonError`` where ``eps`` is above ``eps_max``.
        """
        check_eps(eps, self.job.config.score.eps_max)
        return self._selected({"eps": eps})

    def keep(self, share: float) -> DeduplicatedFrame:
        """Select so that at least a share of the rows stays; see ``select.keep``.

        Parameters
        ----------
        share
            Share of the rows to keep, above 0 and below 1.

        Returns
        -------
        DeduplicatedFrame
            The same rows at that threshold.

        Notes
        -----
        What it calls raises ``HorizonError`` where only an eps beyond ``eps_max`` keeps so few
        rows.
        """
        try:
            return self._selected({"eps": None, "keep": share})
        except HorizonError:  # its hint names keys of a job file
            refuse_share(share, self.job.config.score.eps_max)

    def tune(self, eps: Sequence[float] = ()) -> DataFrame:
        """Show what other thresholds would keep. Nothing is written.

        Parameters
        ----------
        eps
            Thresholds, each above 0 and below 1. By default a usual grid up to the horizon.

        Returns
        -------
        DataFrame
            Columns eps, kept (the fraction of the rows that were embedded), removed (their
            number), and in_groups (the fraction that has a duplicate, before or after it; at
            least, where there is no reference).
        """
        found = run_tune(self.job, eps_grid=tuple(eps))
        if found.overrides:
            self.job.listener.noticed(uncounted(found.overrides))
        lines = list(zip(*found.as_columns().values(), strict=True))
        return self.job.spark.createDataFrame(lines, _TUNING)

    def explain(self, id: Any) -> Explained:  # noqa: A002
        """Tell why a row was kept or removed.

        Parameters
        ----------
        id
            The row's id.

        Returns
        -------
        Explained
            Its survivor and the way to it; ``print`` shows it. Of the rows that a kept row stands
            for it names twenty at most.

        Notes
        -----
        What it calls raises ``UnknownRowError`` where there is no such row.
        """
        told = run_explain(self.job, str(id))
        links = [Link(a.id, a.neighbor_id, a.similarity or 0.0) for a in told.chain]
        survivor = told.id if told.fate == s.KEPT else told.survivor_id
        rejected = told.fate == s.QUARANTINED and told.rejections
        return Explained(
            told.id,
            told.fate,
            survivor,
            tuple(links),
            tuple(row.id for row in told.absorbed),
            told.rejections[0].reason if rejected else "",
        )

    def report(self, path: str | PathLike[str]) -> Path:
        """Write one HTML file to read and to share. Needs the extra ``report``.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The same.
        """
        from semdedup_spark.report.html import save_report

        save_report(run_overview(self.job), Path(path))
        return Path(path)

    def _selected(self, select: dict[str, Any]) -> DeduplicatedFrame:
        tree = self.job.config.model_dump(exclude={"select"}) | {"select": select}
        job = open_job(
            self.job.spark,
            parse_config(tree),
            listener=self.job.listener,
            frames=self.job.frames,
        )
        record = run_select(job)
        counts = record.counts
        summary = JobSummary(
            counts["read"],
            counts["kept"],
            counts["removed"],
            counts["quarantined"],
            record.metrics["eps"],
            (record,),
        )
        return DeduplicatedFrame(job, summary)

    def _table(self, name: str) -> DataFrame:
        return read_table(self.job.spark, self.job.root, name)
