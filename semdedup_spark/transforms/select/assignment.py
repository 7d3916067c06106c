"""One table of all rows that were read: what became of each, and which row stands for it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s

_COUNTED, _WHY = "counted", "why"


@dataclass(frozen=True)
class Decided:
    """What a selection is, in tables.

    Attributes
    ----------
    scores
        The table of this name.
    duplicates
        The table of this name.
    quarantine
        The table of this name.
    restored
        Column id: rows that people decided to keep. ``None``: none.
    protected
        Column id: rows that an agreement saved. ``None``: none.
    among_themselves
        Whether the survivors are rows of this table. Otherwise they are those of a reference.
    """

    scores: DataFrame
    duplicates: DataFrame
    quarantine: DataFrame
    restored: DataFrame | None
    protected: DataFrame | None
    among_themselves: bool


def assignment_rows(decided: Decided) -> DataFrame:
    """Make the rows of the table ``assignment``.

    Parameters
    ----------
    decided
        The tables of the selection.

    Returns
    -------
    DataFrame
        One row for each row that was read.
    """
    gone = decided.duplicates.select(s.ID, s.SURVIVOR_ID, s.SURVIVOR_SIMILARITY, s.REASON)
    numbers = decided.scores.select(s.ID, s.BATCH, s.MAX_SIMILARITY, s.CLUSTER_ID)
    rows = numbers.join(gone, s.ID, "left")
    stays = F.col(s.REASON).isNull()
    copies: Column = F.lit(1).cast("bigint")
    if decided.among_themselves:
        by_survivor = gone.groupBy(F.col(s.SURVIVOR_ID).alias(s.ID))
        rows = rows.join(by_survivor.agg(F.count(F.lit(1)).alias(_COUNTED)), s.ID, "left")
        copies = F.coalesce(_COUNTED, F.lit(0)) + 1
    rows, why = _with_why(rows, decided)
    good = rows.select(
        s.ID,
        stays.alias(s.KEPT),
        F.when(stays, F.col(s.ID)).otherwise(F.col(s.SURVIVOR_ID)).alias(s.SURVIVOR_ID),
        F.col(s.MAX_SIMILARITY).alias(s.SIMILARITY),
        F.when(stays, F.lit(1.0).cast("float"))
        .otherwise(F.col(s.SURVIVOR_SIMILARITY))
        .alias(s.SURVIVOR_SIMILARITY),
        F.when(stays, copies).alias(s.COPIES),
        s.CLUSTER_ID,
        s.BATCH,
        F.coalesce(s.REASON, why).alias(s.REASON),
    )
    bad = decided.quarantine.select(
        F.col(s.ID).cast(good.schema[s.ID].dataType),
        F.lit(False).alias(s.KEPT),
        s.BATCH,
        F.lit(s.QUARANTINED).alias(s.REASON),
    )
    return good.unionByName(bad, allowMissingColumns=True)


def _with_why(rows: DataFrame, decided: Decided) -> tuple[DataFrame, Column]:
    """(rows, why a row that stays does so)."""
    why: Column = F.lit(s.BY_ITSELF)
    for ids, name in ((decided.protected, s.PROTECTED), (decided.restored, s.BY_OVERRIDE)):
        if ids is not None:
            mark = f"{_WHY}_{name}"
            marked = ids.select(s.ID, F.lit(True).alias(mark))
            rows = rows.join(marked, s.ID, "left")
            why = F.when(F.col(mark), name).otherwise(why)
    return rows, why
