"""A table in memory, row by row: a map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from torch.utils.data import Dataset

from semdedup_spark import schema as s
from semdedup_spark.tables.delta_files import open_version, read_rows, require_columns

Row = dict[str, Any]


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
        self._rows: pa.Table = (rows if key is None else rows.sort_by(key)).select(wanted)
        self._transform = transform
        self.version = table.version

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Any:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row must be from 0 to {len(self) - 1}. Got {row}.")
        return self.__getitems__([row % len(self)])[0]

    def __getitems__(self, rows: list[int]) -> list[Any]:
        """A batch at once, as a DataLoader asks for it."""
        if len(rows) == 1:  # take would look through all chunks
            found = self._rows.slice(rows[0], 1).to_pylist()
        else:
            found = self._rows.take(pa.array(rows, pa.int64())).to_pylist()
        return found if self._transform is None else [self._transform(row) for row in found]
