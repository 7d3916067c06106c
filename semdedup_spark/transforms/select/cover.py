"""Greedy selection inside groups of rows, each streamed through a worker in rank order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.select.cover import NOBODY, GreedyCover
from semdedup_spark.kernels.vectors import float32_threshold
from semdedup_spark.transforms.arrow import map_batches, to_matrix

GROUP = "group"
SURE = "sure"


def cover_groups(rows: DataFrame, eps: float) -> DataFrame:
    """Decide in rank order which rows of each group stay. A row goes if a row that stays covers it.

    A worker holds the vectors of the rows of one group that stay, and no others.

    Parameters
    ----------
    rows
        Columns group (string or whole number), id, batch, rank_key, sure (whether the row stays in
        any case) and embedding.
    eps
        A row covers another one if their similarity is greater than 1 - eps.

    Returns
    -------
    DataFrame
        Columns id and survivor_id, for the rows that are not sure: null for rows that stay; for the
        others the most similar row of their group that stays, ranks earlier and covers them.
    """
    id_type = rows.schema[s.ID].dataType.simpleString()
    above = float32_threshold(1.0 - eps)
    columns = (GROUP, s.ID, SURE, s.EMBEDDING)
    in_order = rows.repartition(GROUP).sortWithinPartitions(GROUP, s.BATCH, s.RANK_KEY, s.ID)

    def cover(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        stream = _Stream(above)
        for batch in batches:
            for part in _groups(batch):
                yield stream.decide(part)

    result = f"{s.ID} {id_type}, {s.SURVIVOR_ID} {id_type}"
    return map_batches(in_order.select(*columns), cover, result)


def _groups(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The runs of rows of one group."""
    if not batch.num_rows:
        return
    group = batch.column(GROUP)
    changes = pc.not_equal(group.slice(1), group.slice(0, len(group) - 1))
    starts = [0, *(np.flatnonzero(np.asarray(changes)) + 1), len(group)]
    for start, end in pairwise(starts):
        yield batch.slice(start, end - start)


class _Stream:
    """The group that is passing through.

    Parameters
    ----------
    above
        Rows are covered by more similar rows only.
    """

    def __init__(self, above: float) -> None:
        self._above = above
        self._start(pa.nulls(0))

    def _start(self, group: pa.Array) -> None:
        self._group, self._greedy, self._ids = group, GreedyCover(self._above), list[pa.Array]()

    def decide(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Decide rows of one group, which follow the rows before.

        Parameters
        ----------
        rows
            Columns group, id, sure and embedding.

        Returns
        -------
        pa.RecordBatch
            Columns id and survivor_id, of the rows that are not sure.
        """
        group = rows.column(GROUP).slice(0, 1)  # an array: an id need not be valid UTF-8
        if not group.equals(self._group):
            self._start(group)
        sure = rows.column(SURE).to_numpy(zero_copy_only=False)
        self._ids.append(rows.column(s.ID))
        by = self._greedy.offer(to_matrix(rows.column(s.EMBEDDING)), sure).survivor
        survivors = pa.chunked_array(self._ids).take(pa.array(by, mask=by == NOBODY))
        asked = pa.array(np.flatnonzero(~sure))
        return pa.RecordBatch.from_arrays(
            [rows.column(s.ID).take(asked), survivors.combine_chunks().take(asked)],
            names=[s.ID, s.SURVIVOR_ID],
        )
