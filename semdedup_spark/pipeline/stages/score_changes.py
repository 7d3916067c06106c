"""Scores of new rows, and of rows whose neighbor is gone: other rows keep their scores.

The batch number leads the rank order, so a new row never ranks before an old one, and no old score
changes because of it. A row that is removed changes only the scores of the rows whose neighbor it
was. Hence ``scores`` become what scoring everything would make them, for the price of the rows that
are *targets*.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.stages.embed.source_changes import FEW
from semdedup_spark.tables.hash_buckets import Part, part_with
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.score.comparison import Carrier, Comparison
from semdedup_spark.transforms.score.packed_rows import LABEL, TARGET

# So many ids can be sent to every task, with what is known of their rows.
_MOST_IDS = 2_000_000


@dataclass(frozen=True)
class Changes:
    """What happened since the batch up to which rows were scored.

    Attributes
    ----------
    since
        Number of that batch.
    n_before
        Number of scored rows that are still there.
    n_gone
        Number of scored rows that left.
    n_left
        Number of rows that lost their neighbor, and are scored again.
    gone
        Ids of the rows that left, ``None`` if there are none.
    left
        Ids of the rows that lost their neighbor, ``None`` if there are none.
    part
        Part of ``scores`` to be replaced, ``None`` if the changed rows are too many.
    """

    since: int
    n_before: int
    n_gone: int
    n_left: int
    gone: DataFrame | None = None
    left: DataFrame | None = None
    part: Part | None = None

    def n_targets(self, n: int) -> int:
        """Count the rows that must be scored.

        Parameters
        ----------
        n
            Number of rows now.

        Returns
        -------
        int
            Number of targets.
        """
        return n - self.n_before + self.n_left

    def with_target(self, embeddings: DataFrame) -> DataFrame:
        """Mark the rows that must be scored.

        Parameters
        ----------
        embeddings
            The table of this name.

        Returns
        -------
        DataFrame
            All rows, with the column target.
        """
        is_new = F.col(s.BATCH) > self.since
        if self.left is None:
            return embeddings.withColumn(TARGET, is_new)
        left = F.broadcast(self.left.withColumn(TARGET, F.lit(True)))
        flag = is_new | F.coalesce(F.col(TARGET), F.lit(False))
        return embeddings.join(left, s.ID, "left").withColumn(TARGET, flag)

    def kept(self, scores: DataFrame) -> DataFrame:
        """List the scores that stay as they are.

        Parameters
        ----------
        scores
            The table of this name.

        Returns
        -------
        DataFrame
            Some of its rows.
        """
        kept = scores.filter(F.col(s.BATCH) <= self.since)
        for some in (self.gone, self.left):
            kept = kept if some is None else kept.join(some, s.ID, "left_anti")
        return kept.select(*scores.columns)

    def beside(self, scores: DataFrame) -> DataFrame | None:
        """List the scores that stay as they are, and lie in the part to be replaced.

        Parameters
        ----------
        scores
            The table of this name.

        Returns
        -------
        DataFrame | None
            Some of its rows, ``None`` if no such part exists.
        """
        if self.part is None or not self.part.buckets:
            return None
        return self.part.of(self.kept(scores))


def find_changes(
    embeddings: DataFrame, scores: DataFrame, since: int, *, among_themselves: bool = True
) -> Changes | None:
    """Find what happened since rows were scored. Runs Spark jobs.

    Parameters
    ----------
    embeddings
        The table of this name.
    scores
        Scores of the rows that ``embeddings`` had when ``since`` was its last batch.
    since
        Number of the batch.
    among_themselves
        Whether neighbors are rows of ``embeddings``, too, and not of a reference.

    Returns
    -------
    Changes | None
        ``None`` if rows came that claim to have been there: then no score is of use.
    """
    before = embeddings.filter(F.col(s.BATCH) <= since).select(s.ID, s.BATCH)
    (n_before, content), (n_scores, scored) = _content(before), _content(scores)
    if (n_before, content) == (n_scores, scored):
        return Changes(since, n_before, 0, 0, part=Part(since))
    few = n_scores - n_before <= FEW
    gone = scores.join(before, [s.ID, s.BATCH], "left_anti").select(s.ID)
    gone = held(gone) if few else gone
    n_gone, left, n_left = gone.count(), None, 0
    if n_gone != n_scores - n_before:
        return None
    if among_themselves:
        lost = gone.select(F.col(s.ID).alias(s.NEIGHBOR_ID))
        left = scores.join(gone, s.ID, "left_anti").join(lost, s.NEIGHBOR_ID, "left_semi")
        left = held(left.select(s.ID)) if few else left.select(s.ID)
        n_left = left.count()
    part = None
    if n_gone + n_left <= FEW:
        both = gone if left is None else gone.unionByName(left)
        part = part_with(both, n_scores, since=since)
    return Changes(since, n_before, n_gone, n_left, gone, left, part)


def _content(rows: DataFrame) -> tuple[int, int | None]:
    """How many there are, and a number that tells which, by id and batch."""
    number = F.col(s.BATCH).cast("int")
    row = rows.agg(F.count(F.lit(1)), F.bit_xor(F.xxhash64(s.ID, number))).first()
    return (0, None) if row is None else (int(row[0]), row[1])


def near_targets(
    rows: DataFrame, scores: DataFrame, comparison: Comparison, carrier: Carrier, n_scores: int
) -> DataFrame:
    """Tell the rows their known clusters, and leave out rows of clusters that no target meets.

    This only saves time: rows without a known cluster are assigned to one again. It is done if
    the ids of the known scores are few enough to be broadcast.

    Parameters
    ----------
    rows
        Columns id, batch, target, and those that a comparison needs.
    scores
        Known scores, for their id, batch and cluster_id.
    comparison
        How the rows will be compared.
    carrier
        How the rows will be brought together.
    n_scores
        Number of rows in ``scores``.

    Returns
    -------
    DataFrame
        Rows, perhaps fewer, and perhaps with the column ``label``.
    """
    if comparison.is_budgeted:
        return rows
    met = carrier.met
    near, every = scores, met is None or bool(met.all())
    if met is not None and not every:
        near = scores.filter(_one_of(s.CLUSTER_ID, [int(i) for i in np.flatnonzero(met)]))
        n_scores = near.count() if n_scores > _MOST_IDS else n_scores
    if n_scores > _MOST_IDS:
        return rows
    # By their batches, too: an id that came back with other content has another cluster.
    labels = near.select(s.ID, s.BATCH, F.col(s.CLUSTER_ID).alias(LABEL))
    labelled = rows.join(F.broadcast(labels), [s.ID, s.BATCH], "left")
    return labelled if every else labelled.filter(F.col(TARGET) | F.col(LABEL).isNotNull())


def _one_of(name: str, values: list[int]) -> Column:
    return F.col(name).isin(values) if values else F.lit(False)
