"""A Delta table's rows without Spark: delta-rs says which files are a version, pyarrow reads them.

For training processes and exports. Rows have a fixed order in a version: that of their files'
names, and in a file as they lie there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.errors import EnvironmentProblem, SourceError
from semdedup_spark.masking import masked
from semdedup_spark.paths import local, open_stream

# Table features that readers of plain Parquet files do not see.
_NOT_UNDERSTOOD = {"deletionVectors", "columnMapping", "v2Checkpoint", "typeWidening"}


_BUFFER = 4 << 20  # bytes of each column


@dataclass(frozen=True)
class RowGroup:
    """Rows of a file that are read in one go.

    Attributes
    ----------
    path
        The file.
    number
        Number of the row group in the file.
    start
        Place of its first row in the table.
    n_rows
        Number of its rows.
    """

    path: str
    number: int
    start: int
    n_rows: int

    def __repr__(self) -> str:
        return f"RowGroup({masked(self.path)!r}, number={self.number}, n_rows={self.n_rows})"


@dataclass(frozen=True)
class TableVersion:
    """A table at a version: small, and safe to send to other processes.

    Attributes
    ----------
    location
        Directory or URI of the table.
    version
        Its version.
    columns
        Names of its columns.
    row_groups
        Where its rows lie, in their order.
    """

    location: str
    version: int
    columns: tuple[str, ...]
    row_groups: tuple[RowGroup, ...]

    def __repr__(self) -> str:
        return f"TableVersion({masked(self.location)!r}, version={self.version}, rows={len(self)})"

    def __len__(self) -> int:
        return sum(group.n_rows for group in self.row_groups)


def open_version(location: str, version: int | None = None) -> TableVersion:
    """Look up a table's columns and where its rows lie. Reads the log and the files' footers, no
    rows.

    Parameters
    ----------
    location
        Directory or URI of the table.
    version
        A version of the table; the newest if ``None``.

    Returns
    -------
    TableVersion
        The table at that version.

    Raises
    ------
    SourceError
        There is no such table or version, or it has features that need Spark.
    """
    table = _delta_table(location, version)
    if table.metadata().partition_columns:
        raise SourceError(
            f"{location} must not be partitioned, to be read without Spark. It is.",
            hint="the tables that semdedup writes are not.",
        )
    demands = set(table.protocol().reader_features or []) & _NOT_UNDERSTOOD
    if demands - {"v2Checkpoint"}:
        raise SourceError(
            f"{location} must be readable as plain Parquet files. It uses: "
            f"{', '.join(sorted(demands))}.",
            hint="if it is a clone (select.write: clone), remove it and set select.write: table; "
            "else REORG TABLE ... APPLY (PURGE), or write it again without.",
        )
    groups, start = [], 0
    for path in sorted(map(unquote, table.file_uris())):
        with _parquet(path) as file:
            for number in range(file.num_row_groups):
                n_rows = file.metadata.row_group(number).num_rows
                groups.append(RowGroup(path, number, start, n_rows))
                start += n_rows
    columns = tuple(field.name for field in table.schema().fields)
    return TableVersion(location, table.version(), columns, tuple(groups))


def _delta_table(location: str, version: int | None) -> Any:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise EnvironmentProblem(
            "the package deltalake must be installed to read a table without Spark. It is not.",
            hint="pip install 'semdedup-spark[loader]'",
        ) from error
    try:
        return DeltaTable(local(location) or location, version=version)
    except (DeltaError, OSError, ValueError) as error:
        which = "" if version is None else f" with version {version}"
        said = " ".join(masked(str(error)).split())[:300]  # cut first, a secret has no end
        raise SourceError(f"{location} must be a Delta table{which}. Got: {said}") from error


def read_batches(
    table: TableVersion,
    group: RowGroup,
    *,
    columns: Sequence[str] | None = None,
    skip: int = 0,
    batch_rows: int = 1024,
) -> Iterator[pa.RecordBatch]:
    """Read the rows of one row group, a batch at a time, in their order.

    Parameters
    ----------
    table
        The table.
    group
        One of its row groups.
    columns
        Names of the columns to read; all if ``None``.
    skip
        Number of rows at the beginning of the group that are left out.
    batch_rows
        Number of rows of a batch at most.

    Yields
    ------
    pa.RecordBatch
        At most ``batch_rows`` rows, with the columns in the order asked for.
    """
    wanted = list(table.columns if columns is None else columns)
    with _parquet(group.path) as file:
        batches = file.iter_batches(
            batch_rows, row_groups=[group.number], columns=wanted, use_threads=False
        )
        for batch in batches:
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            yield batch.slice(skip).select(wanted)
            skip = 0


def read_rows(table: TableVersion, columns: Sequence[str] | None = None) -> pa.Table:
    """Read all rows into memory.

    Parameters
    ----------
    table
        The table.
    columns
        Names of the columns to read; all if ``None``.

    Returns
    -------
    pa.Table
        The rows in their order.

    Raises
    ------
    without_rows
        A :class:`SourceError`: the table has no rows.
    """
    batches = [
        batch for group in table.row_groups for batch in read_batches(table, group, columns=columns)
    ]
    if not batches:
        raise without_rows(table)
    return pa.Table.from_batches(batches)


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Turn rows into dicts. Bytes of a text that are not UTF-8, which Spark allows, become U+FFFD.

    Parameters
    ----------
    batch
        n rows.

    Returns
    -------
    list[dict[str, Any]]
        n rows, by the names of the columns.
    """
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        columns = ([_python_value(value) for value in column] for column in batch.columns)
        names = batch.schema.names
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return rows


def _python_value(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        if isinstance(value, pa.StructScalar):
            return {name: _python_value(part) for name, part in value.items()}
        if isinstance(value, pa.MapScalar):
            return [tuple(map(_python_value, entry.values())) for entry in value.values]
        if isinstance(value, pa.ListScalar):
            return [_python_value(entry) for entry in value.values]
        return str(value.as_buffer(), "utf-8", "replace")


def without_rows(table: TableVersion) -> SourceError:
    """Make the error for a table of which there is nothing to read.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    SourceError
        To be raised.
    """
    return SourceError(f"{table.location} must have rows. Version {table.version} has none.")


def require_columns(table: TableVersion, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Parameters
    ----------
    table
        The table.
    columns
        Names of the columns that it must have.

    Raises
    ------
    SourceError
        It lacks one of them; the message names it.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SourceError(
            f"{table.location} must have the columns {', '.join(columns)}. It lacks "
            f"{', '.join(missing)}; its columns are {', '.join(table.columns)}."
        )


def _parquet(path: str) -> pq.ParquetFile:
    # With pre_buffer a whole row group is read before its first row is returned.
    return pq.ParquetFile(
        local(path) or open_stream(path, seekable=True), pre_buffer=False, buffer_size=_BUFFER
    )
