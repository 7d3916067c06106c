"""Pairs that people keep apart: the one row does not go for the other, but may go for a third."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches
from semdedup_spark.transforms.score.similar_pairs import similar_pairs
from semdedup_spark.transforms.select.resolve import Case

_RANK = (s.BATCH, s.RANK_KEY, s.ID)
_AMONG = "among"


def rows_apart(removed: DataFrame, pairs: DataFrame) -> DataFrame:
    """Find the removed rows whose survivor must not stand for them.

    Parameters
    ----------
    removed
        Columns id, survivor_id and reason.
    pairs
        Columns id and survivor_id: the table ``never_merge``.

    Returns
    -------
    DataFrame
        Columns id and survivor_id. Rows that people removed are not among them.
    """
    by_rule = removed.filter(F.col(s.REASON) != s.BY_OVERRIDE).select(s.ID, s.SURVIVOR_ID)
    return by_rule.join(pairs.select(s.ID, s.SURVIVOR_ID).distinct(), [s.ID, s.SURVIVOR_ID], "semi")


def removed_again(apart: DataFrame, pairs: DataFrame, case: Case, others: DataFrame) -> DataFrame:
    """Find rows that go although one pair of theirs is kept apart: another row that stays and ranks
    earlier is similar enough. They are decided in rank order, so that one of them may stand for a
    later one.

    Parameters
    ----------
    apart
        Column id: at most ``MOST_FEW`` rows, which stay unless they are found here.
    pairs
        Columns id and survivor_id: the table ``never_merge``.
    case
        What was to be decided: ranks, threshold, and what rows must share.
    others
        Columns id and embedding: all rows that stay, and those of ``apart``. Or the rows of a
        reference, which rank before all of them.

    Returns
    -------
    DataFrame
        Columns id, neighbor_id, similarity, cluster_id, survivor_id and reason.
    """
    vectors = case.embeddings.join(F.broadcast(apart.select(s.ID)), s.ID, "semi")
    near = similar_pairs(vectors, others, case.eps)
    edges = _allowed(near.join(pairs, [s.ID, s.SURVIVOR_ID], "left_anti"), case)
    among = apart.select(F.col(s.ID).alias(s.SURVIVOR_ID), F.lit(case.chains).alias(_AMONG))
    edges = edges.join(among, s.SURVIVOR_ID, "left")
    edges = edges.withColumn(_AMONG, F.coalesce(_AMONG, F.lit(False)))
    # Of the rows that stay in any case, only the nearest can become the survivor.
    best = Window.partitionBy(s.ID, _AMONG).orderBy(F.desc(s.SIMILARITY), "their")
    numbered = edges.withColumn("_at", F.row_number().over(best))
    few = numbered.filter(F.col(_AMONG) | (F.col("_at") == 1))
    in_order = few.repartition(1).sortWithinPartitions("own", F.desc(s.SIMILARITY), "their")
    columns = (s.ID, s.SURVIVOR_ID, s.SIMILARITY)
    result = ", ".join(f"{c} {near.schema[c].dataType.simpleString()}" for c in columns)
    gone = map_batches(in_order.select(*columns, _AMONG), in_rank_order, result)
    return gone.join(case.scores.select(s.ID, s.CLUSTER_ID), s.ID).select(
        s.ID,
        F.col(s.SURVIVOR_ID).alias(s.NEIGHBOR_ID),
        s.SIMILARITY,
        s.CLUSTER_ID,
        s.SURVIVOR_ID,
        F.lit(s.BY_SIMILARITY).alias(s.REASON),
    )


def _allowed(near: DataFrame, case: Case) -> DataFrame:
    """Pairs of which the other row ranks before, and shares what must agree; with both ranks."""
    ranks = case.scores.select(s.ID, F.struct(*_RANK).alias("own"))
    rows = near.join(ranks, s.ID)
    if case.values is not None:
        theirs = case.values.select(F.col(s.ID).alias(s.SURVIVOR_ID), F.col(s.VALUE).alias("other"))
        rows = rows.join(case.values, s.ID).join(theirs, s.SURVIVOR_ID)
        rows = rows.filter(F.col(s.VALUE).eqNullSafe(F.col("other"))).drop(s.VALUE, "other")
    if not case.chains:
        return rows.withColumn("their", F.struct(s.SURVIVOR_ID))
    others = ranks.select(F.col(s.ID).alias(s.SURVIVOR_ID), F.col("own").alias("their"))
    return rows.join(others, s.SURVIVOR_ID).filter(F.col("their") < F.col("own"))


def in_rank_order(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A UDF's body: take the first possible survivor of each row that itself stays.

    Parameters
    ----------
    batches
        Columns id, survivor_id, similarity and whether the survivor is itself such a row: the rows
        in rank order, and for each of them its possible survivors, the best first. A survivor ranks
        earlier than its row, or is a row of a reference, whose ids say nothing about these.

    Yields
    ------
    pa.RecordBatch
        The first three columns, one row for each row that goes.
    """
    gone: set[object] = set()
    for batch in batches:
        columns = (batch.column(i).to_pylist() for i in (0, 1, 3))
        chosen = []
        for i, (row, other, among) in enumerate(zip(*columns, strict=True)):
            if row not in gone and not (among and other in gone):
                gone.add(row)
                chosen.append(i)
        yield batch.select([0, 1, 2]).take(pa.array(chosen, pa.int64()))
