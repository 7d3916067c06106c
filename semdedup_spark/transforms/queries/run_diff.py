"""What became of each row in one selection, and in a later one."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s

BEFORE, AFTER, WHY, N, SAMPLE = "before", "after", "why", "n_rows", "sample"
KEPT, REMOVED, ABSENT = "kept", "removed", "absent"
_M, _NEIGHBOR, _REASON = "m", "neighbor", "reason"
_SAMPLE_IDS = 5
_AGREEMENT = "must_agree"
# Reasons of one of the two fates that say why they differ, the first that holds.
_TOLD = (s.BY_OVERRIDE, s.BY_VERDICT, s.NEVER_MERGE)


def fates(
    scores: DataFrame,
    duplicates: DataFrame,
    overrides: DataFrame | None = None,
    protected: DataFrame | None = None,
) -> DataFrame:
    """Tell what became of each scored row in one selection.

    Parameters
    ----------
    scores
        The table of this name.
    duplicates
        The table ``duplicates`` of the selection.
    overrides
        Columns id and action; by default none.
    protected
        The table of this name; by default no row was protected.

    Returns
    -------
    DataFrame
        Columns id, fate (kept or removed), m (similarity to the neighbor), neighbor, and reason:
        why the row was removed, or kept: ``must_agree``, ``never_merge`` or ``override``.
    """
    removed = duplicates.select(s.ID, F.col(s.REASON).alias(_REASON), F.lit(True).alias("gone"))
    rows = scores.select(
        s.ID, F.col(s.MAX_SIMILARITY).alias(_M), F.col(s.NEIGHBOR_ID).alias(_NEIGHBOR)
    ).join(removed, s.ID, "left")
    fate = F.when(F.col("gone"), REMOVED).otherwise(KEPT).alias("fate")
    reason = F.col(_REASON)
    if protected is not None:
        by = F.when(F.col(s.VALUE).isNull(), s.NEVER_MERGE).otherwise(_AGREEMENT)
        rows = rows.join(protected.select(s.ID, by.alias("by")), s.ID, "left")
        reason = F.coalesce(reason, F.col("by"))
    if overrides is not None:
        keep = overrides.filter(F.col(s.ACTION) == s.KEEP).select(s.ID, F.lit(True).alias("spared"))
        rows = rows.join(keep, s.ID, "left")
        reason = F.coalesce(reason, F.when(F.col("spared"), s.BY_OVERRIDE))
    return rows.select(s.ID, fate, _M, _NEIGHBOR, reason.alias(_REASON))


def differences(
    before: DataFrame, after: DataFrame, neighbors: tuple[DataFrame, DataFrame] | None = None
) -> DataFrame:
    """Count the rows whose fate differs between two selections.

    Parameters
    ----------
    before
        What :func:`fates` returned for the first selection.
    after
        What :func:`fates` returned for the second selection.
    neighbors
        Rows that neighbors may be, before and after; by default the rows of ``before`` and
        ``after``.

    Returns
    -------
    DataFrame
        Columns before, after, why, n_rows and sample: at most five ids as text, the first in their
        order.

    Notes
    -----
    ``why`` is one of

    * ``new_row`` and ``gone_from_source``;
    * ``new_neighbor``: the row that it is now most similar to was not there before;
    * ``neighbor_gone``: its former neighbor is no longer there;
    * ``override``, ``verdict`` or ``never_merge``: what people decided about the row, or about a
      pair, or take back;
    * ``must_agree``: the row has the same neighbor at the same similarity, and what must agree
      protects it in one of the two;
    * ``threshold``: the row has the same neighbor at the same similarity, so eps or the resolution
      changed;
    * ``rescored``: another ranking, clustering or embedding.
    """
    there = (before, after) if neighbors is None else neighbors
    old = before.select(s.ID, *(F.col(c).alias(f"{c}_a") for c in _columns(before)))
    new = after.select(s.ID, *(F.col(c).alias(f"{c}_b") for c in _columns(after)))
    both = old.join(new, s.ID, "full")
    was = F.coalesce(F.col("fate_a"), F.lit(ABSENT))
    now = F.coalesce(F.col("fate_b"), F.lit(ABSENT))
    changed = both.filter(was != now)
    ids_before = there[0].select(F.col(s.ID).alias(f"{_NEIGHBOR}_b"), F.lit(True).alias("known"))
    ids_after = there[1].select(F.col(s.ID).alias(f"{_NEIGHBOR}_a"), F.lit(True).alias("stays"))
    told = changed.join(ids_before, f"{_NEIGHBOR}_b", "left").join(
        ids_after, f"{_NEIGHBOR}_a", "left"
    )
    named = told.select(
        was.alias(BEFORE),
        now.alias(AFTER),
        _why().alias(WHY),
        F.col(s.ID).cast("string").alias("i"),
    )
    place = F.row_number().over(Window.partitionBy(BEFORE, AFTER, WHY).orderBy("i"))
    few = named.withColumn("few", F.when(place <= _SAMPLE_IDS, F.col("i")))
    counted = few.groupBy(BEFORE, AFTER, WHY).agg(
        F.count(F.lit(1)).alias(N), F.sort_array(F.collect_list("few")).alias(SAMPLE)
    )
    return counted.orderBy(BEFORE, AFTER, WHY)


def _columns(rows: DataFrame) -> list[str]:
    return [column for column in rows.columns if column != s.ID]


def _why() -> Column:
    same_neighbor = F.col(f"{_NEIGHBOR}_a").eqNullSafe(F.col(f"{_NEIGHBOR}_b"))
    same_score = F.col(f"{_M}_a").eqNullSafe(F.col(f"{_M}_b"))

    def told(reason: str) -> Column:
        name = F.lit(reason)
        return F.col(f"{_REASON}_a").eqNullSafe(name) | F.col(f"{_REASON}_b").eqNullSafe(name)

    why = F.when(F.col("fate_a").isNull(), "new_row")
    why = why.when(F.col("fate_b").isNull(), "gone_from_source")
    for reason in _TOLD:
        why = why.when(told(reason), reason)
    return (
        why.when(same_neighbor & same_score & told(_AGREEMENT), _AGREEMENT)
        .when(same_neighbor & same_score, "threshold")
        .when(F.col(f"{_NEIGHBOR}_b").isNotNull() & F.col("known").isNull(), "new_neighbor")
        .when(F.col(f"{_NEIGHBOR}_a").isNotNull() & F.col("stays").isNull(), "neighbor_gone")
        .otherwise("rescored")
    )
