"""SQL over the tables of an output, each under its own short name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    MapType,
    NumericType,
    StructField,
    StructType,
)

from semdedup_spark import schema as s
from semdedup_spark.answers.sql import Answer, numbered
from semdedup_spark.causes import Kind
from semdedup_spark.errors import ConfigError, StageOrderError
from semdedup_spark.failures import explained
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.read_selection import read_selection
from semdedup_spark.sql_text import variable_in
from semdedup_spark.tables.catalog import read_table, table_exists

_BESIDE_THE_LEDGER = (s.RUNS, s.LEASES, *s.BY_PEOPLE)
_JSON = "json"


def tables_of(job: Job) -> list[str]:
    """List the tables of the output.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    list[str]
        Their names, in the order in which a run writes them.
    """
    written = dict.fromkeys(table for each in job.ledger.records() for table in each.outputs)
    names = [*written, *_BESIDE_THE_LEDGER]
    return [table for table in names if table_exists(job.spark, job.root, table)]


def run_sql(job: Job, query: str, *, limit: int) -> Answer:
    """Answer a query over the tables of the output.

    Parameters
    ----------
    job
        The job.
    query
        A query in Spark's SQL. It names the tables of the output as ``scores``, ``assignment`` and
        so on. What is no query, such as ``DELETE``, is refused.
    limit
        Number of rows, at most. They are brought to the driver.

    Returns
    -------
    Answer
        Its rows.

    Raises
    ------
    ConfigError
        Spark does not understand the query, it asks for a value that cannot be computed, or Spark
        would put a variable in it.
    PySparkException
        Something else failed, such as a file, the memory or the network.
    """
    if variable_in(query):
        raise ConfigError(
            f"a query must hold no {variable_in(query)}: Spark puts a setting or a variable of the "
            "environment there.",
            hint="write the value itself.",
        )
    with _views(job) as names:
        try:
            # Only a query fits between parentheses. A comment at its end must not swallow them.
            found = job.spark.sql(f"SELECT * FROM (\n{query.strip().rstrip(';')}\n)")
            fields = found.schema.fields
            rows = _as_text(found).limit(limit + 1).collect()
        except PySparkException as error:
            fault = _fault_of_query(error)
            if fault is None:
                raise
            raise ConfigError(
                f"the query must be one that Spark can answer. {fault}",
                hint=f"tables: {', '.join(names)}. `semdedup sql` without a query lists them.",
            ) from error
    return Answer(
        tuple(numbered(field.name for field in fields)),
        tuple(isinstance(field.dataType, NumericType) for field in fields),
        tuple(tuple(row)[:-1] for row in rows[:limit]),
        tuple(row[_JSON] for row in rows[:limit]),
        len(rows) > limit,
    )


@contextmanager
def _views(job: Job) -> Iterator[list[str]]:
    """Let a query name the tables, until the ``with`` block ends. The caller's own views of these
    names come back then.
    """
    made: dict[str, DataFrame | None] = {}
    try:
        for table, found in _rows_of_tables(job):
            made[table] = _set_aside(job.spark, table)
            found.createOrReplaceTempView(table)
        yield list(made)
    finally:
        for table, own in made.items():
            job.spark.catalog.dropTempView(table)
            if own is not None:
                own.createOrReplaceTempView(table)


def _rows_of_tables(job: Job) -> Iterator[tuple[str, DataFrame]]:
    """The tables, and the kept rows of selections that have no table of these."""
    for table in tables_of(job):
        yield table, read_table(job.spark, job.root, table)
    for name, record in job.ledger.selections():
        kept = s.of_selection(s.DEDUPLICATED, name)
        has_rows = s.of_selection(s.ASSIGNMENT, name) in record.outputs
        if has_rows and kept not in record.outputs:
            with suppress(StageOrderError):  # its rows are no longer there
                output, source = job.config.output, job.config.source
                selected = read_selection(job.spark, output, name, source)
                yield kept, selected.deduplicated


def _set_aside(spark: SparkSession, view: str) -> DataFrame | None:
    """Drop the temporary view of a name. ``None`` if there is none; a table is none."""
    found = spark.table(view) if spark.catalog.tableExists(view) else None
    return found if spark.catalog.dropTempView(view) else None


def _as_text(found: DataFrame) -> DataFrame:
    """Columns c0, c1, ... of text, and the whole row as JSON. Names of a query may repeat."""
    kinds = [field.dataType for field in found.schema.fields]
    plain = found.toDF(*(f"c{i}" for i in range(len(kinds))))
    columns = [_of_own_names(F.col(f"c{i}"), kind) for i, kind in enumerate(kinds)]
    texts = [_text(columns[i], kind).alias(f"c{i}") for i, kind in enumerate(kinds)]
    names = numbered(found.columns)
    whole = F.struct(*(c.alias(name) for c, name in zip(columns, names, strict=True)))
    return plain.select(*texts, F.to_json(whole, {"ignoreNullFields": "false"}).alias(_JSON))


def _of_own_names(column: Column, kind: DataType) -> Column:
    """The same values; of fields with one name in one struct, the later ones are numbered."""
    own = _numbered(kind)
    return column if own == kind else column.cast(own)


def _numbered(kind: DataType) -> DataType:
    if isinstance(kind, ArrayType):
        return ArrayType(_numbered(kind.elementType), kind.containsNull)
    if isinstance(kind, MapType):
        own = _numbered(kind.keyType), _numbered(kind.valueType)
        return MapType(*own, kind.valueContainsNull)
    if isinstance(kind, StructType):
        pairs = zip(numbered(kind.names), kind.fields, strict=True)
        return StructType(
            [StructField(name, _numbered(f.dataType), f.nullable, f.metadata) for name, f in pairs]
        )
    return kind


def _text(column: Column, kind: DataType) -> Column:
    if isinstance(kind, StructType | ArrayType | MapType):
        return F.to_json(column)
    return F.base64(column) if isinstance(kind, BinaryType) else column.cast("string")


def _fault_of_query(error: PySparkException) -> str | None:
    """What is wrong with the query, in one line; ``None`` if something else failed."""
    if isinstance(error, AnalysisException):
        return str(error).strip().splitlines()[0]
    failure = explained(error)
    return failure.cause if failure is not None and failure.kind is Kind.REQUEST else None
