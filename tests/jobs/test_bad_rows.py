"""What is wrong with a row is written down; the job goes on and nothing is lost."""

import numpy as np

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import run_embed
from tests.jobs.jobfiles import near_duplicates, run, table, vectors_job, write_jsonl


def reasons(spark, output):
    return {(r["id"], r["reason"]) for r in table(spark, output, "quarantine").collect()}


def test_bad_vectors_are_quarantined_with_a_reason(spark, tmp_path):
    X = near_duplicates(30, 4)
    rows = [(i, [float(v) for v in x]) for i, x in enumerate(X)]
    rows[3] = (3, [float("nan"), 1.0, 1.0, 1.0])
    rows[4] = (4, [0.0, -0.0, 0.0, 0.0])
    rows[6] = (6, [1.0, 2.0])
    rows[8] = (8, None)
    rows[9] = (None, rows[9][1])
    rows[10] = (10, [1.0, None, 1.0, 1.0])
    rows += [(11, [9.0, 9.0, 9.0, 9.0]), (11, [9.0, 9.0, 9.0, 8.0])]
    df = spark.createDataFrame(rows, "doc long, v array<float>")
    df.write.format("delta").save(str(tmp_path / "source"))
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    assert summary.read == 32
    assert summary.kept + summary.removed + summary.quarantined == 32
    assert reasons(spark, tmp_path / "out") == {
        (3, "non_finite_vector"),
        (4, "zero_vector"),
        (6, "wrong_length"),
        (8, "null_vector"),
        (None, "null_id"),
        (10, "non_finite_vector"),
        (11, "duplicate_id"),
    }
    assert summary.quarantined == 8
    assert table(spark, tmp_path / "out", "scores").schema["id"].dataType.simpleString() == "bigint"


def test_the_same_copy_of_a_duplicate_id_wins_in_any_order(spark, tmp_path):
    rows = [(1, [1.0, 0.0]), (1, [0.0, 1.0]), (1, None), (2, [1.0, 1.0])]
    winners = set()
    for turn, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1])):
        df = spark.createDataFrame([rows[i] for i in order], "doc long, v array<float>")
        df.repartition(1 + turn).write.format("delta").save(str(tmp_path / f"source{turn}"))
        config = vectors_job(tmp_path / f"out{turn}", tmp_path / f"source{turn}")
        run_embed(open_job(spark, config))
        row = table(spark, tmp_path / f"out{turn}", "embeddings").filter("id = 1").first()
        winners.add(tuple(row["source"]["v"]))  # a good row wins over a bad one
    assert len(winners) == 1


def test_bad_texts_and_broken_json_are_quarantined(spark, tmp_path):
    write_jsonl(
        tmp_path / "in.jsonl",
        [
            {"key": "a", "body": "the cat sat on the mat"},
            {"key": "b", "body": "   \n\t"},
            {"key": "c", "body": None},
            {"key": "d", "body": ""},
            "{this is not json",
            '{"key": "g", "bo',
            {"key": "e", "body": "the cat sat on the mat"},
            {"key": "f", "body": "quarterly revenue rose by four percent"},
        ],
    )
    config = parse_config(
        {
            "output": str(tmp_path / "out"),
            "source": {
                "kind": "text",
                "format": "jsonl",
                "path": str(tmp_path / "in.jsonl"),
                "id": "key",
                "content": "body",
            },
        }
    )
    summary = run(spark, config)
    assert (summary.read, summary.kept, summary.removed, summary.quarantined) == (8, 2, 1, 5)
    assert reasons(spark, tmp_path / "out") == {
        ("b", "empty_text"),
        ("c", "null_text"),
        ("d", "empty_text"),
        (None, "unreadable_record"),
    }
    assert table(spark, tmp_path / "out", "deduplicated").columns == ["body", "key"]
    broken = table(spark, tmp_path / "out", "quarantine").filter("id IS NULL").collect()
    texts = {row["source"]["_corrupt_record"] for row in broken}
    assert texts == {"{this is not json", '{"key": "g", "bo'}
    # two equal texts have equal vectors
    assert table(spark, tmp_path / "out", "duplicates").first()["similarity"] == 1.0


def test_nothing_but_bad_rows_fails_clearly_and_keeps_the_quarantine(spark, tmp_path):
    import pytest

    from semdedup_spark.errors import SemDedupError

    df = spark.createDataFrame([("a", [0.0, 0.0])], "doc string, v array<float>")
    df.write.format("delta").save(str(tmp_path / "source"))
    with pytest.raises(SemDedupError, match="at least one row must have an embedding"):
        run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    assert table(spark, tmp_path / "out", "quarantine").count() == 1


def test_mllib_vectors_and_one_dimension_work(spark, tmp_path):
    from pyspark.ml.linalg import Vectors

    rows = [
        ("a", Vectors.dense([2.0])),
        ("b", Vectors.dense([-1.0])),
        ("c", Vectors.sparse(1, {0: 5.0})),
    ]
    spark.createDataFrame(rows, ["doc", "v"]).write.format("delta").save(str(tmp_path / "source"))
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    assert (summary.kept, summary.removed) == (2, 1)
    assert table(spark, tmp_path / "out", "duplicates").first()["id"] == "c"


def test_ids_of_any_length_come_out_as_they_went_in(spark, tmp_path):
    from tests.jobs.jobfiles import write_vectors

    X = near_duplicates(40, 5)
    ids = [
        ("x" * 300 if i % 2 else "žluťoučký \U0001f40e 'quote' `tick` ") + str(i) for i in range(40)
    ]
    write_vectors(spark, tmp_path / "source", X, ids=ids)
    run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    out = {r["id"] for r in table(spark, tmp_path / "out", "scores").collect()}
    assert out == set(ids)


def test_long_ids_near_the_limit_are_not_rounded(spark, tmp_path):
    ids = [2**63 - 1, 2**63 - 2, -(2**63), 2**53 + 1]
    df = spark.createDataFrame(
        [(i, [1.0, 0.1 * n]) for n, i in enumerate(ids)], "doc long, v array<float>"
    )
    df.write.format("delta").save(str(tmp_path / "source"))
    run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    scores = table(spark, tmp_path / "out", "scores").collect()
    assert {r["id"] for r in scores} == set(ids)
    assert {r["neighbor_id"] for r in scores} - {None} <= set(ids)


def test_a_content_hash_gives_every_row_an_id(spark, tmp_path):
    rows = [("one and the same",), ("one and the same",), ("something quite different",)]
    spark.createDataFrame(rows, "body string").write.format("parquet").save(
        str(tmp_path / "source")
    )
    config = parse_config(
        {
            "output": str(tmp_path / "out"),
            "source": {
                "kind": "text",
                "format": "parquet",
                "path": str(tmp_path / "source"),
                "id": "content_hash()",
                "content": "body",
            },
        }
    )
    summary = run(spark, config)
    assert (summary.read, summary.kept, summary.removed, summary.quarantined) == (3, 2, 1, 0)
    assert table(spark, tmp_path / "out", "deduplicated").columns == ["id", "body"]
    assert np.unique(
        [len(r["id"].split("-")[0]) for r in table(spark, tmp_path / "out", "scores").collect()]
    ) == [64]


def test_text_that_is_not_utf8_is_quarantined(spark, tmp_path):
    rows = spark.sql(
        "SELECT 'a' AS doc, cast(X'C328' AS string) AS body UNION ALL SELECT 'b', 'plain'"
    )
    rows.write.format("parquet").save(str(tmp_path / "source"))
    source = {"kind": "text", "format": "parquet", "path": str(tmp_path / "source")}
    config = parse_config(
        {"output": str(tmp_path / "out"), "source": {**source, "id": "doc", "content": "body"}}
    )
    summary = run(spark, config)
    assert (summary.read, summary.kept, summary.quarantined) == (2, 1, 1)
    assert reasons(spark, tmp_path / "out") == {("a", "invalid_utf8")}


def test_keep_with_more_exact_copies_than_may_go_removes_only_the_copies(spark, tmp_path):
    X = near_duplicates(40, 6)
    X[16:] = X[0]
    from tests.jobs.jobfiles import write_vectors

    write_vectors(spark, tmp_path / "source", X)
    stages = {"select": {"keep": 0.9}, "score": {"eps_max": 0.001}}
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "source", **stages))
    copies = 40 - len({tuple(x) for x in X.tolist()})
    assert summary.removed == copies
    assert 0 < summary.eps <= 0.001


def test_a_column_called_corrupt_record_is_kept_as_any_other(spark, tmp_path):
    rows = [
        (i, [float(i == j) for j in range(6)], "was bad once" if i == 3 else None) for i in range(6)
    ]
    frame = spark.createDataFrame(rows, "doc long, v array<double>, _corrupt_record string")
    frame.write.format("delta").save(str(tmp_path / "source"))
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    assert (summary.kept, summary.quarantined) == (6, 0)
    kept = table(spark, tmp_path / "out", "deduplicated").select(frame.columns)
    assert sorted(map(tuple, kept.collect())) == rows
