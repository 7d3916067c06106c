"""Read what a person would recognise rows by: their texts, and their other columns."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType

from semdedup_spark import schema as s
from semdedup_spark.answers.overview import (
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_OF_A_VALUE,
    Shown,
)
from semdedup_spark.config import SourceConfig
from semdedup_spark.masking import BEYOND, beginning
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.pictures import pictures
from semdedup_spark.pipeline.queries.reference_side import Side
from semdedup_spark.pipeline.rows_as_embedded import looked_up, rows_as_embedded
from semdedup_spark.transforms.queries.told_columns import told_columns, told_value


@dataclass(frozen=True)
class RowText:
    """What a row says.

    Attributes
    ----------
    text
        Its text or caption; empty where it has none.
    columns
        Name and value of its other columns, as text.
    """

    text: str
    columns: tuple[tuple[str, str], ...] = ()


def contents(job: Job, side: Side, ids: Collection[Any]) -> dict[Any, str]:
    """Read what a person would recognise rows by.

    Parameters
    ----------
    job
        The job.
    side
        The side that the rows belong to.
    ids
        Ids of a few rows.

    Returns
    -------
    dict[Any, str]
        By id: the text or the caption of a row. A row without one has a line for each of its
        columns, but for nulls, the id, binary and nested columns. At most 4,000 characters each.
    """
    if not ids:
        return {}

    def ask() -> list[Row]:
        rows = rows_as_embedded(job, side.table).filter(F.col(s.ID).isin(list(ids)))
        return rows.select(s.ID, _head(_readable(rows, side.source), MOST_CHARACTERS)).collect()

    found = looked_up(job, ask)
    return {row[0]: beginning(row[1] or "", MOST_CHARACTERS) for row in found}


def text_and_columns(job: Job, side: Side, ids: Collection[Any]) -> dict[Any, RowText]:
    """Read the text of rows, and their other columns apart from it.

    Parameters
    ----------
    job
        The job.
    side
        The side that the rows belong to.
    ids
        Ids of a few rows.

    Returns
    -------
    dict[Any, RowText]
        By id. Nulls, and columns that repeat the id, are left out.
    """
    if not ids:
        return {}
    names: list[str] = []

    def ask() -> list[Row]:
        rows = rows_as_embedded(job, side.table).filter(F.col(s.ID).isin(list(ids)))
        fields = _fields(rows)
        text = _text_name(fields, side.source)
        plain = [name for name, kind in fields.items() if name != text and _is_plain(kind)]
        names.extend(plain[:MOST_COLUMNS])
        content = F.lit("") if text is None else _head(_field(text), MOST_CHARACTERS)
        cells = [_head(told_value(name), MOST_OF_A_VALUE) for name in names]
        return rows.select(s.ID, content, *cells).collect()

    found = {}
    for row_id, *values in looked_up(job, ask):
        pairs = zip(names, values[1:], strict=True)
        told = tuple(
            (name, beginning(value, MOST_OF_A_VALUE))
            for name, value in pairs
            if value not in (None, str(row_id))
        )
        found[row_id] = RowText(beginning(values[0] or "", MOST_CHARACTERS), told)
    return found


def shown_rows(job: Job, side: Side, ids: Collection[Any]) -> dict[Any, Shown]:
    """Read rows as a person sees them: text, columns and picture.

    Parameters
    ----------
    job
        The job.
    side
        The side that the rows belong to.
    ids
        Ids of a few rows.

    Returns
    -------
    dict[Any, Shown]
        By id, for every id. The similarity is 1.
    """
    said, images = text_and_columns(job, side, ids), pictures(job, side, ids)
    told = {row_id: said.get(row_id, RowText("")) for row_id in ids}
    return {i: Shown(str(i), told[i].text, 1.0, images.get(i), told[i].columns) for i in ids}


def _head(text: Column, n: int) -> Column:
    return F.substring(text, 1, n + BEYOND)


def _fields(embeddings: DataFrame) -> dict[str, DataType]:
    kind = embeddings.schema[s.SOURCE].dataType
    return {f.name: f.dataType for f in kind.fields} if isinstance(kind, StructType) else {}


def _text_name(fields: dict[str, DataType], source: SourceConfig) -> str | None:
    names = (source.text, source.content, "txt")
    return next((n for n in names if n and isinstance(fields.get(n), StringType)), None)


def _readable(embeddings: DataFrame, source: SourceConfig) -> Column:
    fields = _fields(embeddings)
    text = _text_name(fields, source)
    if text is not None:
        return _field(text)
    plain = [name for name, of_type in fields.items() if _is_plain(of_type)]
    return told_columns(plain)


def _field(name: str) -> Column:
    return F.col(f"{s.SOURCE}.{s.quoted(name)}")


def _is_plain(kind: DataType) -> bool:
    return not isinstance(kind, ArrayType | BinaryType | MapType | StructType) and (
        "VectorUDT" not in type(kind).__name__
    )
