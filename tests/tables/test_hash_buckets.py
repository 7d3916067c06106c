"""A part of a table: named by numbers only, and replaced without a row too many or too few."""

from __future__ import annotations

import json
import re

import pytest
from pyspark.sql import functions as F

from semdedup_spark.pipeline.stages.score_changes import find_changes
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.commits.write import replace_rows, replace_table
from semdedup_spark.tables.hash_buckets import Part, narrow_part, part_with
from semdedup_spark.tables.literal_rows import ids_as
from semdedup_spark.tables.marks import RowHistory, StageMark

ODD = [
    "${env:HOME}",
    "${spark.app.name}",
    "it's",
    "\\",
    "\\'",
    "`",
    "{}",
    "{0}",
    "%s",
    '"',
    ".*",
    "",
]
MARK = StageMark("run", "stage", "key")


def keyed(spark, ids, kind="string", batch=0):
    rows = spark.createDataFrame([(i,) for i in ids], f"id {kind}")
    return rows.withColumn("batch", F.lit(batch))


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (Part(), "false"),
        (Part(3), "batch > 3"),
        (Part(None, 9, (2, 5)), "pmod(xxhash64(id), 9) IN (2, 5)"),
        (Part(0, 9, (2,)), "batch > 0 OR pmod(xxhash64(id), 9) IN (2)"),
        (Part(None, 9, (2,), "a`b"), "pmod(xxhash64(`a``b`), 9) IN (2)"),
    ],
)
def test_a_part_is_said_in_whole_numbers(part, where):
    assert part.where == where


@pytest.mark.parametrize(
    ("kind", "ids", "chosen"),
    [
        ("string", [*ODD, None, *map(str, range(50))], [*ODD, "7"]),
        ("bigint", [None, *range(-30, 30)], [-30, 0, 2**40]),
    ],
)
def test_the_chosen_rows_leave_their_buckets_stay_and_no_id_is_told_to_delta(
    spark, tmp_path, kind, ids, chosen
):
    root = OutputRoot.parse(str(tmp_path))
    replace_table(keyed(spark, ids, kind), root, "scores", MARK)
    rows = spark.read.format("delta").load(root.path("scores"))
    wanted = ids_as(rows.schema["id"].dataType, chosen, spark)
    part = part_with(wanted, len(ids))
    stay = part.of(rows).join(wanted, "id", "left_anti").select(*rows.columns)
    assert stay.count()  # whoever shares a bucket
    replace_rows(
        stay, root, "scores", part, StageMark("run", "stage", "key", rows=RowHistory(erased=1))
    )
    left = [row["id"] for row in spark.read.format("delta").load(root.path("scores")).collect()]
    assert sorted(map(str, left)) == sorted(str(i) for i in ids if i not in chosen)
    log = (tmp_path / "scores" / "_delta_log" / f"{1:020d}.json").read_text()
    said = json.loads(log.splitlines()[0])["commitInfo"]
    assert re.fullmatch(
        r"pmod\(xxhash64\(id\), \d+\) IN \([\d, ]+\)", said["operationParameters"]["predicate"]
    )


@pytest.mark.parametrize("column", ["id", "it's`a`key.x"])
def test_a_narrow_part_holds_the_chosen_rows_and_no_others(spark, tmp_path, column):
    root = OutputRoot.parse(str(tmp_path))
    rows = keyed(spark, [*ODD, *map(str, range(2000))]).withColumnRenamed("id", column)
    replace_table(rows.drop("batch"), root, "deduplicated", MARK)
    there = spark.read.format("delta").load(root.path("deduplicated"))
    chosen = keyed(spark, [*ODD, "7", "none"]).select(F.col("id").alias(column))
    part = narrow_part(chosen, column)
    assert sorted(row[0] for row in part.of(there).collect()) == sorted([*ODD, "7"])
    back = keyed(spark, ODD[:1]).select(F.col("id").alias(column))
    replace_rows(back, root, "deduplicated", part, MARK)
    left = spark.read.format("delta").load(root.path("deduplicated")).collect()
    assert {row[0] for row in left} == {ODD[0], *map(str, range(2000))} - {"7"}


def test_a_row_of_no_utf8_leaves_as_others_do(spark):
    raw = F.unhex(F.lit("61FF")).cast("string").alias("id")
    there = keyed(spark, ["x", "y"]).withColumn("neighbor_id", F.lit(None).cast("string"))
    bad = spark.range(1).select(raw, F.lit(0).alias("batch"), F.lit("x").alias("neighbor_id"))
    hidden = spark.range(1).select(F.lit("z").alias("id"), F.lit(0).alias("batch"), raw)
    scores = there.unionByName(bad).union(hidden)
    changes = find_changes(scores.filter(F.hex("id") != "61FF"), scores, 0)
    assert (changes.n_gone, changes.n_left) == (1, 1)
    assert {row["id"] for row in changes.kept(scores).collect()} == {"x", "y"}
    assert {"\ufffd", "z"} <= {row["id"][-1] for row in changes.part.of(scores).collect()}


def test_scores_are_of_no_use_where_rows_claim_to_have_been_there(spark):
    scores = keyed(spark, ["x", "y"]).withColumn("neighbor_id", F.lit(None).cast("string"))
    assert find_changes(keyed(spark, ["x", "y"]), scores, 0).n_gone == 0
    assert find_changes(keyed(spark, ["x"]), scores, 0).n_gone == 1
    assert find_changes(keyed(spark, ["x", "y", "a"]), scores, 0) is None
    assert find_changes(keyed(spark, ["x", "a"]), scores, 0) is None  # as many as before


def test_writes_go_on_in_a_table_whose_last_writer_had_a_later_clock(spark, tmp_path):
    root, ahead = OutputRoot.parse(str(tmp_path)), 4 * 10**15  # microseconds, in the year 2096
    old = keyed(spark, ["x"]).write.format("delta").option("txnVersion", ahead)
    old.option("txnAppId", "semdedup/stage/scores").save(root.path("scores"))
    for version, erased in ((1, 0), (2, 1)):  # also without a row
        mark = StageMark("run", "stage", "key", rows=RowHistory(erased=erased))
        commit = replace_table(keyed(spark, []), root, "scores", mark)
        assert commit.version == version
