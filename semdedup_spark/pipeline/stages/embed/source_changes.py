"""A source that changed: what ``embeddings`` keeps, what leaves it, and which batch the rest is.

Rows that are new, or came back with other content, get the next batch number. It leads the rank
order, so no new row ever ranks before an old one: what is known of the old ones stays valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import fingerprint
from semdedup_spark.pipeline.stages.embed.row_identity import HASHES, with_identity
from semdedup_spark.rank_by import BUILT_IN
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.marks import RowHistory
from semdedup_spark.tables.states import TableState

# Up to this number of changed rows only the files that hold them are rewritten, beyond it all.
FEW = 1000


@dataclass(frozen=True)
class Compared:
    """A source, and how its rows are told from those of before.

    Attributes
    ----------
    rows
        The source.
    content
        The column whose payload's hash is known; ``None`` where the source has none.
    rank_by
        The order, whose terms decide a row's place.
    rejected
        Ids of rows that an earlier run sent to quarantine: column id; ``None`` where there are
        none.
    """

    rows: SourceRows
    content: str | None
    rank_by: str
    rejected: DataFrame | None = None


@dataclass(frozen=True)
class Carried:
    """What stays of a table.

    Attributes
    ----------
    history
        What happened to its rows, this change included.
    kept
        Number of rows that stay.
    n_leaving
        Number of rows that are gone or changed.
    n_touched
        Number of rows that stay while their other columns changed.
    pairs
        Id, ``leaving`` and ``touched`` of each row of the last two kinds.
    """

    history: RowHistory
    kept: int
    n_leaving: int
    n_touched: int
    pairs: DataFrame

    @property
    def few(self) -> bool:
        """Whether so few rows differ that they are written into the files that hold them."""
        return self.n_leaving + self.n_touched <= FEW


def rank_identity(rank_by: str) -> str:
    """Identify what an order reads of the source's columns.

    Parameters
    ----------
    rank_by
        The configured order.

    Returns
    -------
    str
        Hash of an SQL order; empty for a built-in one, which reads no column.
    """
    return "" if rank_by in BUILT_IN else fingerprint(rank_by)[:16]


def new_history(source: Compared, key: str) -> RowHistory:
    """Begin the history of a table.

    Parameters
    ----------
    source
        The rows that come into it.
    key
        Key of the result with which it begins.

    Returns
    -------
    RowHistory
        With the source's last batch number, or 0.
    """
    batch = _last_batch(source.rows) if source.rows.has_batch else 0
    return RowHistory(batch, key, key, rank_identity(source.rank_by))


def _last_batch(source: SourceRows) -> int:
    row = source.rows.filter(F.col(s.REASON).isNull()).agg(F.max(s.BATCH)).first()
    return 0 if row is None or row[0] is None else int(row[0])


def carried_over(source: Compared, old: DataFrame, state: TableState, key: str) -> Carried | None:
    """Compare the source with what ``embeddings`` held.

    Parameters
    ----------
    source
        The source as it is now.
    old
        The table as it was.
    state
        What its mark says.
    key
        Key of the result that is to be written.

    Returns
    -------
    Carried | None
        ``None`` where no row stays, or the ids are of another type: nothing of the table is of
        use.
    """
    if old.schema[s.ID].dataType != source.rows.rows.schema[s.ID].dataType:
        return None
    hashed = set(HASHES) <= set(old.columns)
    same_order = not hashed or state.mark.rows.order == rank_identity(source.rank_by)
    pairs = compared_rows(source, old, same_order=same_order)
    same, new = F.col("same"), F.col("is_new")
    n_true = {"kept": same, "leaving": F.col("leaving"), "touched": F.col("touched")}
    row = pairs.agg(
        *(F.coalesce(F.sum(flag.cast("int")), F.lit(0)).alias(n) for n, flag in n_true.items()),
        F.min(F.when(new & ~F.col("rejected"), F.col("new_batch"))).alias("least"),
        F.max("new_batch").alias("last"),
    ).first()
    if row is None or not row["kept"]:
        return None
    history = _history_after(source, state, key, row)
    return Carried(
        history,
        int(row["kept"]),
        int(row["leaving"]),
        int(row["touched"]),
        pairs.filter("leaving OR touched").select(s.ID, "leaving", "touched"),
    )


def _history_after(source: Compared, state: TableState, key: str, counted: Row) -> RowHistory:
    """The history of the table when the change is written. ``counted``: the least batch number of
    new rows, and the last one of all.
    """
    old, order = state.mark.rows, rank_identity(source.rank_by)
    # Earlier checks used another order; assume that every rank may have changed.
    reordered = old.order != order
    batch = old.batch + state.mark.progress.is_complete
    if source.rows.has_batch:
        batch = max(int(counted["last"]), old.batch)
        reordered |= counted["least"] is not None and counted["least"] <= old.batch
    if not reordered:
        return replace(old, batch=batch, erased=0)
    # The same source may come back, and with it the same key, while the order of the rows differs.
    afresh = fingerprint([key, old.ordered, state.version])
    return RowHistory(batch, old.origin, afresh, order)


def compared_rows(source: Compared, old: DataFrame, *, same_order: bool) -> DataFrame:
    """Find what became of the rows of ``old``, and which are new.

    Parameters
    ----------
    source
        The source as it is now.
    old
        The table ``embeddings`` as it was.
    same_order
        Whether its rows are in the order of ``source``. Otherwise what the order sees of them
        cannot be compared, and a row stays the same whatever it is.

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
    decisive = [s.CONTENT_HASH, *([s.ORDER_HASH] if same_order else [])]
    same = known & present
    for name in (*decisive, *([s.BATCH] if by_batch else [])):
        same = same & (F.col(f"old_{name}") == F.col(f"new_{name}"))
    differs = [F.col(f"old_{name}") != F.col(f"new_{name}") for name in HASHES]
    touched = differs[0] | differs[1]
    pairs = _with_rejected(source, pairs)
    return pairs.select(
        s.ID,
        _sure(same).alias("same"),
        (known & ~_sure(same)).alias("leaving"),
        (_sure(same) & _sure(touched)).alias("touched"),
        (present & ~_sure(same)).alias("is_new"),
        (F.col("new_batch") if by_batch else F.lit(None).cast("int")).alias("new_batch"),
        # An id may be in both tables, where a twin of its good row was rejected.
        (F.col("rejected") & ~known).alias("rejected"),
    )


def _with_rejected(source: Compared, pairs: DataFrame) -> DataFrame:
    """``pairs``, and whether each was rejected before. A rejected row of an old batch comes every
    night and is hardly ever accepted; where it is, scoring notices it.
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
    """The id, and the values by which rows are compared, under names that begin with ``side``."""
    carried = [s.ID, s.CONTENT_HASH, *([s.BATCH] if number else [])]
    if not set(HASHES) <= set(table.columns):  # the source, or a table of release 0.2
        table = with_identity(table, source.content, source.rank_by, carried)
    named = [F.col(name).alias(f"{side}_{name}") for name in (*carried[1:], *HASHES)]
    return table.select(s.ID, F.lit(True).alias(f"{side}_there"), *named)
