"""What is wrong with a row is written down; the job goes on and nothing is lost.

What a source alone can tell of its rows is tested in tests/sources/test_candidate_rows.py.
"""

import pytest
from pyspark.ml.linalg import Vectors

from semdedup_spark import open_job, parse_config, read_selection
from semdedup_spark.errors import SemDedupError
from semdedup_spark.pipeline import run_select
from tests.jobs.jobfiles import (
    near_duplicates,
    run,
    table,
    vectors_job,
    write_jsonl,
    write_vectors,
)

# What doubles, or a cast to another type, would round or refuse.
FAR = [2**63 - 1, 2**63 - 2, -(2**63), 2**53 + 1]


def reasons(spark, output):
    return {(r["id"], r["reason"]) for r in table(spark, output, "quarantine").collect()}


def test_bad_vectors_are_quarantined_with_a_reason_and_long_ids_are_not_rounded(spark, tmp_path):
    X = near_duplicates(30, 4)
    rows = [(i, [float(v) for v in x]) for i, x in enumerate(X)]
    rows[3] = (3, [float("nan"), 1.0, 1.0, 1.0])
    rows[4] = (4, [0.0, -0.0, 0.0, 0.0])
    rows[6] = (6, [1.0, 2.0])
    rows[8] = (8, None)
    rows[9] = (None, rows[9][1])
    rows[10] = (10, [1.0, None, 1.0, 1.0])
    rows += [(11, [9.0, 9.0, 9.0, 9.0]), (11, [9.0, 9.0, 9.0, 8.0])]
    rows += [(i, [1.0, 0.1 * n, 0.0, 0.0]) for n, i in enumerate(FAR)]
    df = spark.createDataFrame(rows, "doc long, v array<float>")
    df.write.format("delta").save(str(tmp_path / "source"))
    one = vectors_job(tmp_path / "out", tmp_path / "source", cluster={"n_clusters": 1})
    summary = run(spark, one)
    assert summary.read == 36
    assert summary.kept + summary.removed + summary.quarantined == 36
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
    scores = table(spark, tmp_path / "out", "scores")
    assert scores.schema["id"].dataType.simpleString() == "bigint"
    neighbors = {row["id"]: row["neighbor_id"] for row in scores.collect()}
    assert neighbors.keys() >= set(FAR)
    assert set(neighbors.values()) & set(FAR)
    assert set(neighbors.values()) <= {*neighbors, None}


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
    # without a table of the kept rows, these have the same columns
    select = config.select.model_copy(update={"name": "bare", "write": "none"})
    run_select(open_job(spark, config.model_copy(update={"select": select})))
    bare = read_selection(spark, config.output, "bare").deduplicated
    assert bare.columns == ["body", "key"]
    assert {row["key"] for row in bare.collect()} == {"a", "f"}


def test_nothing_but_bad_rows_fails_clearly_and_keeps_the_quarantine(spark, tmp_path):
    df = spark.createDataFrame([("a", [0.0, 0.0])], "doc string, v array<float>")
    df.write.format("delta").save(str(tmp_path / "source"))
    with pytest.raises(SemDedupError, match="at least one row must have an embedding"):
        run(spark, vectors_job(tmp_path / "out", tmp_path / "source"))
    assert table(spark, tmp_path / "out", "quarantine").count() == 1


@pytest.mark.long
def test_vectors_of_mllib_may_be_known_by_their_hash_and_other_columns_come_out_as_they_went_in(
    spark, tmp_path
):
    rows = [
        ("a", Vectors.dense([2.0]), None),
        ("b", Vectors.dense([-1.0]), "was bad once"),
        ("c", Vectors.sparse(1, {0: 5.0}), None),
    ]
    frame = spark.createDataFrame(rows, ["doc", "v", "_corrupt_record"])  # a reader's own name
    frame.write.format("delta").save(str(tmp_path / "source"))
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    source = config.source.model_copy(update={"id": "content_hash()"})
    summary = run(spark, config.model_copy(update={"source": source}))
    assert (summary.kept, summary.removed, summary.quarantined) == (2, 1, 0)
    kept = table(spark, tmp_path / "out", "deduplicated")
    assert kept.columns == ["id", *frame.columns]
    found = {row["doc"]: row for row in kept.collect()}
    assert len(found["b"]["id"].split("-")[0]) == 64
    assert found.keys() in ({"a", "b"}, {"b", "c"})
    for doc, v, note in rows:
        assert doc not in found or found[doc][1:] == (doc, v, note)


@pytest.mark.long
def test_more_exact_copies_than_may_go_are_all_that_goes_and_ids_come_out_as_they_went_in(
    spark, tmp_path
):
    X = near_duplicates(40, 6)
    X[16:] = X[0]
    ids = [
        ("x" * 300 if i % 2 else "žluťoučký \U0001f40e 'quote' `tick` ") + str(i) for i in range(40)
    ]
    write_vectors(spark, tmp_path / "source", X, ids=ids)
    stages = {"select": {"keep": 0.9}, "score": {"eps_max": 0.001}}
    summary = run(spark, vectors_job(tmp_path / "out", tmp_path / "source", **stages))
    copies = 40 - len({tuple(x) for x in X.tolist()})
    assert summary.removed == copies
    assert 0 < summary.eps <= 0.001
    kept = {row["doc"] for row in table(spark, tmp_path / "out", "deduplicated").collect()}
    removed = {row["id"] for row in table(spark, tmp_path / "out", "duplicates").collect()}
    assert kept | removed == set(ids)
    assert {row["id"] for row in table(spark, tmp_path / "out", "scores").collect()} == set(ids)
