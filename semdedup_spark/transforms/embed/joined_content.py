"""Several columns as one text, as :mod:`semdedup_spark.in_memory.contents` joins them."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DateType, IntegralType, NullType, StringType

from semdedup_spark import schema as s
from semdedup_spark.encoders.text.template import CAST_TO_TEXT, check_template
from semdedup_spark.errors import SourceError, did_you_mean

_WRITTEN_ALIKE = (StringType, IntegralType, BooleanType, DateType, NullType)


def joined_content(
    df: DataFrame, columns: Sequence[str], template: str | None, name: str
) -> DataFrame:
    """Add a column with the texts of several columns.

    Parameters
    ----------
    df
        The rows.
    columns
        Names of the columns.
    template
        How they are joined, such as ``"{artist}: {title}"``; a null is the empty text then.
        ``None``: those that are not empty, one on each line.
    name
        Name of the new column.

    Returns
    -------
    DataFrame
        The rows with the new column, null where all of ``columns`` are null.

    Raises
    ------
    SourceError
        A column is not there, or its values are written differently by different programs.
    """
    for column in columns:
        if column not in df.columns:
            raise SourceError(
                f"content must name columns: {', '.join(df.columns)}. Got {column!r}.",
                hint=did_you_mean(column, df.columns),
            )
        kind = df.schema[column].dataType
        if not isinstance(kind, _WRITTEN_ALIKE):
            raise SourceError(
                "content must name columns of text, whole numbers, booleans or dates. Got "
                f"{kind.simpleString()} in {column!r}.",
                hint=CAST_TO_TEXT,
            )
    check_template(template, columns)
    texts = {f"{{{column}}}": F.col(s.quoted(column)).cast("string") for column in columns}
    joined = _lines(texts) if template is None else _filled(texts, template)
    return df.withColumn(name, F.when(F.coalesce(*texts.values()).isNotNull(), joined))


def _lines(texts: dict[str, Column]) -> Column:
    there = F.filter(F.array(*texts.values()), lambda text: text != "")
    return F.array_join(there, "\n")


def _filled(texts: dict[str, Column], template: str) -> Column:
    """Pieces of the template in turn: a brace in a text is never taken for a column."""
    parts: list[Column] = []
    rest = template
    while rest:
        first = min(texts, key=lambda name: rest.find(name) if name in rest else len(rest))
        before, found, rest = rest.partition(first)
        parts.append(F.lit(before))
        if found:
            parts.append(F.coalesce(texts[first], F.lit("")))
    return F.concat(*parts)
