"""A map-style torch dataset that holds a table in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from semdedup_spark import schema as s
from semdedup_spark.tables.delta_files import (
    open_version,
    python_rows,
    read_rows,
    require_columns,
)
from semdedup_spark.torch.copies import copies_of, key_of

Row = dict[str, Any]
_HELD_AT_A_TIME = 1024  # Rows that exist twice at a time, while ``held`` collates them.


class DeduplicatedDataset(Dataset[Any]):
    """Rows of a Delta table at one version, as dicts or as ``transform`` makes them.

    The rows are held as Arrow data. Forked workers of a DataLoader share this memory. The attribute
    ``version`` is the version that was read. Raises :class:`SourceError` where the table, the
    version or a column does not exist, or where the table uses a feature that needs Spark.

    Parameters
    ----------
    location
        Directory or URI of the table, such as ``/lake/dedup/deduplicated``.
    version
        Version of the table. ``None`` takes the newest.
    columns
        Columns to read. ``None`` reads all.
    key
        Column that orders the rows, so that row i is the same however the table was written.
        ``None`` takes ``id`` if there is such a column, otherwise the order of the table's files at
        this version.
    transform
        Called with each row as a dict. Its result is the item.
    assignment
        Directory or URI of the table ``assignment`` of the same selection. Each row then has
        ``copies``, the number of rows that it stands for, and the attribute ``copies`` holds all of
        them, (n,) int64: weights for a loss or for torch's ``WeightedRandomSampler``. ``key`` must
        be the column of the ids.
    """

    def __init__(
        self,
        location: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        key: str | None = None,
        transform: Callable[[Row], Any] | None = None,
        assignment: str | None = None,
    ) -> None:
        table = open_version(location, version)
        wanted = list(table.columns if columns is None else columns)
        key = key_of(table, key)
        read = [*wanted, key] if key is not None and key not in wanted else wanted
        require_columns(table, read)
        rows = read_rows(table, read)
        # Only the key is sorted: taking all pictures would overflow Arrow's 32-bit offsets.
        order = np.arange(len(rows)) if key is None else _sorted_places(rows, key)
        self._order = order
        self._batches: list[pa.RecordBatch] = rows.select(wanted).to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._transform = transform
        self.version = table.version
        self.copies = None if assignment is None else copies_of(assignment, rows, key)[order]

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, row: int) -> Any:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row must be from 0 to {len(self) - 1}. Got {row}.")
        place = int(self._order[row])
        batch = int(np.searchsorted(self._starts, place, side="right")) - 1
        (found,) = python_rows(self._batches[batch].slice(place - self._starts[batch], 1))
        if self.copies is not None:
            found[s.COPIES] = int(self.copies[row])
        return found if self._transform is None else self._transform(found)

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def held(self) -> TensorDataset:
        """Apply ``transform`` to every row once and hold the results in memory.

        No picture then has to be decoded again in each epoch. ``transform`` must return a tensor or
        a number, or a tuple of these, of the same shape and type for all rows.

        Returns
        -------
        TensorDataset
            One tensor for each part of an item. Its first axis is the row.
        """
        step = _HELD_AT_A_TIME
        parts = [
            default_collate([self[row] for row in range(start, min(start + step, len(self)))])
            for start in range(0, len(self), step)
        ]
        columns = [[part] if isinstance(part, Tensor) else part for part in parts]
        return TensorDataset(*map(torch.cat, zip(*columns, strict=True)))


def _sorted_places(rows: pa.Table, key: str) -> Any:
    keys = rows.select([key])
    return pc.sort_indices(keys, sort_keys=[(key, "ascending")]).to_numpy()
