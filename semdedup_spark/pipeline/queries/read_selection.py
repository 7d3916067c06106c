"""Read the tables of a selection in versions that belong together."""

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
    """The tables of one finished selection.

    Attributes
    ----------
    run_id
        Name of the run that made the selection.
    deduplicated
        The kept rows, with the columns of the source.
    duplicates
        The removed rows and their survivors.
    assignment
        All rows that were read, and what became of each.
    """

    run_id: str
    deduplicated: DataFrame
    duplicates: DataFrame
    assignment: DataFrame


def read_selection(spark: SparkSession, output: str, name: str | None = None) -> SelectedTables:
    """Read the newest finished selection of an output.

    The tables are written one after the other. The line of the ledger is written after all of
    them, and names the versions that belong together. So a selection that is being written is not
    seen.

    Parameters
    ----------
    spark
        The session that reads.
    output
        The output: a directory, a URI, or ``catalog.schema``.
    name
        Name of the selection; by default the selection without a name.

    Returns
    -------
    SelectedTables
        Its tables.

    Raises
    ------
    StageOrderError
        No such selection was finished, or only by an earlier release, without ``assignment``.
    """
    root = OutputRoot.parse(output)
    record = Ledger(spark, root).last(s.selection_stage(name))
    if record is None:
        raise StageOrderError(
            f"a selection must have been made in {root.location}. The ledger knows none"
            + (f" called {name!r}." if name else "."),
            hint="run `semdedup run`, or `semdedup select`.",
        )
    tables = [s.of_selection(t, name) for t in (s.DEDUPLICATED, s.DUPLICATES, s.ASSIGNMENT)]
    if not record.outputs.keys() >= set(tables):
        raise StageOrderError(
            f"a selection must have the tables {', '.join(tables)}. An earlier release made the "
            f"one in {root.location}, with {', '.join(sorted(record.outputs))}.",
            hint="run `semdedup run`, or `semdedup select`: only the selection is made again.",
        )
    return SelectedTables(record.run_id, *(_as_recorded(spark, root, t, record) for t in tables))


def _as_recorded(
    spark: SparkSession, root: OutputRoot, table: str, record: StageRecord
) -> DataFrame:
    """Read the newest version while it holds the result. VACUUM may have removed the files of the
    version in the ledger.
    """
    state = table_state(spark, root, table)
    holds = state is not None and state.holds(record.stage, record.result_key)
    version = state.version if state is not None and holds else record.outputs[table]
    return read_table(spark, root, table, version)
