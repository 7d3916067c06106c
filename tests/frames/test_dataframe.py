"""A DataFrame of Spark gives what the same rows give in memory, and runs as the job."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semdedup_spark import deduplicate, open_output
from semdedup_spark.errors import ConfigError, SourceError
from tests.jobs.jobfiles import near_duplicates

N, D, EPS = 120, 5, 0.05
SONGS = [
    ("a", "Miles Davis", "So What"),
    ("b", "Miles Davis", "{artist}"),
    ("c", None, None),
    ("d", "Miles Davis", "So What"),
    ("e", "", "Giant Steps"),
]


def rows():
    """Near copies, exact ones, ties of the order, and rows without a vector."""
    X = near_duplicates(N, D, seed=7)
    X[40] = 0.0
    vectors = [[float(x) for x in row] for row in X]
    vectors[41], vectors[42] = None, vectors[42][:3]
    quality = np.random.default_rng(1).integers(0, 4, N)
    return pd.DataFrame({"doc": [f"row {i}" for i in range(N)], "v": vectors, "quality": quality})


def as_frame(spark, table):
    lines = table.astype({"quality": object}).itertuples(index=False, name=None)
    lines = [(doc, v, int(quality)) for doc, v, quality in lines]
    return spark.createDataFrame(lines, "doc string, v array<double>, quality int")


def told(assignment):
    """What each row became; similarities to rounding."""
    names = ["id", "kept", "survivor_id", "copies", "reason"]
    lines = assignment.sort_values("id").reset_index(drop=True)
    plain = lines[names].astype(object)
    numbers = lines[["similarity", "survivor_similarity"]].astype(float)
    return plain.where(plain.notna(), None).to_dict("records"), numbers


def same(mine, theirs):
    (a, numbers), (b, others) = told(mine.assignment), told(theirs.assignment.toPandas())
    assert a == b
    np.testing.assert_allclose(numbers, others, atol=2e-6, equal_nan=True)
    assert sorted(mine.kept["doc"]) == sorted(row["doc"] for row in theirs.kept.collect())


def without_numbers(told):
    links = [(link.id, link.neighbor_id) for link in told.chain]
    return told.id, told.fate, told.survivor_id, links, sorted(told.stands_for), told.reason


def test_a_dataframe_gives_what_pandas_gives_at_every_threshold_and_is_known_again(spark, tmp_path):
    table = rows()
    settings = {"vector": "v", "id": "doc", "eps": EPS, "rank_by": "quality DESC"}
    mine = deduplicate(table, **settings)
    df = as_frame(spark, table)
    theirs = deduplicate(df, output=str(tmp_path / "out"), **settings)
    assert (len(theirs), theirs.summary.quarantined) == (len(mine), 3)
    same(mine, theirs)
    assert theirs.kept.schema.simpleString() == df.schema.simpleString()
    same(mine.at(0.2), theirs.at(0.2))
    assert len(theirs.keep(0.9)) == len(mine.keep(0.9))
    theirs = theirs.at(EPS)
    tuned = theirs.tune().toPandas()
    pd.testing.assert_frame_equal(tuned, mine.tune(), check_exact=False, rtol=1e-9)
    gone = mine.removed.sort_values("similarity")["id"].iloc[0]
    for row in (gone, mine.explain(gone).survivor_id, "row 40"):
        assert without_numbers(theirs.explain(row)) == without_numbers(mine.explain(row))
    assert gone in theirs.report(tmp_path / "report.html").read_text()
    again = deduplicate(df.repartition(3), output=str(tmp_path / "out"), **settings)
    assert all(record.reused for record in again.summary.records)
    other = df.selectExpr("concat('other ', doc) AS doc", "v", "quality")
    with pytest.raises(SourceError, match="must belong to one source") as caught:
        deduplicate(other, output=str(tmp_path / "out"), **settings)
    assert "replace=True" in str(caught.value)


def test_what_a_second_dataframe_has_goes_as_it_does_in_memory(spark):
    table = rows()
    exam = table.iloc[60:90].assign(doc=[f"exam {i}" for i in range(30)])
    settings = {"vector": "v", "id": "doc", "eps": EPS}
    mine = deduplicate(table, reference=exam, **settings)
    theirs = deduplicate(as_frame(spark, table), reference=as_frame(spark, exam), **settings)
    same(mine, theirs)
    assert 30 <= len(table) - 3 - len(mine) < len(table)


def test_several_columns_are_one_content_also_in_spark(spark, tmp_path):
    songs = pd.DataFrame(SONGS, columns=["doc", "artist", "title"])
    df = spark.createDataFrame(SONGS, "doc string, artist string, title string")
    settings = {"content": ["artist", "title"], "id": "doc"}
    theirs = deduplicate(df, output=str(tmp_path), **settings)
    same(deduplicate(songs, **settings), theirs)
    assert theirs.kept.columns == df.columns
    assert sorted(row["doc"] for row in theirs.kept.collect()) == ["a", "b", "e"]


def test_what_a_dataframe_needs_is_asked_for_before_any_work(spark):
    df = spark.createDataFrame(SONGS, "doc string, artist string, title string")
    with pytest.raises(ConfigError, match="id, and either content or vector"):
        deduplicate(df, content="title")


def test_the_stages_one_by_one_leave_what_the_function_leaves(spark, tmp_path):
    table = rows()
    keys = {
        "source": {"kind": "vectors", "id": "doc", "content": "v"},
        "embed": {"encoder": "none"},
        "score": {"recall": "exact", "rank_by": "quality DESC"},
    }
    with open_output(spark, str(tmp_path / "out"), keys) as out:
        embeddings = out.embed(as_frame(spark, table))
        assert embeddings.count() == N - 3
        assert out.cluster().columns[0] == "cluster_id"
        scores = out.score()
        kept = out.select(eps=EPS)
        loose = out.select(eps=0.2, name="loose")
    assert scores.count() == N - 3
    for eps, selected in ((EPS, kept), (0.2, loose)):
        mine = deduplicate(table, vector="v", id="doc", eps=eps, rank_by="quality DESC")
        assert {row["doc"] for row in selected.collect()} == set(mine.kept["doc"])
    with open_output(spark, str(tmp_path / "out"), keys) as later:  # what is there is taken
        assert later.select(keep=0.9).count() >= 0.9 * (N - 3)
