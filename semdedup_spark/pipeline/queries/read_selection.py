"""Read the tables of a selection in versions that belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import StageOrderError
from semdedup_spark.masking import MASK
from semdedup_spark.pipeline.own_columns import OwnColumns, check_complete, own_columns
from semdedup_spark.pipeline.rows_as_embedded import refuse_other_source
from semdedup_spark.tables.catalog import OutputRoot, read_table
from semdedup_spark.tables.runs import Ledger, StageRecord
from semdedup_spark.tables.states import table_state
from semdedup_spark.transforms.select.threshold import kept_rows


@dataclass(frozen=True)
class SelectedTables:
    """The tables of one finished selection.

    Attributes
    ----------
    run_id
        Name of the run that made the selection.
    deduplicated
        The kept rows, with the columns of the source. Where ``select.write`` is ``view`` or
        ``none``, they are taken from the source when they are read.
    duplicates
        The removed rows and their survivors.
    assignment
        All rows that were read, and what became of each.
    """

    run_id: str
    deduplicated: DataFrame
    duplicates: DataFrame
    assignment: DataFrame


def read_selection(
    spark: SparkSession,
    output: str,
    name: str | None = None,
    source: SourceConfig | None = None,
) -> SelectedTables:
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
    source
        The source as the job has it. It is asked for only where there is no table of the kept rows
        and its settings hold a secret: the ledger knows all settings but secrets.

    Returns
    -------
    SelectedTables
        Its tables.

    Raises
    ------
    StageOrderError
        No such selection was finished, or only by an earlier release, without ``assignment``. Or
        there is no table of its kept rows, and other rows have been embedded since, or the source
        cannot be read without its secrets.
    """
    root = OutputRoot.parse(output)
    ledger = Ledger(spark, root)
    record = ledger.last(s.selection_stage(name))
    if record is None:
        raise StageOrderError(
            f"a selection must have been made in {root.location}. The ledger knows none"
            + (f" called {name!r}." if name else "."),
            hint="run `semdedup run`, or `semdedup select`.",
        )
    kept, *tables = (s.of_selection(t, name) for t in (s.DEDUPLICATED, s.DUPLICATES, s.ASSIGNMENT))
    if not record.outputs.keys() >= set(tables):
        raise StageOrderError(
            f"a selection must have the tables {', '.join(tables)}. An earlier release made the "
            f"one in {root.location}, with {', '.join(sorted(record.outputs))}.",
            hint="run `semdedup run`, or `semdedup select`: only the selection is made again.",
        )
    duplicates, assignment = (_as_recorded(spark, root, t, record) for t in tables)
    written = [table for table in (kept, *s.clones_of(name)) if table in record.outputs]
    if written:
        rows = _as_recorded(spark, root, written[0], record)
    else:
        rows = _kept_of_embeddings(spark, root, ledger, record, duplicates, source)
    return SelectedTables(record.run_id, rows, duplicates, assignment)


def _kept_of_embeddings(
    spark: SparkSession,
    root: OutputRoot,
    ledger: Ledger,
    select: StageRecord,
    gone: DataFrame,
    source: SourceConfig | None,
) -> DataFrame:
    score, embed = ledger.last("score"), ledger.last("embed")
    chain = [(select, s.SCORES, score), (score, s.EMBEDDINGS, embed)]
    if embed is None or any(
        made is None or user is None or user.inputs.get(table) != made.result_key
        for user, table, made in chain
    ):
        raise StageOrderError(
            f"without a table of kept rows (select.write), {root.name(s.EMBEDDINGS)} must hold the "
            "rows that the selection was made of. Others have been embedded or scored since.",
            hint="run `semdedup run`, or `semdedup select`.",
        )
    embeddings = _as_recorded(spark, root, s.EMBEDDINGS, embed)
    found = _own_columns(spark, embeddings, embed, source)
    check_complete(found)
    rows = kept_rows(found.rows, gone, with_id=not embed.counts["has_id"])
    unreadable = SourceConfig(**_settings_of_source(embed)).unreadable
    return rows if unreadable is None else rows.drop(unreadable)


def _own_columns(
    spark: SparkSession, embeddings: DataFrame, embed: StageRecord, source: SourceConfig | None
) -> OwnColumns:
    if s.SOURCE in embeddings.columns:
        return OwnColumns(embeddings.select(s.ID, s.SOURCE))
    if source is None:
        source = _recorded_source(embed)
    else:
        refuse_other_source("source", source, embed)
    return own_columns(spark, source, embeddings, embed)


def _recorded_source(embed: StageRecord) -> SourceConfig:
    settings = _settings_of_source(embed)
    if MASK in json.dumps(settings):
        raise StageOrderError(
            "where there is no table of the kept rows, they are read from the source, whose "
            "settings hold a secret. The ledger does not have it.",
            hint="pass the source as the job has it: read_selection(..., source=config.source).",
        )
    return SourceConfig(**settings)


def _settings_of_source(embed: StageRecord) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(embed.config)["source"]
    return settings


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
