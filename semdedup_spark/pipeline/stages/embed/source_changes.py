"""A source that changed: what ``embeddings`` keeps, what leaves it, and which batch the rest is.

Rows that are new, or came back with other content, get the next batch number. It leads the rank
order, so that no row ever gets in before one that was there: what is known of the others stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import fingerprint
from semdedup_spark.rank_by import BUILT_IN
from semdedup_spark.sources.candidate_rows import hash_of_columns
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.commits import CommitMark, TableState
from semdedup_spark.transforms.score.rank_key import order_hash

# Rows up to which a change is written into the files that hold them; beyond, all files are.
FEW = 1000
_ORDER, _COLUMNS = "__order", "__columns"


@dataclass(frozen=True)
class Compared:
    """A source, and by what its rows are told from those of before: ``content``, the column whose
    payload's hash is known; ``rank_by``, the order whose terms decide a row's place; ``rejected``:
    ids of rows that an earlier run sent to quarantine, if there are any.
    """

    rows: SourceRows
    content: str | None
    rank_by: str
    rejected: DataFrame | None = None


@dataclass(frozen=True)
class History:
    """``batch``: of rows that are new; ``origin``, ``ordered``: see ``CommitMark``."""

    batch: int
    origin: str
    ordered: str


@dataclass(frozen=True)
class Carried:
    """What of a table stays. ``kept``: rows; ``n_leaving``: rows that are gone or changed, and
    ``n_touched``: kept ones whose other columns changed; ``pairs``: id, and ``leaving``,
    ``touched`` of each of those.
    """

    history: History
    kept: int
    n_leaving: int
    n_touched: int
    pairs: DataFrame

    @property
    def few(self) -> bool:
        """Whether so few rows differ that they are written into the files that hold them."""
        return self.n_leaving + self.n_touched <= FEW


def rank_identity(rank_by: str) -> str:
    """Of an SQL order, what of the source's columns it looks at; a built-in one looks at none."""
    return "" if rank_by in BUILT_IN else fingerprint(rank_by)[:16]


def batches_input(mark: CommitMark) -> str:
    """Which rows of ``embeddings`` were scored, as the inputs of ``score`` say it."""
    return f"up to {mark.batch}, since {mark.ordered[:12]}, {mark.erased} erased"


def new_history(source: Compared, key: str) -> History:
    """Of a table that begins with the result ``key``."""
    batch = _last_batch(source.rows) if source.rows.has_batch else 0
    return History(batch, key, _ordered(key, source))


def _ordered(key: str, source: Compared) -> str:
    return f"{key}/{rank_identity(source.rank_by)}"


def _last_batch(source: SourceRows) -> int:
    row = source.rows.filter(F.col(s.REASON).isNull()).agg(F.max(s.BATCH)).first()
    return 0 if row is None or row[0] is None else int(row[0])


def carried_over(source: Compared, old: DataFrame, state: TableState, key: str) -> Carried | None:
    """Compare the source with what ``embeddings`` held, ``old``. ``None`` where no row is left, or
    the ids are of another type: nothing of it is of use.
    """
    if old.schema[s.ID].dataType != source.rows.rows.schema[s.ID].dataType:
        return None
    pairs = compared_rows(source, old)
    same, new = F.col("same"), F.col("is_new")
    n_true = {"kept": same, "leaving": F.col("leaving"), "touched": F.col("touched")}
    row = pairs.agg(
        *(F.coalesce(F.sum(flag.cast("int")), F.lit(0)).alias(n) for n, flag in n_true.items()),
        F.min(F.when(new & ~F.col("rejected"), F.col("new_batch"))).alias("least"),
        F.max("new_batch").alias("last"),
    ).first()
    if row is None or not row["kept"]:
        return None
    mark = state.mark
    ordered = mark.ordered
    # A source may come back to what it was once: the key does, the order of the rows does not.
    afresh = _ordered(fingerprint([key, mark.ordered, state.version]), source)
    if ordered.partition("/")[2] != rank_identity(source.rank_by):
        ordered = afresh  # unchanged so far meant: as another order sees it
    batch = mark.batch + (mark.progress >= mark.goal)
    if source.rows.has_batch:
        batch = max(int(row["last"]), mark.batch)
        if row["least"] is not None and row["least"] <= mark.batch:
            ordered = afresh
    history = History(batch, mark.origin, ordered)
    return Carried(
        history,
        int(row["kept"]),
        int(row["leaving"]),
        int(row["touched"]),
        pairs.filter("leaving OR touched").select(s.ID, "leaving", "touched"),
    )


def compared_rows(source: Compared, old: DataFrame) -> DataFrame:
    """What became of the rows of ``old``, and which are new.

    Parameters
    ----------
    source : Compared
        The source as it is now.
    old : DataFrame
        The table ``embeddings`` as it was.

    Returns
    -------
    DataFrame
        One row for each id of either: ``id``; the booleans ``same``, ``leaving``, ``touched`` (the
        same, with changes in other columns) and ``is_new``; ``new_batch``. No row where the ids
        are of another type.
    """
    rows = source.rows.rows.filter(F.col(s.REASON).isNull())
    by_batch = source.rows.has_batch
    both = [
        _compared(source, table, name, number=number).alias(name)
        for table, name, number in ((old, "old", True), (rows, "new", by_batch))
    ]
    pairs = both[0].join(both[1], s.ID, "full_outer")
    known, present = F.col("old_there").isNotNull(), F.col("new_there").isNotNull()
    equal = [F.col(f"old_{name}") == F.col(f"new_{name}") for name in (s.CONTENT_HASH, _ORDER)]
    if by_batch:
        equal.append(F.col("old_batch") == F.col("new_batch"))
    same = known & present
    for one in equal:
        same = same & one
    touched = F.col(f"old_{_COLUMNS}") != F.col(f"new_{_COLUMNS}")
    pairs = _with_rejected(source, pairs)
    return pairs.select(
        s.ID,
        _sure(same).alias("same"),
        (known & ~_sure(same)).alias("leaving"),
        (_sure(same) & _sure(touched)).alias("touched"),
        (present & ~_sure(same)).alias("is_new"),
        (F.col("new_batch") if by_batch else F.lit(None).cast("int")).alias("new_batch"),
        "rejected",
    )


def _with_rejected(source: Compared, pairs: DataFrame) -> DataFrame:
    """``pairs``, and whether each was rejected before. Such a row of an old batch comes every night
    and hardly ever gets in; where it does, scoring sees that it is there.
    """
    known = source.rejected
    if known is None or known.schema[s.ID].dataType != pairs.schema[s.ID].dataType:
        return pairs.withColumn("rejected", F.lit(False))
    known = known.select(s.ID).distinct().withColumn("rejected", F.lit(True))
    flagged = pairs.join(known, s.ID, "left")
    return flagged.withColumn("rejected", _sure(F.col("rejected")))


def _sure(flag: Column) -> Column:
    return F.coalesce(flag, F.lit(False))


def _compared(source: Compared, table: DataFrame, side: str, *, number: bool) -> DataFrame:
    """id, and by what a row is compared, under names that begin with ``side``."""
    hashed = table.withColumn(_COLUMNS, hash_of_columns(table, source.content))
    carried: Sequence[str] = [s.ID, s.CONTENT_HASH, _COLUMNS, *([s.BATCH] if number else [])]
    ordered = order_hash(source.rank_by, hashed.select(*carried, s.SOURCE), carried, _ORDER)
    named = [F.col(name).alias(f"{side}_{name}") for name in ordered.columns if name != s.ID]
    return ordered.select(s.ID, F.lit(True).alias(f"{side}_there"), *named)
