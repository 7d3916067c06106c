"""JSONL and CSV: records of text, with a column for the text of those that cannot be parsed."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import as_pattern
from semdedup_spark.schema import quoted
from semdedup_spark.sources.formats.csv_lines import check_csv, is_wide
from semdedup_spark.sources.formats.json_keys import check_json
from semdedup_spark.sources.raw_source import RawSource, named_roles

_READERS = {"jsonl": "json", "csv": "csv"}
# While it is not yet known which names the records use themselves.
_FOR_NOW = "__unreadable"


def read_records(
    spark: SparkSession, source: SourceConfig, fingerprint: Callable[[], str]
) -> RawSource:
    """The rows of format jsonl or csv, with the column ``source.unreadable``.

    Raises :class:`SourceError` where a record has a column of that name.
    """
    unreadable = source.unreadable or ""
    types = source.types or _found_types(spark, source, unreadable)
    reader = _reader(spark, source).option("columnNameOfCorruptRecord", unreadable)
    if isinstance(types, str):
        df = reader.schema(f"{types}, {quoted(unreadable)} string")
    else:
        df = reader.schema(StructType([*types.fields, StructField(unreadable, StringType())]))
    rows = df.load(as_pattern(source.path or ""))
    named = [name for name in rows.columns if name != unreadable]
    if source.types is not None and source.format == "csv":
        _check_header(spark, source, named)

    def check() -> None:
        if source.format == "csv":
            check_csv(spark, source)
        else:
            check_json(spark, source, rows.select(*map(quoted, named)).schema)

    roles = named_roles(source)
    return RawSource(rows, fingerprint, roles, unreadable=unreadable, check=check)


def _reader(spark: SparkSession, source: SourceConfig) -> DataFrameReader:
    reader = spark.read.format(_READERS[source.format or ""])
    if source.format == "csv":
        # Whether a record is whole must not depend on which of its columns somebody looks at.
        reader = reader.options(header="true", escape='"', columnPruning="false")
        if is_wide(source):  # lines end with more than one byte
            reader = reader.options(multiLine="true", enforceSchema="false")
    return reader.options(**source.options)


def _found_types(spark: SparkSession, source: SourceConfig, unreadable: str) -> StructType:
    found = _columns(spark, source).schema
    fields = [field for field in found.fields if field.name != _FOR_NOW]
    if unreadable.lower() in {field.name.lower() for field in fields}:
        raise SourceError(
            f"records must have no column {unreadable}: it is for the text of those that cannot "
            "be parsed. They have one.",
            hint="set source.options to {columnNameOfCorruptRecord: a name that is no column}; "
            f"then {unreadable} is a column as any other.",
        )
    return StructType(fields)


def _columns(spark: SparkSession, source: SourceConfig) -> DataFrame:
    reader = _reader(spark, source).option("columnNameOfCorruptRecord", _FOR_NOW)
    return reader.load(as_pattern(source.path or ""))


def _check_header(spark: SparkSession, source: SourceConfig, named: list[str]) -> None:
    """Refuse ``source.types`` that name other columns than the header: CSV knows only places."""
    if (source.option("header") or "true").lower() != "true":
        return
    header = _columns(spark, source).columns
    if [name.lower() for name in header] != [name.lower() for name in named]:
        raise SourceError(
            "source.types must name the columns of the CSV header, all of them and in its order. "
            f"Got {', '.join(named)}; the header has {', '.join(header)}.",
            hint="put source.types in the order of the header; source.columns says what to keep.",
        )
