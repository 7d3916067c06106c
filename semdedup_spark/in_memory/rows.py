"""Tables of several kinds, read by column and cut by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
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
    sizes
        Sizes of the files in bytes, where the rows are files.
    """

    data: Any
    sizes: Sequence[int] | None = None

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
            given = [str(file) for file in self.data] if name == PATH else self.sizes
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
        return _folder(data)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _listed(list(data))
    raise SourceError(
        "data must be a Spark or pandas DataFrame, an Arrow table, a list of texts, an array of "
        "vectors (n, d), or pictures: a folder or a list of files, each a pathlib.Path. Got "
        f"{type(data).__name__}{f' {str(data)!r}' if isinstance(data, Path) else ''}.",
        hint="there is no folder of this name; one file is a list, [Path(...)]."
        if isinstance(data, Path)
        else "",
    )


def _folder(folder: Path) -> Rows:
    found = {file: _size(file) for file in folder.rglob("*")}
    sizes = {file: size for file, size in found.items() if size is not None}
    files = sorted(file for file in sizes if file.name[0] not in "._")
    if not files:
        hidden = f" but {len(sizes):,} whose names begin with _ or a dot" if sizes else ""
        raise SourceError(
            "a folder of pictures must hold at least one picture. "
            f"Got {str(folder)!r}, which holds no file{hidden}.",
            hint="name the folder that the pictures lie in, at any depth. Files are taken whatever "
            "their names end with (.jpg, .png, .webp, ...); what is no picture is set aside.",
        )
    return Rows(files, [sizes[file] for file in files])


def _listed(data: list[Any]) -> Rows:
    files = [value for value in data if isinstance(value, Path)]
    if not files:
        return Rows(data)
    if len(files) < len(data):
        raise SourceError("all rows of a list must be files, or none. Got both.")
    sizes = [_size(file) for file in files]
    there = [size for size in sizes if size is not None]
    missing = len(sizes) - len(there)
    if missing:
        raise SourceError(
            f"each file must be there. Got {str(files[sizes.index(None)])!r}, and {missing - 1:,} "
            "more that are not."
        )
    return Rows(files, there)


def _size(file: Path) -> int | None:
    """Size of a file in bytes; ``None`` where there is none, or something else."""
    try:
        told = file.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None
    return told.st_size if S_ISREG(told.st_mode) else None
