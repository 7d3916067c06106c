"""The stages of a job one by one, for who holds DataFrames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark import schema as s
from semdedup_spark.config import parse_config
from semdedup_spark.pipeline.exclusive import working
from semdedup_spark.pipeline.job_context import Job, open_job
from semdedup_spark.pipeline.queries.read_selection import read_selection
from semdedup_spark.pipeline.stages.cluster import run_cluster
from semdedup_spark.pipeline.stages.embed.embed import run_embed, run_reference
from semdedup_spark.pipeline.stages.score import run_score
from semdedup_spark.pipeline.stages.select.select import run_select
from semdedup_spark.report.console import console_listener
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord

# What the ledger calls a source that has no place of its own.
FRAME = "dataframe"


class OpenOutput:
    """An output that is being worked on, from :func:`open_output`.

    Each method runs a stage, or reuses what an earlier run left, and returns its table. A stage
    takes the tables that the stages before it left, in this session or earlier.

    Parameters
    ----------
    job
        The job, which may write.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def embed(self, df: DataFrame, reference: DataFrame | None = None) -> DataFrame:
        """Embed rows.

        Parameters
        ----------
        df
            The rows. They are read several times, and must be the same each time.
        reference
            The rows of the reference, where the configuration has one.

        Returns
        -------
        DataFrame
            The table ``embeddings``.
        """
        frames = {s.EMBEDDINGS: df}
        if reference is not None:
            frames[s.REFERENCE] = reference
        self.job = replace(self.job, frames=frames)
        record = run_embed(self.job if reference is not None else self.job.alone())
        if reference is not None:
            run_reference(self.job)
        return self._read(record, s.EMBEDDINGS)

    def cluster(self) -> DataFrame:
        """Train centroids.

        Returns
        -------
        DataFrame
            The table ``centroids``.
        """
        return self._read(run_cluster(self.job), s.CENTROIDS)

    def score(self) -> DataFrame:
        """Find for each row the most similar row before it.

        Returns
        -------
        DataFrame
            The table ``scores``, which answers every eps up to ``score.eps_max``.
        """
        return self._read(run_score(self.job), s.SCORES)

    def select(self, eps: float | None = None, **select: Any) -> DataFrame:
        """Decide which rows stay.

        Parameters
        ----------
        eps
            The threshold. ``None``: that of the configuration.
        **select
            Other keys of ``select``, such as ``keep``, ``name`` or ``resolution``.

        Returns
        -------
        DataFrame
            The kept rows: the table ``deduplicated``, if there is one. ``duplicates`` and
            ``assignment`` lie beside it.
        """
        tree = self.job.config.model_dump()
        if eps is not None or "keep" in select:
            tree["select"] |= {"eps": eps, "keep": None}
        tree["select"] |= select
        job = replace(self.job, config=parse_config(tree))
        record = run_select(job)
        table = s.of_selection(s.DEDUPLICATED, job.config.select.name)
        if table in record.outputs:
            return self._read(record, table)
        job.ledger.flush()  # the lines that say which tables belong together
        config = job.config
        selected = read_selection(job.spark, config.output, config.select.name, config.source)
        return selected.deduplicated

    def _read(self, record: StageRecord, table: str) -> DataFrame:
        return read_table(self.job.spark, self.job.root, table, record.outputs[table])


@contextmanager
def open_output(
    spark: SparkSession,
    output: str,
    config: Mapping[str, Any],
    *,
    run_id: str | None = None,
    replace: bool = False,
) -> Iterator[OpenOutput]:
    """Work on an output stage by stage, without a job file.

    The lease is taken by the first stage. At the end of the ``with`` block, also after an error,
    it is given back and the ledger is complete.

    Parameters
    ----------
    spark
        The session.
    output
        A directory, a URI or ``catalog.schema``.
    config
        The keys of a job file, but for ``output`` and for where the source lies:
        ``{"source": {"kind": "text", "id": "doc_id", "content": "text"}}``.
    run_id
        Name of the run in the ledger. ``None``: the time.
    replace
        Whether the output may lose its rows to a DataFrame that has none of them.

    Yields
    ------
    OpenOutput
        ``embed(df)``, ``cluster()``, ``score()`` and ``select()``, each of which returns a table.

    Examples
    --------
    .. code-block:: python

        keys = {"source": {"kind": "text", "id": "doc_id", "content": "text"}}
        with open_output(spark, "main.dedup", keys) as out:
            out.embed(df)
            out.cluster()
            scores = out.score()
            kept = out.select(eps=0.05)
    """
    tree: dict[str, Any] = {**config, "output": output}
    for side in ("source", "reference"):
        if tree.get(side) is not None:
            tree[side] = {"table": FRAME, **tree[side]}
    listener = console_listener()
    job = open_job(spark, parse_config(tree), run_id=run_id, replace=replace, listener=listener)
    with working(job):
        yield OpenOutput(job)
