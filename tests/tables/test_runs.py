"""The ledger: the newest row of a stage is the last one that was written."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.maintenance import trim_rows
from semdedup_spark.tables.runs import Ledger, StageRecord

NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def record(run_id, stage, moment):
    return StageRecord(run_id, stage, moment, 1.0, False, "", "{}", "", run_id)


def test_a_clock_set_back_leaves_the_last_row_the_newest_also_when_old_ones_are_forgotten(
    spark, tmp_path
):
    root = OutputRoot.parse(str(tmp_path))
    first = Ledger(spark, root)
    first.add(record("first", "embed", NOON))
    first.add(record("first", "it's ${env:HOME}", NOON))
    Ledger(spark, root).add(record("second", "embed", NOON - timedelta(hours=1)))
    assert Ledger(spark, root).last("embed").run_id == "second"
    trim_rows(spark, root, "runs", older_than_days=1)
    left = spark.read.format("delta").load(root.path("runs")).select("run_id", "stage").collect()
    assert sorted(map(tuple, left)) == [("first", "it's ${env:HOME}"), ("second", "embed")]
