"""How many rows each row of a table stands for, by the table ``assignment`` of its selection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.tables.delta_files import (
    TableVersion,
    open_version,
    read_rows,
    require_columns,
)


@dataclass(frozen=True)
class ManyCopies:
    """The rows of a table that do not stand for themselves alone. All others have one copy.

    Attributes
    ----------
    places
        (m,) int64. Their places in the table, increasing.
    counts
        (m,) int64. Number of rows that each of them stands for.
    """

    places: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def of(self, place: int, n: int) -> list[int]:
        """Look up rows that lie one after another in the table.

        Parameters
        ----------
        place
            Place of the first one in the table.
        n
            Number of rows.

        Returns
        -------
        list[int]
            n numbers of copies.
        """
        found = np.ones(n, np.int64)
        first, last = np.searchsorted(self.places, [place, place + n])
        found[self.places[first:last] - place] = self.counts[first:last]
        copies: list[int] = found.tolist()
        return copies


def key_of(table: TableVersion, key: str | None) -> str | None:
    """Choose the key column of a table.

    Parameters
    ----------
    table
        The table.
    key
        The column that was asked for, if any.

    Returns
    -------
    str or None
        This column; otherwise ``id`` if there is such a column.
    """
    return key or (s.ID if s.ID in table.columns else None)


def copies_of(location: str, rows: pa.Table, key: str | None) -> npt.NDArray[np.int64]:
    """Read how many rows each row stands for.

    Parameters
    ----------
    location
        Directory or URI of the table ``assignment``.
    rows
        n rows with their key column, each of them kept by the selection.
    key
        Name of the key column.

    Returns
    -------
    npt.NDArray[np.int64]
        (n,) numbers of copies, in the order of the rows.

    Raises
    ------
    SourceError
        If a row is not kept in ``assignment``, or this is not such a table.
    """
    key = _required(key)
    table = open_version(location, None)
    require_columns(table, [s.ID, s.COPIES])
    known = read_rows(table, [s.ID, s.COPIES])
    known = known.filter(pc.is_valid(known[s.COPIES]))  # the kept rows
    try:
        places = pc.index_in(rows[key], value_set=known[s.ID].cast(rows.schema.field(key).type))
    except pa.ArrowException:  # no id can be a value of this type
        places = pa.chunked_array([pa.nulls(len(rows), pa.int32())])
    if places.null_count:
        raise SourceError(
            f"each row must be kept in {location!r}. {places.null_count:,} of {len(rows):,} "
            f"are not: {key!r} holds no ids, or the table is that of another selection.",
            hint="name the tables assignment and deduplicated of one selection, and its id as key.",
        )
    return np.asarray(known[s.COPIES].combine_chunks().take(places.combine_chunks()), np.int64)


def many_copies(location: str, table: TableVersion, key: str | None) -> ManyCopies:
    """Read the same as :func:`copies_of` for all rows of a table, and hold only what is not 1.

    Parameters
    ----------
    location
        Directory or URI of the table ``assignment``.
    table
        The table, each row of which is kept by the selection.
    key
        Name of its key column.

    Returns
    -------
    ManyCopies
        The rows that do not stand for themselves alone.
    """
    copies = copies_of(location, read_rows(table, [_required(key)]), key)
    places = np.flatnonzero(copies != 1)
    return ManyCopies(places, copies[places])


def _required(key: str | None) -> str:
    if key is None:
        raise ValueError("key must name the column of the ids where assignment is given. Got none.")
    return key
