"""What a row must share with the row that it goes for: columns, or what a pattern finds in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import MapType

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.values import comparable

# To the microsecond: what differs must be seen to differ.
_SHOWN = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "ignoreNullFields": "false",
}


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


def check_patterns(spark: SparkSession, patterns: Sequence[str]) -> None:
    """Raise :class:`ConfigError` for one that is no regular expression, by Spark's own word."""
    for pattern in patterns:
        found = F.regexp_extract_all(F.lit(""), F.lit(pattern), F.lit(0))
        try:
            spark.range(1).select(found).collect()
        except PySparkException as error:
            raise ConfigError(
                "select.must_agree.pattern must be a regular expression as Java has it. "
                f"Got {pattern!r}.",
                hint="Python's differ in places: (?<name>x), not (?P<name>x); \\z, not \\Z.",
            ) from error


def agreement_values(embeddings: DataFrame, agreements: Sequence[Agreement]) -> DataFrame:
    """(id, value): a struct of what must agree, in this order; rows agree where it is equal as SQL
    compares values, a null with a null and with nothing else.
    """
    own = embeddings.select(f"{s.SOURCE}.*").schema
    fields = []
    for i, agreement in enumerate(agreements):
        column = F.col(f"{s.SOURCE}.{s.quoted(agreement.column)}")
        if agreement.pattern is None:
            value = comparable(column, own[agreement.column].dataType)
        else:
            pattern = F.lit(agreement.pattern)
            value = F.sort_array(F.regexp_extract_all(column.cast("string"), pattern, F.lit(0)))
        fields.append(value.alias(f"v{i}"))
    return embeddings.select(s.ID, F.struct(*fields).alias(s.VALUE))


def shown_values(
    protected: DataFrame, embeddings: DataFrame, agreements: Sequence[Agreement]
) -> DataFrame:
    """``protected``, with its values as JSON texts, for people: they say which column is what."""
    own = embeddings.select(f"{s.SOURCE}.*").schema
    names: list[str] = []
    for i, agreement in enumerate(agreements):
        name = agreement.column
        while name in names:  # a column may be asked for twice
            name += f"#{i}"
        names.append(name)

    def shown(value: str) -> Column:
        fields = []
        for i, (name, agreement) in enumerate(zip(names, agreements, strict=True)):
            field = F.col(f"{value}.v{i}")
            is_map = isinstance(own[agreement.column].dataType, MapType)
            if is_map and agreement.pattern is None:
                field = F.map_from_entries(field)
            fields.append(field.alias(name))
        return F.to_json(F.struct(*fields), _SHOWN).alias(value)

    texts = (s.VALUE, s.OTHER_VALUE)
    return protected.select(*(shown(c) if c in texts else c for c in protected.columns))
