"""The ledger: the newest row of a stage is the last one that was written."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.maintenance import trim_rows
from semdedup_spark.tables.runs import AT_RISK_SECONDS, Ledger, StageRecord

NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def record(run_id, stage, moment, *, seconds=2 * AT_RISK_SECONDS):
    return StageRecord(run_id, stage, moment, seconds, False, "", "{}", "", run_id)


def test_work_that_a_kill_must_not_lose_is_recorded_at_once_and_the_rest_at_the_end(
    spark, tmp_path
):
    root = OutputRoot.parse(str(tmp_path))

    def stages():
        return [row.stage for row in Ledger(spark, root).records()]

    ledger = Ledger(spark, root)
    ledger.add(record("first", "embed", NOON, seconds=1.0))
    assert ledger.last("embed") is not None
    assert stages() == []
    ledger.add(record("first", "cluster", NOON, seconds=AT_RISK_SECONDS))
    assert stages() == ["embed", "cluster"]
    ledger.add(record("first", "score", NOON, seconds=1.0))
    ledger.flush()
    assert stages() == ["embed", "cluster", "score"]


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


def test_the_row_of_a_stage_at_the_time_of_another_one_is_found(spark, tmp_path):
    root = OutputRoot.parse(str(tmp_path))

    def found(ledger):
        selections = ("first", "second", "third")
        rows = [
            record(name, "select", NOON + timedelta(hours=3 * n))
            for n, name in enumerate(selections)
        ]
        made_of = [ledger.last_before("embed", row) for row in rows]
        return [None if row is None else row.run_id for row in made_of]

    ledger = Ledger(spark, root)
    ledger.add(record("a", "embed", NOON + timedelta(hours=1), seconds=1.0))
    ledger.add(record("b", "embed", NOON + timedelta(hours=2), seconds=1.0))
    assert found(ledger) == [None, "b", "b"]
    ledger.flush()
    later = Ledger(spark, root)
    later.add(record("c", "embed", NOON + timedelta(hours=5), seconds=1.0))
    assert found(later) == [None, "b", "c"]
    later.flush()
    assert found(Ledger(spark, root)) == [None, "b", "c"]
