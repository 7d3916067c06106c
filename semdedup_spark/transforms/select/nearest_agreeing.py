"""The nearest earlier row that agrees, of rows whose nearest earlier row does not.

Only rows with the same value are compared. They are shuffled to units: some of the rows of a value
that are looked for, and some of all its rows. A unit's rows pass by in reverse rank order, and only
the vectors of the former are held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.select.nearest_earlier import NearestEarlier
from semdedup_spark.kernels.vectors import float32_threshold
from semdedup_spark.transforms.arrow import map_batches, to_matrix
from semdedup_spark.transforms.checkpoint import held

_GROUP, _TARGET, _OTHER, _AT = "group", "target", "other", "at"
_PARTS, _SLICES, _PART, _SLICE = "parts", "slices", "part", "slice"
_RANK = (s.BATCH, s.RANK_KEY, s.ID)
_UNIT = (_GROUP, _PART, _SLICE)


@dataclass(frozen=True)
class Effort:
    """How much a search may cost.

    Attributes
    ----------
    held_rows
        Vectors that a task holds, about.
    unit_products
        Products of vectors that a unit makes, about.
    most_products
        Products that all of them make, at most. Beyond that nothing is searched.
    """

    held_rows: int = 20_000
    unit_products: float = 2e9
    most_products: float = 1e12


def nearest_agreeing(
    wanted: DataFrame, rows: DataFrame, embeddings: DataFrame, eps: float, effort: Effort
) -> DataFrame | None:
    """Find the most similar row that ranks before and has the same value.

    Parameters
    ----------
    wanted
        Column id: the rows whose nearest earlier row is looked for.
    rows
        All rows: columns id, batch, rank_key and value. Only rows with equal values are compared.
    embeddings
        Columns id and embedding.
    eps
        Only similarities above 1 - eps count.
    effort
        How much it may cost.

    Returns
    -------
    DataFrame | None
        Columns id, neighbor_id and similarity, of the rows that have such a row. ``None`` where the
        search would cost too much.
    """
    members = _members(wanted, rows)
    sizes = members.groupBy(_GROUP).agg(
        F.count(F.lit(1)).cast("double").alias("n"), F.count_if(F.col(_TARGET)).alias("few")
    )
    sizes = held(sizes.filter(F.col("n") > 1))
    total = sizes.agg(F.sum(F.col("n") * F.col("few"))).first()
    if total is None or float(total[0] or 0.0) > effort.most_products:
        return None
    parts = F.ceil(F.col("few") / F.lit(effort.held_rows)).cast("int")
    per_part = F.col("n") * F.least("few", F.lit(effort.held_rows))
    slices = F.ceil(per_part / F.lit(effort.unit_products)).cast("int")
    planned = sizes.select(_GROUP, parts.alias(_PARTS), slices.alias(_SLICES))
    return _best(_compared(_visits(members.join(planned, _GROUP)), embeddings, eps), rows)


def _members(wanted: DataFrame, rows: DataFrame) -> DataFrame:
    """(group, id, batch, rank_key, target): rows with the value of a wanted row."""
    marked = rows.join(wanted.select(s.ID, F.lit(True).alias(_TARGET)), s.ID, "left")
    marked = held(marked.withColumn(_TARGET, F.coalesce(_TARGET, F.lit(False))))
    values = marked.filter(_TARGET).groupBy(F.col(s.VALUE).alias("theirs"))
    groups = values.agg(F.min(s.ID).alias(_GROUP))
    same = F.col(s.VALUE).eqNullSafe(F.col("theirs"))
    return held(marked.join(groups, same).select(_GROUP, *_RANK, _TARGET))


def _visits(members: DataFrame) -> DataFrame:
    """A line for each unit that a row goes to. A wanted row goes to each slice of its part, and as
    a row that others are compared with it goes, as all rows do, to its slice of each part.
    """
    own_part = F.pmod(F.xxhash64(s.ID), F.col(_PARTS)).cast("int")
    own_slice = F.pmod(F.xxhash64(F.lit(1), s.ID), F.col(_SLICES)).cast("int")
    parts = F.sequence(F.lit(0), F.col(_PARTS) - 1)
    slices = F.sequence(F.lit(0), F.col(_SLICES) - 1)
    others = F.transform(parts, lambda p: F.struct(p.alias(_PART), own_slice.alias(_SLICE)))
    wanted = F.transform(slices, lambda t: F.struct(own_part.alias(_PART), t.alias(_SLICE)))
    places = F.when(F.col(_TARGET), F.array_union(others, wanted)).otherwise(others)
    lines = members.withColumn("_place", F.explode(places))
    return lines.select(
        _GROUP,
        f"_place.{_PART}",
        f"_place.{_SLICE}",
        *_RANK,
        (F.col(_TARGET) & (F.col(f"_place.{_PART}") == own_part)).alias(_TARGET),
        (F.col(f"_place.{_SLICE}") == own_slice).alias(_OTHER),
    )


def _compared(visits: DataFrame, embeddings: DataFrame, eps: float) -> DataFrame:
    """(id, neighbor_id, similarity), several lines for a row."""
    id_type = visits.schema[s.ID].dataType.simpleString()
    above = float32_threshold(1.0 - eps)
    last_first = [F.desc(name) for name in _RANK]
    lines = visits.join(embeddings.select(s.ID, s.EMBEDDING), s.ID)
    units = lines.repartition(*_UNIT).sortWithinPartitions(*_UNIT, *last_first)

    def compare(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        stream = _Stream(above)
        for batch in batches:
            for part in _runs(batch):
                yield stream.compare(part)

    result = f"{s.ID} {id_type}, {s.NEIGHBOR_ID} {id_type}, {s.SIMILARITY} float"
    columns = (*_UNIT, s.ID, _TARGET, _OTHER, s.EMBEDDING)
    return map_batches(units.select(*columns), compare, result)


def _best(found: DataFrame, rows: DataFrame) -> DataFrame:
    """Of each row the most similar other row, the first in rank order among equals."""
    ranks = rows.select(F.col(s.ID).alias(s.NEIGHBOR_ID), F.struct(*_RANK).alias(_AT))
    nearest = F.struct((-F.col(s.SIMILARITY)).alias("negative"), _AT)
    best = found.join(ranks, s.NEIGHBOR_ID).groupBy(s.ID).agg(F.min(nearest).alias("best"))
    return best.select(
        s.ID,
        F.col(f"best.{_AT}.{s.ID}").alias(s.NEIGHBOR_ID),
        (-F.col("best.negative")).alias(s.SIMILARITY),
    )


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The runs of rows of one unit."""
    if not batch.num_rows:
        return
    changes = np.zeros(batch.num_rows - 1, dtype=bool)
    for name in _UNIT:
        column = batch.column(name)
        changes |= np.asarray(pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)))
    starts = [0, *(np.flatnonzero(changes) + 1), batch.num_rows]
    for start, end in pairwise(starts):
        yield batch.slice(start, end - start)


class _Stream:
    """The unit that is passing through.

    Parameters
    ----------
    above
        Only similarities above this one count.
    """

    def __init__(self, above: float) -> None:
        self._above = above
        self._start(None)

    def _start(self, unit: pa.RecordBatch | None) -> None:
        self._unit, self._nearest = unit, NearestEarlier(self._above)
        self._ids = list[pa.Array]()

    def compare(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Compare rows of one unit, which rank before the rows that were there.

        Parameters
        ----------
        rows
            Columns group, part, slice, id, target, other and embedding.

        Returns
        -------
        pa.RecordBatch
            Columns id, neighbor_id and similarity.
        """
        unit = rows.slice(0, 1).select(list(_UNIT))  # arrays: an id need not be valid UTF-8
        if self._unit is None or not unit.equals(self._unit):
            self._start(unit)
        is_target = rows.column(_TARGET).to_numpy(zero_copy_only=False)
        is_other = rows.column(_OTHER).to_numpy(zero_copy_only=False)
        ids = rows.column(s.ID)
        self._ids.append(ids.filter(pa.array(is_target)))
        found = self._nearest.offer(to_matrix(rows.column(s.EMBEDDING)), is_target, is_other)
        targets = pa.chunked_array(self._ids).take(pa.array(found.target))
        return pa.RecordBatch.from_arrays(
            [targets.combine_chunks(), ids.take(pa.array(found.row)), pa.array(found.similarity)],
            names=[s.ID, s.NEIGHBOR_ID, s.SIMILARITY],
        )
