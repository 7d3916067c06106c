"""Both tables of a selection at one moment, for readers."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark import schema as s
from semdedup_spark.errors import StageOrderError
from semdedup_spark.tables.catalog import OutputRoot, read_table
from semdedup_spark.tables.runs import Ledger, StageRecord
from semdedup_spark.tables.states import table_state


@dataclass(frozen=True)
class SelectedTables:
    """What run ``run_id`` left: rows kept, and rows removed."""

    run_id: str
    deduplicated: DataFrame
    duplicates: DataFrame


def read_selection(spark: SparkSession, output: str, name: str | None = None) -> SelectedTables:
    """The newest finished selection, by default that without a name, of an output directory, URI
    or ``catalog.schema``.

    The two tables are written one after the other; the ledger's row comes after both, and names the
    versions that belong together. A selection that is being written is not seen. Raises
    :class:`StageOrderError` where none was finished.
    """
    root = OutputRoot.parse(output)
    record = Ledger(spark, root).last(s.selection_stage(name))
    if record is None:
        raise StageOrderError(
            f"a selection must have been made in {root.location}. The ledger knows none"
            + (f" called {name!r}." if name else "."),
            hint="run `semdedup run`, or `semdedup select`.",
        )
    kept, removed = (
        _as_recorded(spark, root, s.of_selection(table, name), record)
        for table in (s.DEDUPLICATED, s.DUPLICATES)
    )
    return SelectedTables(record.run_id, kept, removed)


def _as_recorded(
    spark: SparkSession, root: OutputRoot, table: str, record: StageRecord
) -> DataFrame:
    """The newest version while it holds the result: an older one's files may be vacuumed."""
    state = table_state(spark, root, table)
    holds = state is not None and state.holds(record.stage, record.result_key)
    version = state.version if state is not None and holds else record.outputs[table]
    return read_table(spark, root, table, version)
