"""The rows of a stream's run, read one row group after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from semdedup_spark import schema as s
from semdedup_spark.tables.delta_files import RowGroup, TableVersion, python_rows, read_batches
from semdedup_spark.torch.copies import ManyCopies

Row = dict[str, Any]
_BATCH_ROWS = 256


def rows_between(
    table: TableVersion,
    groups: Sequence[RowGroup],
    first: int,
    last: int,
    *,
    columns: Sequence[str],
    copies: ManyCopies | None = None,
) -> Iterator[Row]:
    """Read some of the rows that row groups have in a given order. Memory holds one batch.

    Parameters
    ----------
    table
        The table.
    groups
        Its row groups, in the order in which their rows are counted.
    first
        Place of the first row in this order.
    last
        Place behind the last row in this order.
    columns
        Names of the columns to read.
    copies
        If given, each row also has ``copies``.

    Yields
    ------
    dict[str, Any]
        A row, by the names of the columns. Row groups without a row to give are not opened.
    """
    before = 0
    for group in groups:
        start, stop = max(first - before, 0), min(last - before, group.n_rows)
        before += group.n_rows
        if start < stop:
            rows = _group_rows(table, group, start, columns, copies)
            yield from islice(rows, stop - start)


def _group_rows(
    table: TableVersion,
    group: RowGroup,
    start: int,
    columns: Sequence[str],
    copies: ManyCopies | None,
) -> Iterator[Row]:
    place = group.start + start
    for batch in read_batches(table, group, columns=columns, skip=start, batch_rows=_BATCH_ROWS):
        rows = python_rows(batch)
        if copies is not None:
            for row, number in zip(rows, copies.of(place, len(rows)), strict=True):
                row[s.COPIES] = number
        yield from rows
        place += len(rows)
