"""A DataFrame of Spark gives what the same rows give in memory, and runs as the job."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semdedup_spark import deduplicate
from semdedup_spark.errors import ConfigError
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
    again = deduplicate(df.repartition(3), output=str(tmp_path / "out"), **settings)
    assert [record.reused for record in again.summary.records] == [True, True, True, False]


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
