"""Groups of similar removals, and a draw from each of them, for an audit.

Each removal has a place, a hash of its pair. A draw takes the first places of each group. So a
larger draw holds a smaller one, and a draw from tomorrow's removals holds what is still there of
today's draw. Both are simple random samples of their group (permanent random numbers; Ohlsson
1995, "Coordination of samples using permanent random numbers").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.transforms.select.threshold import is_above

BAND, KIND, PLACE, SIZE = "band", "kind", "place", "size"
# Bands besides the numbered ones, from the threshold up.
N_BANDS = 4
COPIES_BAND, UNCOVERED_BAND = N_BANDS, -1
# Vectors of equal rows differ by rounding at most.
_EQUAL = 1.0 - 1e-6
_PLACES = 2**53


@dataclass(frozen=True, order=True)
class Stratum:
    """A group of similar removals.

    Attributes
    ----------
    band
        0 to 3: a quarter of the similarities to the survivor between the threshold and the upper
        end, which is 1 for removals, the least similar first.
        Or ``COPIES_BAND``, or ``UNCOVERED_BAND`` (the survivor is less similar than the
        threshold).
    kind
        A value of a column, or how many rows share the survivor.
    """

    band: int
    kind: str


def with_strata(
    duplicates: DataFrame,
    eps: float,
    seed: tuple[int | str, ...],
    kinds: DataFrame,
    nearest: float = 0.0,
) -> DataFrame:
    """Tell of each removal to which group it belongs, and its place there.

    Parameters
    ----------
    duplicates
        The table of this name. Rows that are not in ``kinds`` are left out.
    eps
        The threshold of the selection.
    seed
        Seed of the places: each part of it gives other ones.
    kinds
        Columns id and kind, as :func:`group_kinds` returns them.
    nearest
        The eps of the upper end of the numbered bands.

    Returns
    -------
    DataFrame
        Columns id, survivor_id, neighbor_id, similarity, survivor_similarity, band, kind and
        place (bigint).
    """
    # People judge a row beside its survivor, which need not be the neighbor.
    similarity = F.col(s.SURVIVOR_SIMILARITY).cast("double")
    quarter = F.floor((similarity - (1.0 - eps)) / (eps - nearest) * N_BANDS)
    band = (
        F.when(~F.col(s.COVERED), UNCOVERED_BAND)
        .when(similarity >= _EQUAL, COPIES_BAND)
        .otherwise(F.greatest(F.lit(0), F.least(F.lit(N_BANDS - 1), quarter)))
    )
    place = F.pmod(F.xxhash64(*map(F.lit, seed), s.ID, s.SURVIVOR_ID), F.lit(_PLACES))
    rows = duplicates.select(
        s.ID,
        s.SURVIVOR_ID,
        s.NEIGHBOR_ID,
        s.SIMILARITY,
        s.SURVIVOR_SIMILARITY,
        band.cast("int").alias(BAND),
        place.alias(PLACE),
    )
    return rows.join(kinds, s.ID)


def judged_rows(duplicates: DataFrame) -> DataFrame:
    """Choose the removals that an audit is about.

    Parameters
    ----------
    duplicates
        The table of this name.

    Returns
    -------
    DataFrame
        Those with a survivor that people did not decide about, by an override or a verdict.
    """
    by_rule = ~F.col(s.REASON).isin(s.BY_OVERRIDE, s.BY_VERDICT)
    return duplicates.filter(by_rule & F.col(s.SURVIVOR_ID).isNotNull())


def group_kinds(duplicates: DataFrame) -> DataFrame:
    """Tell of each removal how large its group is.

    Parameters
    ----------
    duplicates
        Columns id and survivor_id.

    Returns
    -------
    DataFrame
        Columns id and kind.
    """
    sizes = duplicates.groupBy(s.SURVIVOR_ID).agg((F.count(F.lit(1)) + 1).alias(SIZE))
    size = F.col(SIZE)
    kind = F.when(size == 2, "pair").when(size < 10, "group of 3 to 9")
    rows = duplicates.select(s.ID, s.SURVIVOR_ID).join(sizes, s.SURVIVOR_ID)
    return rows.select(s.ID, kind.otherwise("group of 10 or more").alias(KIND))


def stratum_counts(rows: DataFrame, eps_grid: Sequence[float]) -> DataFrame:
    """Count the removals of each group.

    Parameters
    ----------
    rows
        As :func:`with_strata` returns them.
    eps_grid
        Thresholds, each at most that of the selection.

    Returns
    -------
    DataFrame
        Columns band, kind, and for each threshold the number of removals whose survivor is above
        it.
    """
    above: list[Column] = [
        F.count_if(is_above(s.SURVIVOR_SIMILARITY, eps)).alias(f"n{i}")
        for i, eps in enumerate(eps_grid)
    ]
    return rows.groupBy(BAND, KIND).agg(F.count(F.lit(1)).alias("n"), *above)


def drawn_rows(rows: DataFrame, wanted: Mapping[Stratum, tuple[int, int]]) -> DataFrame:
    """Draw removals of each group: those with the first places.

    Parameters
    ----------
    rows
        As :func:`with_strata` returns them.
    wanted
        By group how many are drawn, and how many it has.

    Returns
    -------
    DataFrame
        The drawn rows, in no order.
    """
    spark = rows.sparkSession
    lines = [(g.band, g.kind, n, _most(n, of)) for g, (n, of) in sorted(wanted.items())]
    ddl = f"{BAND} int, {KIND} string, _n int, _most bigint"
    limits = F.broadcast(spark.createDataFrame(lines, ddl))
    near = rows.join(limits, [BAND, KIND]).filter(F.col(PLACE) <= F.col("_most"))
    order = Window.partitionBy(BAND, KIND).orderBy(PLACE, s.ID)
    return (
        near.withColumn("_at", F.row_number().over(order))
        .filter(F.col("_at") <= F.col("_n"))
        .drop("_n", "_most", "_at")
    )


def _most(n: int, of: int) -> int:
    """A place that the first ``n`` of ``of`` rows do not exceed, so that few rows are sorted."""
    return _PLACES if of <= 4 * n + 1000 else int((3 * n + 200) / of * _PLACES)
