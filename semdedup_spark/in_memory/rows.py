"""Tables of several kinds, read by column and cut by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semdedup_spark.errors import SourceError, did_you_mean
from semdedup_spark.kernels.vectors import IndexArray

CONTENT = "content"
PATH, LENGTH = "path", "length"


@dataclass(frozen=True)
class Rows:
    """The rows that a caller gave, whatever holds them.

    Attributes
    ----------
    data
        A pandas DataFrame, an Arrow table, an (n, d) array, or a sequence of texts, of pictures as
        bytes, or of files.
    """

    data: Any

    def __len__(self) -> int:
        return int(self.data.num_rows) if isinstance(self.data, pa.Table) else len(self.data)

    @property
    def names(self) -> list[str]:
        """Names of the columns. Files have ``path`` and ``length``, their size in bytes; any other
        sequence has the one column ``content``.
        """
        if isinstance(self.data, pa.Table):
            return list(self.data.column_names)
        if self.are_files:
            return [PATH, LENGTH]
        return list(self.data.columns) if self._is_frame else [CONTENT]

    @property
    def is_matrix(self) -> bool:
        """Whether the rows are vectors without anything else."""
        return isinstance(self.data, np.ndarray)

    @property
    def are_files(self) -> bool:
        """Whether the rows are files without anything else."""
        return isinstance(self.data, list) and bool(self.data) and isinstance(self.data[0], Path)

    @property
    def has_columns(self) -> bool:
        """Whether rows have columns with names of their own."""
        return isinstance(self.data, pa.Table) or self._is_frame

    @property
    def _is_frame(self) -> bool:
        return hasattr(self.data, "iloc")

    def holds_bytes(self, name: str) -> bool:
        """Tell whether a column has bytes, without converting it: pictures may be large.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        bool
            Whether its type, or its first value that is bytes or text, says so.
        """
        if name not in self.names:
            return False
        if isinstance(self.data, pa.Table):
            return is_binary(self.data.schema.field(name).type)
        given = self.data[name] if self._is_frame else self.data
        kinds = (bytes, bytearray, str)
        return isinstance(next((v for v in given if isinstance(v, kinds)), ""), kinds[:2])

    def column(self, name: str, key: str) -> pa.Array:
        """Read a column.

        Parameters
        ----------
        name
            Its name.
        key
            The parameter that asks for it, for the error.

        Returns
        -------
        pa.Array
            n values.

        Raises
        ------
        SourceError
            There is no such column, or its values are of several types.
        """
        if name not in self.names:
            raise SourceError(
                f"{key} must name a column: {', '.join(map(str, self.names))}. Got {name!r}.",
                hint=did_you_mean(name, list(map(str, self.names))),
            )
        if isinstance(self.data, pa.Table):
            values = self.data.column(name)
            return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        given = self.data[name] if self._is_frame else self.data
        if self.are_files:
            given = [str(f) if name == PATH else f.stat().st_size for f in self.data]
        try:
            return as_array(given)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SourceError(
                f"{key} must name a column with values of one type. Got {name!r}: {error}.",
                hint="cast them to text.",
            ) from error

    def take(self, rows: IndexArray) -> Any:
        """Cut rows out.

        Parameters
        ----------
        rows
            (m,) int64. Their positions.

        Returns
        -------
        Any
            m rows of the kind that was given; a list for a sequence.
        """
        if isinstance(self.data, pa.Table):
            return self.data.take(pa.array(rows))
        if self._is_frame:
            return self.data.iloc[rows]
        return self.data[rows] if self.is_matrix else [self.data[row] for row in rows.tolist()]

    def like(self, columns: dict[str, Any]) -> Any:
        """Make a table about rows.

        Parameters
        ----------
        columns
            Values by name.

        Returns
        -------
        Any
            A pandas DataFrame beside a pandas DataFrame, otherwise an Arrow table.
        """
        table = pa.table(columns)
        return table.to_pandas() if self._is_frame else table


def is_binary(of: pa.DataType) -> bool:
    """Tell whether values are bytes.

    Parameters
    ----------
    of
        Their type.

    Returns
    -------
    bool
        Whether they are.
    """
    return bool(pa.types.is_binary(of) or pa.types.is_large_binary(of))


def as_array(values: Any) -> pa.Array:
    """Turn a column of pandas, or a list, into Arrow data.

    Parameters
    ----------
    values
        n values. Lone surrogates, which Python's texts may hold, become bytes that are no UTF-8.

    Returns
    -------
    pa.Array
        n values. NaN in a column of pandas is null.
    """
    from_pandas = hasattr(values, "iloc")
    try:
        found = pa.array(values, from_pandas=from_pandas)
    except UnicodeEncodeError:
        held = [v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values]
        raw = pa.array(held, pa.binary(), from_pandas=from_pandas)
        found = pc.cast(raw, options=pc.CastOptions(pa.string(), allow_invalid_utf8=True))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def as_rows(data: Any) -> Rows:
    """Take a table of any kind.

    Parameters
    ----------
    data
        See :class:`Rows`.

    Returns
    -------
    Rows
        The same rows.

    Raises
    ------
    SourceError
        It is none of these, or a file is not there.
    """
    if isinstance(data, pa.Table) or hasattr(data, "iloc"):
        return Rows(data)
    if isinstance(data, np.ndarray) and data.ndim == 2:
        return Rows(data)
    if isinstance(data, Path) and data.is_dir():
        data = sorted(file for file in data.rglob("*") if file.is_file() and not _hidden(file))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        _check_files(data)
        return Rows(list(data))
    raise SourceError(
        "data must be a Spark or pandas DataFrame, an Arrow table, a list of texts, an array of "
        "vectors (n, d), or pictures: a folder or a list of files, each a pathlib.Path. Got "
        f"{type(data).__name__}{f' {str(data)!r}' if isinstance(data, Path) else ''}."
    )


def _hidden(file: Path) -> bool:
    return file.name[0] in "._"


def _check_files(data: Sequence[Any]) -> None:
    files = [value for value in data if isinstance(value, Path)]
    if files and len(files) < len(data):
        raise SourceError("all rows of a list must be files, or none. Got both.")
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise SourceError(
            f"each file must be there. Got {str(missing[0])!r}, and {len(missing) - 1:,} more that "
            "are not."
        )
