"""Read JSONL and CSV. A column holds the text of each record that cannot be parsed."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.errors import AnalysisException
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
# Name of the column of unparsed text until the records' own names are known.
_FOR_NOW = "__unreadable"


def read_records(
    spark: SparkSession, source: SourceConfig, fingerprint: Callable[[], str]
) -> RawSource:
    """Open files of JSONL or CSV.

    Parameters
    ----------
    spark
        The session that reads the files.
    source
        A source of format jsonl or csv.
    fingerprint
        Returns the fingerprint of the files as they were listed.

    Returns
    -------
    RawSource
        The columns of the records, and the column ``source.unreadable`` with the text of records
        that cannot be parsed.

    Notes
    -----
    Raises :class:`SourceError` if a record has a column of that name, if ``source.types`` does not
    agree with the CSV header, or if nothing tells the columns.
    """
    unreadable = source.unreadable or ""
    types = source.types or _found_types(spark, source, unreadable)
    reader = _reader(spark, source).option("columnNameOfCorruptRecord", unreadable)
    if isinstance(types, str):
        df = reader.schema(f"{types}, {quoted(unreadable)} string")
    else:
        df = reader.schema(StructType([*types.fields, StructField(unreadable, StringType())]))
    rows = _loaded(df, source)
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
        # With column pruning, a malformed record would pass if only some columns are selected.
        reader = reader.options(header="true", escape='"', columnPruning="false")
        if is_wide(source):  # lines end with more than one byte
            reader = reader.options(multiLine="true", enforceSchema="false")
    else:
        # Such records are no JSON. Python cannot parse them, so what they lose would go unseen.
        reader = reader.option("allowSingleQuotes", "false")
    return reader.options(**source.options)


def _loaded(reader: DataFrameReader, source: SourceConfig) -> DataFrame:
    try:
        rows = reader.load(as_pattern(source.path or ""))
        _ = rows.schema  # Spark Connect looks only now
        return rows
    except AnalysisException as error:
        if "COLUMN_ALREADY_EXISTS" not in str(error):
            raise
        where = "records" if source.types is None else "source.types"
        raise SourceError(
            f"names of columns and of fields must differ in more than case. In {where} they do "
            f"not. Spark says: {str(error).splitlines()[0]}",
            hint="rename the key in the files, or keep the object that holds it as JSON text: give "
            "it the type string in source.types.",
        ) from error


def _found_types(spark: SparkSession, source: SourceConfig, unreadable: str) -> StructType:
    found = _columns(spark, source).schema
    if not found.fields:
        raise SourceError(
            "source.path must hold at least one record, or source.types must name the columns. "
            f"Got {source.path!r}, whose files have no content.",
            hint='set source.types, as in "id string, text string"; if the source is meant to be '
            "empty, --allow-empty then leaves all tables empty.",
        )
    fields = [field for field in found.fields if field.name != _FOR_NOW]
    if unreadable.lower() in {field.name.lower() for field in fields}:
        raise SourceError(
            f"records must have no column {unreadable}, because that name is for the text of "
            "records that cannot be parsed. Got records with such a column.",
            hint="set source.options to {columnNameOfCorruptRecord: an unused name}; "
            f"then {unreadable} is an ordinary column.",
        )
    return StructType(fields)


def _columns(spark: SparkSession, source: SourceConfig) -> DataFrame:
    reader = _reader(spark, source).option("columnNameOfCorruptRecord", _FOR_NOW)
    return _loaded(reader, source)


def _check_header(spark: SparkSession, source: SourceConfig, named: list[str]) -> None:
    """Refuse ``source.types`` that do not match the header: Spark assigns types by position."""
    if (source.option("header") or "true").lower() != "true":
        return
    header = _columns(spark, source).columns
    if not header:  # files without content
        return
    if [name.lower() for name in header] != [name.lower() for name in named]:
        raise SourceError(
            "source.types must name all columns of the CSV header, in its order. "
            f"Got {', '.join(named)}; the header has {', '.join(header)}.",
            hint="list all columns of the header in source.types; use source.columns to choose "
            "those to keep.",
        )
