"""Rows that a caller gave, with their vectors, and what a person would recognise them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from semdedup_spark.answers.overview import (
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_OF_A_VALUE,
    Shown,
)
from semdedup_spark.in_memory.pictures import Picture, bytes_of
from semdedup_spark.in_memory.rows import Rows
from semdedup_spark.kernels.vectors import FloatArray, IndexArray
from semdedup_spark.masking import beginning

if TYPE_CHECKING:
    from semdedup_spark.encoders.image.thumbnails import Thumbnail


@dataclass(frozen=True)
class GivenRows:
    """A table in memory, with the vectors of the rows that have one.

    Attributes
    ----------
    rows
        The n rows.
    ids
        n ids.
    good
        (m,) int64. Positions of the rows that have a vector, in the order of ``X``.
    X
        (m, d) float32. Their unit vectors.
    texts
        n texts that were encoded; ``None`` where vectors were given.
    text_columns
        Names of the columns that the texts were made of.
    pictures
        n pictures that were encoded; ``None`` where texts or vectors were given.
    """

    rows: Rows
    ids: Sequence[Any]
    good: IndexArray
    X: FloatArray = field(repr=False)
    texts: Sequence[str | None] | None = field(default=None, repr=False)
    text_columns: tuple[str, ...] = ()
    pictures: Sequence[Picture] | None = field(default=None, repr=False)

    def id_of(self, i: int) -> Any:
        """Name a row that has a vector.

        Parameters
        ----------
        i
            Its position among these rows.

        Returns
        -------
        Any
            Its id.
        """
        return self.ids[self.good[i]]

    def shown(self, i: int, similarity: float = 1.0) -> Shown:
        """Show a row that has a vector.

        Parameters
        ----------
        i
            Its position among these rows.
        similarity
            Its similarity to the row that stands for it.

        Returns
        -------
        Shown
            Its id, its text or a small picture, and its other columns.
        """
        row = int(self.good[i])
        text = (self.texts[row] or "") if self.texts is not None else ""
        text, columns = beginning(text, MOST_CHARACTERS), self._columns(row)
        return Shown(str(self.ids[row]), text, similarity, self._picture(row), columns)

    def _picture(self, row: int) -> Thumbnail | None:
        if self.pictures is None:
            return None
        from semdedup_spark.encoders.image.thumbnails import thumbnail  # needs Pillow

        return thumbnail(bytes_of(self.pictures[row]))

    def _columns(self, row: int) -> tuple[tuple[str, str], ...]:
        if not self.rows.has_columns:
            return ()
        told, alone = [], Rows(self.rows.take(np.array([row])))
        for name in alone.names:
            (value,) = alone.column(name, "content").to_pylist()
            plain = value is not None and not isinstance(value, (list, dict, bytes))
            if plain and name not in self.text_columns and str(value) != str(self.ids[row]):
                told.append((str(name), beginning(str(value), MOST_OF_A_VALUE)))
        return tuple(told[:MOST_COLUMNS])
