"""Respect the pairs that people keep apart, whatever the rule has decided."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.select.decisions import pairs_apart
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.score.similar_pairs import MOST_FEW
from semdedup_spark.transforms.select.apart import removed_again, rows_apart
from semdedup_spark.transforms.select.nearest import Nearest
from semdedup_spark.transforms.select.nearest_agreeing import Effort
from semdedup_spark.transforms.select.resolve import Case


@dataclass(frozen=True)
class Parted:
    """What is left of the removals.

    Attributes
    ----------
    removed
        Columns as of :class:`~transforms.select.resolve.Resolved`.
    saved
        Columns id and protected_from: rows that stay because of a pair. ``None``: none.
    unsearched
        How many of these were not compared with other rows.
    """

    removed: DataFrame
    saved: DataFrame | None
    unsearched: int = 0

    def then(self, later: Parted) -> Parted:
        """Go on with what was decided after this.

        Parameters
        ----------
        later
            What is left of the removals after this, and of some more.

        Returns
        -------
        Parted
            Both together. A row that both saved is there once.
        """
        saved = later.saved
        if self.saved is not None:
            saved = self.saved
            if later.saved is not None:
                before = saved.join(later.saved.select(s.ID), s.ID, "left_anti")
                saved = before.unionByName(later.saved)
        return Parted(later.removed, saved, self.unsearched + later.unsearched)


def told_unsearched(job: Job, nearest: Nearest) -> Nearest:
    """Tell people where a search would have cost too much, and what comes of it.

    Parameters
    ----------
    job
        The job.
    nearest
        What was found of the earlier rows that agree.

    Returns
    -------
    Nearest
        The same.
    """
    if nearest.unsearched:
        select = job.config.select
        effects = [] if select.resolution == "components" else ["stay"]
        effects += [] if select.review is None else ["are not listed for review"]
        job.listener.noticed(
            f"select: {nearest.unsearched:,} rows differ from their nearest earlier row in what "
            f"must agree. They {' and '.join(effects)}: to look for the nearest one that agrees "
            f"would take more than {Effort.most_products:,.0f} products of vectors"
        )
    return nearest


def kept_apart(job: Job, case: Case, removed: DataFrame) -> Parted:
    """Let no row go for a row that people keep it apart from. It goes all the same where another
    row that stays is similar enough. Where more than ``MOST_FEW`` rows are concerned, all of them
    stay.

    Parameters
    ----------
    job
        The job.
    case
        What was to be decided.
    removed
        What the rule removes.

    Returns
    -------
    Parted
        What is removed now.
    """
    kinds = [removed.schema[name].dataType for name in (s.ID, s.SURVIVOR_ID)]
    pairs = pairs_apart(job, *kinds)
    if pairs is None:
        return Parted(removed, None)
    removed, pairs = held(removed), held(pairs)
    apart = held(rows_apart(removed, pairs))
    n = apart.count()
    if not n:
        return Parted(removed, None)
    left = removed.join(apart.select(s.ID), s.ID, "left_anti").select(*removed.columns)
    if n <= MOST_FEW:
        if case.chains:
            others = case.embeddings.join(left.select(s.ID), s.ID, "left_anti")
        else:
            others = read_table(job.spark, job.root, s.REFERENCE)
        again = held(removed_again(apart, pairs, case, others))
        left = left.unionByName(again)
        apart = apart.join(again.select(s.ID), s.ID, "left_anti")
    else:
        job.listener.noticed(
            f"select: {n:,} rows would go for a row that people keep them apart from. All of them "
            f"stay: another row is looked for where there are at most {MOST_FEW:,}"
        )
    saved = apart.select(s.ID, F.col(s.SURVIVOR_ID).alias(s.PROTECTED_FROM))
    return Parted(left, saved, 0 if n <= MOST_FEW else n)
