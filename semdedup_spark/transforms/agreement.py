"""What a row must share with the row that it goes for: columns, or what a pattern finds in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError


@dataclass(frozen=True)
class Agreement:
    """``column``: of the source; ``pattern``: Java regular expression whose matches count, in any
    order; ``None``: the column's value counts.
    """

    column: str
    pattern: str | None = None


def check_columns(own: DataFrame, columns: Sequence[str], *, key: str) -> None:
    """Raise :class:`SourceError` for one that is no column of the source. ``own``: its columns."""
    for column in columns:
        if column not in own.columns:
            raise SourceError.missing_column(column, own.columns, key=key)


def agreement_values(embeddings: DataFrame, agreements: Sequence[Agreement]) -> DataFrame:
    """(id, value): rows agree where their values, JSON texts, are equal. A null agrees with a null
    and with nothing else.
    """
    fields = [_field(a).alias(f"{a.column}{i or ''}") for i, a in enumerate(agreements)]
    return embeddings.select(s.ID, F.to_json(F.struct(*fields)).alias(s.VALUE))


def _field(agreement: Agreement) -> Column:
    column = F.col(f"{s.SOURCE}.{s.quoted(agreement.column)}")
    if agreement.pattern is None:
        return column
    found = F.regexp_extract_all(column.cast("string"), F.lit(agreement.pattern), F.lit(0))
    return F.sort_array(found)
