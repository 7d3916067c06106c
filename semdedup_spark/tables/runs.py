"""The run ledger: one row for each stage of each run, and what may be reused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.tables.catalog import OutputRoot, changed_since, read_table
from semdedup_spark.tables.writes import CommitMark, append_rows


@dataclass(frozen=True)
class StageRecord:
    """A row of ``runs``; the columns are explained in :mod:`semdedup_spark.schema`."""

    run_id: str
    stage: str
    started_at: datetime
    seconds: float
    reused: bool
    why: str
    config: str
    config_hash: str
    result_key: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    software: dict[str, str] = field(default_factory=dict)


def write_record(spark: SparkSession, root: OutputRoot, record: StageRecord) -> None:
    """Append one row, once per run and stage."""
    row = spark.createDataFrame([tuple(asdict(record).values())], schema=s.RUNS_DDL)
    append_rows(row, root, s.RUNS, CommitMark(record.run_id, record.stage, record.result_key))


def last_record(spark: SparkSession, root: OutputRoot, stage: str) -> StageRecord | None:
    """The newest row of a stage."""
    ledger = _ledger(spark, root)
    if ledger is None:
        return None
    row = ledger.filter(F.col(s.STAGE) == stage).orderBy(F.desc("started_at")).first()
    if row is None:
        return None
    values: dict[str, Any] = row.asDict()
    return StageRecord(**{f.name: values[f.name] for f in fields(StageRecord)})


def run_id_exists(spark: SparkSession, root: OutputRoot, run_id: str) -> bool:
    """Whether the ledger holds anything of this run."""
    ledger = _ledger(spark, root)
    return ledger is not None and ledger.filter(F.col("run_id") == run_id).limit(1).count() > 0


def first_changed_output(spark: SparkSession, root: OutputRoot, record: StageRecord) -> str | None:
    """Name of an output of ``record`` that another hand has changed since, if there is one.

    A later stage may write the same table again (scoring fills in the centroids' statistics), so
    the version to compare with is the newest one in the ledger.
    """
    ledger = _ledger(spark, root)
    if ledger is None:
        return next(iter(record.outputs), None)
    versions = ledger.select("started_at", F.explode("outputs").alias("table", "version"))
    newest = versions.groupBy("table").agg(F.max_by("version", "started_at").alias("version"))
    known = {row["table"]: int(row["version"]) for row in newest.collect()}  # one per table
    for table in record.outputs:
        if table not in known or changed_since(spark, root, table, known[table]):
            return table
    return None


def config_difference(old: str, new: str) -> list[str]:
    """``key old -> new`` for each setting that differs between two config JSON texts."""
    before, after = _flat(json.loads(old)), _flat(json.loads(new))
    return [
        f"{key} {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _ledger(spark: SparkSession, root: OutputRoot) -> DataFrame | None:
    from semdedup_spark.errors import StageOrderError

    try:
        return read_table(spark, root, s.RUNS)
    except (StageOrderError, AnalysisException):
        return None
