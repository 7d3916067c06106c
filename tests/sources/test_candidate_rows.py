"""What a source alone can tell of its rows: which copy of an id is taken, and what is wrong."""

from __future__ import annotations

from pyspark.sql import functions as F

from tests.sources.sourcefiles import opened

VECTORS = {"kind": "vectors", "format": "delta", "id": "doc", "content": "v"}


def test_the_same_copy_of_a_duplicate_id_wins_in_any_order(spark, tmp_path):
    rows = [(1, [1.0, 0.0]), (1, [0.0, 1.0]), (1, None), (2, [1.0, 1.0])]
    winners = set()
    for turn, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])):
        df = spark.createDataFrame([rows[i] for i in order], "doc long, v array<float>")
        path = str(tmp_path / f"source{turn}")
        df.repartition(1 + turn).write.format("delta").save(path)
        found = opened(spark, path=path, **VECTORS).rows
        good = found.filter("id = 1 AND reason IS NULL").collect()
        winners.add(tuple(good[0]["source"]["v"]))  # a good row wins over a bad one
        assert len(good) == 1
    assert len(winners) == 1


def test_text_that_is_not_utf8_has_a_reason(spark, tmp_path):
    rows = spark.sql(
        "SELECT 'a' AS doc, cast(X'C328' AS string) AS body UNION ALL SELECT 'b', 'plain'"
    )
    rows.write.format("parquet").save(str(tmp_path / "source"))
    source = {"format": "parquet", "path": str(tmp_path / "source"), "id": "doc"}
    found = opened(spark, content="body", **source).rows.collect()
    assert {row["id"]: row["reason"] for row in found} == {"a": "invalid_utf8", "b": None}


def test_a_content_hash_gives_every_row_an_id(spark, tmp_path):
    rows = [("one and the same",), ("one and the same",), ("something quite different",)]
    frame = spark.createDataFrame(rows, "body string")
    frame.write.format("parquet").save(str(tmp_path / "source"))
    source = {"format": "parquet", "path": str(tmp_path / "source"), "id": "content_hash()"}
    found = opened(spark, content="body", **source)
    assert (found.n_read, found.has_id, found.own_columns) == (3, False, ["body"])
    ids = [row["id"] for row in found.rows.filter(F.col("reason").isNull()).collect()]
    assert len(set(ids)) == 3
    assert {len(one.split("-")[0]) for one in ids} == {64}
    assert len({one.split("-")[0] for one in ids}) == 2
