"""Rows of a table in memory between two steps: what they are was checked, and none is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.frames.given_rows import GivenRows
from semdedup_spark.in_memory.contents import Contents, encoded_texts
from semdedup_spark.in_memory.pictures import Picture, encoded_pictures
from semdedup_spark.in_memory.rows import Rows
from semdedup_spark.kernels.vectors import IndexArray


@dataclass(frozen=True)
class CheckedRows:
    """Rows of which nothing but their encoding is left that could be refused.

    Attributes
    ----------
    rows
        The n rows.
    ids
        n ids.
    rank
        (n,) rank of each row.
    columns
        Names of the columns that they are compared by.
    contents
        The vectors, where these were given; otherwise one of the next two is there.
    texts
        n texts.
    pictures
        n pictures.
    """

    rows: Rows
    ids: pa.Array
    rank: IndexArray
    columns: tuple[str, ...]
    contents: Contents | None = None
    texts: Sequence[str | None] | None = None
    pictures: Sequence[Picture] | None = None

    def encoded(self, spec: EncoderSpec) -> tuple[GivenRows, IndexArray, list[str | None]]:
        """Encode the rows that have no vectors yet.

        Parameters
        ----------
        spec
            The encoder.

        Returns
        -------
        tuple[GivenRows, IndexArray, list[str | None]]
            The rows, the ranks of those with a vector, and of each row why it has none.
        """
        if self.contents is not None:
            found = self.contents
        elif self.pictures is not None:
            found = encoded_pictures(self.pictures, spec, sizes=self.rows.sizes)
        else:
            found = encoded_texts(self.texts or (), spec)
        ids = self.ids.to_pylist()
        given = GivenRows(
            self.rows, ids, found.good, found.X, self.texts, self.columns, self.pictures
        )
        return given, self.rank[found.good], found.reasons
