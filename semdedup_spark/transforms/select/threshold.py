"""From scores to kept and removed rows, and from each removed row to its survivor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.vectors import paired_similarity
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.values import comparable

_OTHER = "other"
_MEMBER, _IS_OWN = "member", "is_own"


def is_removed(eps: float) -> Column:
    """Tell whether a scored row is a duplicate.

    Parameters
    ----------
    eps
        The threshold.

    Returns
    -------
    Column
        Whether M is strictly greater than 1 - eps.

    References
    ----------
    SemDeDup, Abbas et al. 2023, arXiv:2303.09540.
    """
    return is_above(s.MAX_SIMILARITY, eps)


def is_above(similarity: str, eps: float) -> Column:
    """Tell whether a similarity is above a threshold.

    Parameters
    ----------
    similarity
        Name of the column.
    eps
        The threshold.

    Returns
    -------
    Column
        Whether it is strictly greater than 1 - eps.
    """
    return F.col(similarity).cast("double") > F.lit(1.0) - F.lit(eps)


def n_uncovered() -> Column:
    """Count the removed rows that are not above the threshold with their survivor.

    Returns
    -------
    Column
        An aggregate of ``duplicates``, called uncovered. What people judged does not count.
    """
    by_rule = F.col(s.REASON) != s.BY_VERDICT
    return F.count(F.when(by_rule & ~F.col(s.COVERED), 1)).alias("uncovered")


def kept_fractions(scores: DataFrame, eps_grid: list[float]) -> DataFrame:
    """Measure the share of rows kept at each eps, in one aggregation.

    Parameters
    ----------
    scores
        Column max_similarity.
    eps_grid
        Thresholds.

    Returns
    -------
    DataFrame
        One row, with a column for each eps.
    """
    return scores.agg(
        *(F.avg((~is_removed(eps)).cast("int")).alias(f"{eps:g}") for eps in eps_grid)
    )


def eps_for_kept(scores: DataFrame, keep: float, eps_max: float) -> DataFrame:
    """Find the smallest threshold that keeps enough rows.

    The kept share at eps is the empirical distribution function of M at 1 - eps, so eps is 1 minus
    a quantile of M: exact, not interpolated. Rows that share one M are kept or removed together. If
    the quantile is M = 1, only eps 0 would keep enough, because exact duplicates alone are too
    many. Then the largest eps up to ``eps_max`` that removes nothing else is taken, and fewer rows
    are kept.

    Parameters
    ----------
    scores
        Column max_similarity.
    keep
        Share of rows to keep, 0 to 1.
    eps_max
        Largest eps that the scores know.

    Returns
    -------
    DataFrame
        One row, ``eps``.
    """
    # 0.07 of 100 rows are 7. The product of the binary numbers is a little more.
    share = keep * (1 - 1e-12)
    m = F.col(s.MAX_SIMILARITY).cast("double")
    below_one = F.coalesce(F.max(F.when(m < 1.0, m)), F.lit(0.0))
    quantile = F.expr(f"percentile_disc({share!r}) WITHIN GROUP (ORDER BY {s.MAX_SIMILARITY})")
    both = scores.agg(quantile.cast("double").alias("quantile"), below_one.alias("below_one"))
    only_copies = F.least(F.lit(1.0) - F.col("below_one"), F.lit(eps_max))
    reached = F.lit(1.0) - F.col("quantile")
    return both.select(F.when(F.col("quantile") < 1.0, reached).otherwise(only_copies).alias("eps"))


def removed_rows(scores: DataFrame, eps: float) -> DataFrame:
    """List the rows that a threshold removes.

    Parameters
    ----------
    scores
        The table of this name.
    eps
        The threshold.

    Returns
    -------
    DataFrame
        Columns id, neighbor_id, similarity and cluster_id.
    """
    similarity = F.col(s.MAX_SIMILARITY).alias(s.SIMILARITY)
    removed = scores.filter(is_removed(eps))
    return removed.select(s.ID, s.NEIGHBOR_ID, similarity, s.CLUSTER_ID)


def explained_rows(with_survivor: DataFrame, embeddings: DataFrame, eps: float) -> DataFrame:
    """Make the rows of the table ``duplicates``.

    Parameters
    ----------
    with_survivor
        Removed rows with survivor_id and reason.
    embeddings
        Columns id and embedding.
    eps
        The threshold.

    Returns
    -------
    DataFrame
        The removed rows, with their similarity to the survivor and whether that covers them.
    """
    direct = F.col(s.SURVIVOR_ID).eqNullSafe(F.col(s.NEIGHBOR_ID))
    chained = with_survivor.filter(~direct & F.col(s.SURVIVOR_ID).isNotNull())
    measured = _pair_similarity(chained.select(s.ID, s.SURVIVOR_ID), embeddings)
    known = F.when(direct & F.col(s.SURVIVOR_ID).isNotNull(), F.col(s.SIMILARITY))
    similarity = F.coalesce(F.col(s.SURVIVOR_SIMILARITY), known)
    return (
        with_survivor.join(measured, s.ID, "left")
        .withColumn(s.SURVIVOR_SIMILARITY, similarity)
        .withColumn(s.COVERED, is_above(s.SURVIVOR_SIMILARITY, eps))
        .select(
            s.ID,
            s.NEIGHBOR_ID,
            s.SURVIVOR_ID,
            s.SIMILARITY,
            s.SURVIVOR_SIMILARITY,
            s.COVERED,
            s.REASON,
            s.CLUSTER_ID,
        )
    )


def _pair_similarity(pairs: DataFrame, embeddings: DataFrame) -> DataFrame:
    """(id, survivor_id) to (id, survivor_similarity), from the vectors themselves.

    The rows of both sides meet the vectors in one join. So where pairs are few, no vector is
    shuffled that is not in a pair.
    """
    own = F.struct(F.col(s.ID).alias(_MEMBER), F.lit(True).alias(_IS_OWN))
    other = F.struct(F.col(s.SURVIVOR_ID).alias(_MEMBER), F.lit(False).alias(_IS_OWN))
    sides = pairs.select(s.ID, F.inline(F.array(own, other)))
    vectors = embeddings.select(F.col(s.ID).alias(_MEMBER), s.EMBEDDING)

    def vector(is_own: Column, name: str) -> Column:
        return F.first(F.when(is_own, F.col(s.EMBEDDING)), ignorenulls=True).alias(name)

    members = sides.join(vectors, _MEMBER).groupBy(s.ID)
    both = members.agg(vector(F.col(_IS_OWN), s.EMBEDDING), vector(~F.col(_IS_OWN), _OTHER))
    both = both.dropna()

    def measure(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                A, B = to_matrix(batch.column(s.EMBEDDING)), to_matrix(batch.column(_OTHER))
                yield pa.RecordBatch.from_arrays(
                    [batch.column(s.ID), pa.array(paired_similarity(A, B))],
                    names=[s.ID, s.SURVIVOR_SIMILARITY],
                )

    id_type = pairs.schema[s.ID].dataType.simpleString()
    return map_batches(both, measure, f"{s.ID} {id_type}, {s.SURVIVOR_SIMILARITY} float")


def kept_rows(rows: DataFrame, duplicates: DataFrame, *, with_id: bool) -> DataFrame:
    """Make the rows of the table ``deduplicated``.

    Parameters
    ----------
    rows
        Columns id and source of all embedded rows.
    duplicates
        The table of this name.
    with_id
        Whether the id is no column of the source, and must be added.

    Returns
    -------
    DataFrame
        The source's own columns of every row that is not removed.
    """
    kept = rows.select(s.ID, s.SOURCE).join(duplicates.select(s.ID), s.ID, "left_anti")
    return own_rows(kept, with_id=with_id)


def own_rows(rows: DataFrame, *, with_id: bool) -> DataFrame:
    """Give rows the columns of the table ``deduplicated``.

    Parameters
    ----------
    rows
        Columns id and source.
    with_id
        Whether the id is no column of the source, and must be added.

    Returns
    -------
    DataFrame
        The source's own columns of the same rows.
    """
    return rows.select(*([F.col(s.ID)] if with_id else []), f"{s.SOURCE}.*")


def removed_fractions(
    embeddings: DataFrame, removed: DataFrame, by: str | None = None
) -> DataFrame:
    """Measure which fraction of rows is removed.

    Parameters
    ----------
    embeddings
        Columns id and source.
    removed
        Column id.
    by
        Column of the source to measure by; by default all rows are measured together.

    Returns
    -------
    DataFrame
        Columns ``rows``, ``removed`` and ``fraction``, and ``by`` as text: one line, or one for
        each value.
    """
    value = []
    if by is not None:
        column = F.col(f"{s.SOURCE}.{s.quoted(by)}")
        kind = embeddings.select(column).schema[0].dataType
        value = [comparable(column, kind).alias("by")]
    gone = removed.select(s.ID, F.lit(1).alias("gone"))
    rows = embeddings.select(s.ID, *value).join(gone, s.ID, "left")
    counts = rows.groupBy(*(["by"] if value else [])).agg(
        F.count(F.lit(1)).alias("rows"), F.count("gone").alias("removed")
    )
    if value:  # different values may look alike
        counts = counts.withColumn("by", F.col("by").cast("string"))
    return counts.withColumn("fraction", F.col("removed") / F.col("rows"))
