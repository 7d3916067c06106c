"""A table in memory, row by row: a map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate

from semdedup_spark import schema as s
from semdedup_spark.tables.delta_files import open_version, read_rows, require_columns

Row = dict[str, Any]
_HELD = 1024  # rows at a time that are held twice


class DeduplicatedDataset(Dataset[Any]):
    """Rows of a Delta table at a version, as dicts or as what ``transform`` makes of one.

    ``location``: the table's directory or URI, such as ``/lake/dedup/deduplicated``; ``version``:
    which one, by default the newest now, which ``self.version`` then says; ``columns``: by default
    all; ``key``: rows lie in its order, so that row i is the same however the table was written; by
    default ``id`` where there is such a column, else as the table's files have them at this
    version.

    The rows are held as Arrow data, which the workers of a DataLoader that are forked share.
    """

    def __init__(
        self,
        location: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        key: str | None = None,
        transform: Callable[[Row], Any] | None = None,
    ) -> None:
        table = open_version(location, version)
        wanted = list(table.columns if columns is None else columns)
        key = key or (s.ID if s.ID in table.columns else None)
        read = [*wanted, key] if key is not None and key not in wanted else wanted
        require_columns(table, read)
        rows = read_rows(table, read)
        # Only the key is sorted: a take of all pictures would not fit Arrow's 32-bit offsets.
        order = np.arange(len(rows)) if key is None else _sorted_places(rows, key)
        self._order = order
        self._batches: list[pa.RecordBatch] = rows.select(wanted).to_batches()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)])
        self._transform = transform
        self.version = table.version

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, row: int) -> Any:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row must be from 0 to {len(self) - 1}. Got {row}.")
        place = int(self._order[row])
        batch = int(np.searchsorted(self._starts, place, side="right")) - 1
        found: Row = self._batches[batch].slice(place - self._starts[batch], 1).to_pylist()[0]
        return found if self._transform is None else self._transform(found)

    def held(self) -> TensorDataset:
        """The rows as ``transform`` makes them (a tensor or number, or a tuple of these, of one
        shape and type), made once and held in memory: no picture is decoded again in every epoch.
        """
        parts = [
            default_collate([self[row] for row in range(start, min(start + _HELD, len(self)))])
            for start in range(0, len(self), _HELD)
        ]
        columns = [[part] if isinstance(part, Tensor) else part for part in parts]
        return TensorDataset(*map(torch.cat, zip(*columns, strict=True)))


def _sorted_places(rows: pa.Table, key: str) -> Any:
    keys = rows.select([key])
    return pc.sort_indices(keys, sort_keys=[(key, "ascending")]).to_numpy()
