"""What a row must share with the row that it is removed for: columns, or what is found in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, MapType

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.presets.preset import Preset
from semdedup_spark.transforms.select.preset_matches import preset_matches
from semdedup_spark.values import comparable, legible

# To the microsecond: what differs must be seen to differ.
_SHOWN = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "ignoreNullFields": "false",
}


@dataclass(frozen=True)
class Agreement:
    """Something that two rows must share.

    Attributes
    ----------
    column
        Column of the source.
    pattern
        Java regular expression whose matches count, in any order. ``None`` if it is not that.
    preset
        Preset whose matches count, in place of a pattern. Without both the value counts.
    """

    column: str
    pattern: str | None = None
    preset: Preset | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the value itself counts."""
        return self.pattern is None and self.preset is None


def check_columns(own: DataFrame, columns: Sequence[str], *, key: str) -> None:
    """Check that columns exist.

    Parameters
    ----------
    own
        The source's own columns.
    columns
        Names of columns.
    key
        Key of the configuration that names them, for the error.

    Raises
    ------
    SourceError.missing_column
        :class:`SourceError`, if one of them is no column of the source.
    """
    for column in columns:
        if column not in own.columns:
            raise SourceError.missing_column(column, own.columns, key=key)


def check_patterns(spark: SparkSession, patterns: Sequence[str]) -> None:
    """Check that Spark accepts patterns. Runs one Spark job per pattern.

    Parameters
    ----------
    spark
        The session.
    patterns
        Java regular expressions.

    Raises
    ------
    ConfigError
        If one of them is no regular expression.
    """
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
    """Collect the values that must agree.

    Parameters
    ----------
    embeddings
        Columns id and source.
    agreements
        What must agree.

    Returns
    -------
    DataFrame
        Columns id and value: a struct with one field per agreement. Rows agree if their structs are
        equal as SQL compares values; null is equal to null and to nothing else.
    """
    own = embeddings.select(f"{s.SOURCE}.*").schema
    fields = [
        _value(agreement, own[agreement.column].dataType).alias(f"v{i}")
        for i, agreement in enumerate(agreements)
    ]
    return embeddings.select(s.ID, F.struct(*fields).alias(s.VALUE))


def _value(agreement: Agreement, kind: DataType) -> Column:
    column = F.col(f"{s.SOURCE}.{s.quoted(agreement.column)}")
    if agreement.preset is not None:
        return preset_matches(legible(column), agreement.preset)
    if agreement.pattern is not None:
        pattern = F.lit(agreement.pattern)
        return F.sort_array(F.regexp_extract_all(legible(column), pattern, F.lit(0)))
    return comparable(column, kind)


def shown_values(
    protected: DataFrame, embeddings: DataFrame, agreements: Sequence[Agreement]
) -> DataFrame:
    """Write values as JSON for people, with the names of their columns.

    Parameters
    ----------
    protected
        Columns value and other_value, and others.
    embeddings
        Column source; only its type is used.
    agreements
        What must agree.

    Returns
    -------
    DataFrame
        ``protected`` with values as text.
    """
    own = embeddings.select(f"{s.SOURCE}.*").schema
    names: list[str] = []
    for i, agreement in enumerate(agreements):
        name = agreement.column
        if agreement.preset is not None:
            name += f":{agreement.preset.name}"
        while name in names:  # a column may be asked for twice
            name += f"#{i}"
        names.append(name)

    def shown(value: str) -> Column:
        fields = []
        for i, (name, agreement) in enumerate(zip(names, agreements, strict=True)):
            field = F.col(f"{value}.v{i}")
            is_map = isinstance(own[agreement.column].dataType, MapType)
            if is_map and agreement.is_whole:
                field = F.map_from_entries(field)
            fields.append(field.alias(name))
        return F.to_json(F.struct(*fields), _SHOWN).alias(value)

    texts = (s.VALUE, s.OTHER_VALUE)
    return protected.select(*(shown(c) if c in texts else c for c in protected.columns))
