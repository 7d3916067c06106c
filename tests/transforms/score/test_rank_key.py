"""Rank keys sort as Spark's own ORDER BY sorts, and an order that cannot be is refused early."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import ConfigError
from semdedup_spark.sources.open_source import open_source
from semdedup_spark.transforms.score.rank_key import (
    check_rank_by,
    rank_key_type,
    rank_keys,
    with_rank_columns,
)

HAS_COLLATIONS = hasattr(F, "collate")
COLLATIONS = pytest.mark.skipif(not HAS_COLLATIONS, reason="collations came with Spark 4.0")
NINES = 38 * "9"  # as text, because Decimal rounds what it computes to 28 digits
# Of each type: null, ties, extremes, and what is easily ordered wrong.
VALUES: dict[str, list[Any]] = {
    "boolean": [True, None, False, True],
    "tinyint": [5, None, -128, 127, 0, -1, 5],
    "smallint": [5, None, -(2**15), 2**15 - 1, 0, -1, 256],
    "int": [5, None, -(2**31), 2**31 - 1, 0, -1, 65536],
    "bigint": [5, None, -(2**63), 2**63 - 1, 0, -1, 2**32],
    "float": [0.0, None, math.nan, -math.inf, math.inf, -0.0, 1.5, -1.5, 1e-45],
    "double": [-0.0, None, math.inf, math.nan, 0.0, -math.inf, 5e-324, -2.5, 1e300],
    "decimal(9,2)": [Decimal("0.10"), None, Decimal("-9999999.99"), Decimal("0.1"), Decimal(7)],
    "decimal(38,0)": [
        Decimal(text) if text else None
        for text in (NINES, "", f"-{NINES}", str(2**64), str(2**64 - 1), f"{NINES[:-1]}8", "0")
    ],
    "decimal(38,38)": [Decimal(f"0.{NINES}"), None, Decimal(f"-0.{NINES}"), Decimal("0.5")],
    "string": ["", None, "a", "a\0", "a\0b", "ab", "\uffff", "\U0001f600", "é", "A"],
    "binary": [b"", None, b"\0", b"\0\xff", b"\xff", b"\x7f", b"\0\0"],
    "date": [date(1970, 1, 1), None, date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)],
    "timestamp": [
        datetime(1970, 1, 1, tzinfo=timezone.utc),
        None,
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
    ],
    "timestamp_ntz": [datetime(1970, 1, 1), None, datetime(1900, 1, 1), datetime(2026, 1, 1, 1)],
}
NAMES = [f"c{i}" for i in range(len(VALUES))]
N = max(len(values) for values in VALUES.values())
ENDINGS = ["", "DESC", "NULLS LAST", "ASC NULLS FIRST", "DESC NULLS FIRST", "DESC NULLS LAST"]


def embeddings_of(source):
    """The embeddings table of a source whose first column is its id."""
    return source.selectExpr(
        f"`{source.columns[0]}` AS id",
        "array(cast(1 AS float)) AS embedding",
        "0 AS batch",
        "struct(*) AS source",
    )


def rank_columns(source, rank_by, seed=0):
    """The rows as the UDF gets them, in one Arrow batch."""
    rows = with_rank_columns(embeddings_of(source), rank_by, seed)
    [batch] = pa.Table.from_batches(rows._collect_as_arrow()).combine_chunks().to_batches()
    return batch


def ids_in_order(source, rank_by):
    """Ids as the rank keys, made in a UDF, order them; of equal keys the lesser id first."""

    def keyed(batches):
        for batch in batches:
            keys = rank_keys(batch, rank_by, np.zeros(batch.num_rows, np.float32))
            yield pa.RecordBatch.from_arrays([batch.column("id"), keys], names=["id", "rank_key"])

    rows = with_rank_columns(embeddings_of(source), rank_by, 0)
    id_type = rows.schema["id"].dataType.simpleString()
    keys = rows.mapInArrow(keyed, f"id {id_type}, rank_key {rank_key_type(rank_by)}")
    return [row["id"] for row in keys.orderBy("rank_key", "id").collect()]


@pytest.fixture(scope="module")
def everything(spark):
    rows = [(i, *(v[i % len(v)] for v in VALUES.values())) for i in range(N)]
    types = ", ".join(f"{name} {kind}" for name, kind in zip(NAMES, VALUES, strict=True))
    return spark.createDataFrame(rows, f"row int, {types}").coalesce(1)


@pytest.mark.parametrize("ending", ENDINGS)
def test_of_every_type_the_keys_order_and_tie_as_spark_does(everything, ending):
    place = [f"dense_rank() OVER (ORDER BY {name} {ending}) - 1 AS {name}" for name in NAMES]
    spark_places = {row["row"]: row for row in everything.selectExpr("row", *place).collect()}
    batch = rank_columns(everything, ", ".join(f"{name} {ending}" for name in NAMES))
    ids = batch.column("id").to_pylist()
    for i, (name, kind) in enumerate(zip(NAMES, VALUES, strict=True)):
        one = pa.RecordBatch.from_arrays([batch.column(f"__rank_{i}")], names=["__rank_0"])
        keys = rank_keys(one, f"{name} {ending}", np.zeros(N, np.float32)).to_pylist()
        dense = {key: place for place, key in enumerate(sorted(set(keys)))}
        ours = {row: dense[key] for row, key in zip(ids, keys, strict=True)}
        assert ours == {row: spark_places[row][name] for row in ids}, kind


@pytest.mark.parametrize(
    "rank_by",
    [
        "c0 DESC, c10, c6 DESC NULLS FIRST",
        "length(c10) DESC, c1 % 5 + c3 % 7 NULLS LAST, c12 DESC",
        "CASE WHEN c4 > 0 THEN 'p, q' ELSE upper(c10) END DESC, coalesce(c3, 0)",
    ],
)
def test_several_terms_order_as_spark_orders(everything, rank_by):
    everything.createOrReplaceTempView("everything")
    query = f"SELECT row FROM everything ORDER BY {rank_by}, row"
    expected = [r["row"] for r in everything.sparkSession.sql(query).collect()]
    assert ids_in_order(everything, rank_by) == expected


def test_the_key_of_a_slice_is_that_of_its_rows(everything):
    rank_by = ", ".join(NAMES)
    batch, zeros = rank_columns(everything, rank_by), np.zeros(N, np.float32)
    part = rank_keys(batch.slice(3, 4), rank_by, zeros[:4])
    assert part.to_pylist() == rank_keys(batch, rank_by, zeros).to_pylist()[3:7]


def test_a_column_may_be_called_like_one_of_ours(spark):
    schema = "id string, batch int, embedding double, source string, `__carried` int, `a b` int"
    rows = [("x", 2, 0.5, "s", 1, 3), ("y", 1, 0.5, "t", 2, 2), ("z", 1, 0.25, "t", 3, 1)]
    source = spark.createDataFrame(rows, schema).coalesce(1)
    assert ids_in_order(source, "batch, embedding") == ["z", "y", "x"]
    assert ids_in_order(source, "source DESC, id DESC") == ["z", "y", "x"]
    assert ids_in_order(source, "__carried DESC") == ["z", "y", "x"]
    assert ids_in_order(source, "`a b`") == ["z", "y", "x"]
    columns = rank_columns(source, "batch, embedding")
    assert columns.schema.names == ["id", "embedding", "batch", "__rank_0", "__rank_1"]
    assert columns.column("batch").to_pylist() == [0, 0, 0]
    assert columns.column("embedding").to_pylist() == [[1.0]] * 3


def test_a_column_called_low_ranks_where_it_is_in_backticks(spark):
    source = spark.createDataFrame([(1, 5), (2, 4), (3, 6)], "id int, low int").coalesce(1)
    assert ids_in_order(source, "`low`") == [2, 1, 3]
    assert ids_in_order(source, "low DESC") == [3, 1, 2]


def test_built_in_orders_rank_by_similarity_or_by_a_seeded_hash(spark):
    source = spark.createDataFrame([("a",), ("b",)], "id string").coalesce(1)
    similarity = np.array([0.25, -0.5], dtype=np.float32)
    keys = {
        word: rank_keys(rank_columns(source, word), word, similarity).to_pylist()
        for word in ("low", "high", "random")
    }
    assert (keys["low"], keys["high"]) == ([0.25, -0.5], [-0.25, 0.5])
    other = rank_keys(rank_columns(source, "random", seed=1), "random", similarity).to_pylist()
    expected = source.selectExpr("xxhash64(0, id) AS h0", "xxhash64(1, id) AS h1").collect()
    assert keys["random"] == [row["h0"] for row in expected]
    assert other == [row["h1"] for row in expected]


def test_the_type_of_the_key_is_the_one_declared():
    words = ["low", "high", "random", "quality DESC", "`low`"]
    assert [rank_key_type(word) for word in words] == ["float", "float", "bigint"] + 2 * ["binary"]


@pytest.fixture(scope="module")
def own(spark):
    schema = (
        "id string, quality double, text string, tags array<string>, facts map<string,int>, "
        "part struct<size: int, `desc`: int>, `my``col` int, title string"
    )
    schema += " collate UTF8_LCASE" * HAS_COLLATIONS
    return spark.createDataFrame([], schema)


@pytest.mark.parametrize(
    "rank_by",
    [
        "low",
        "quality DESC, length(text) DESC NULLS LAST",
        "QUALITY",
        "part.size, part.desc DESC",
        "`my``col`",
        "size(tags), facts['x']",
        "exists(tags, t -> t = 'a, b')",
        pytest.param("title COLLATE UTF8_BINARY", marks=COLLATIONS),
        "cast(quality AS decimal(10, 2)) -- comment",
        "xxhash64(text, 7)",
    ],
)
def test_what_spark_can_order_by_is_accepted(own, rank_by):
    check_rank_by(own, rank_by)


@pytest.mark.parametrize(
    ("rank_by", "why", "way_out"),
    [
        ("qualty DESC", "the source has no column 'qualty'", "did you mean 'quality'?"),
        ("text, qualty.x", "the source has no column 'qualty'", "did you mean 'quality'?"),
        ("zzz", "the source has no column 'zzz'", "the columns are: facts, id, my`col, part,"),
        ("`mycol``s`", "the source has no column 'mycol`s'", "did you mean 'my`col'?"),
        ("low, text", "the source has no column 'low'", "low is an order only where it stands"),
        ("price DESC", "source.columns leaves out the column 'price'", "add price to source.col"),
        ("length(PRICE)", "source.columns leaves out the column 'PRICE'", "add PRICE to source"),
        ("part.weight", "No such struct field `weight`", ""),
        ("tags", "tags is of type array<string>", "a term must be a boolean, number,"),
        ("part", "part is of type struct<", "a term must be"),
        ("facts", "facts is of type map<string,int>", "a term must be"),
        pytest.param(
            "title",
            "title is of type string collate UTF8_LCASE",
            "a term must be",
            marks=COLLATIONS,
        ),
        ("NULL", "NULL is of type void", "a term must be"),
        ("quality DESCENDING", "Syntax error at or near", ""),
        ("quality +", "Syntax error at or near", ""),
        ("nosuch(text)", " `nosuch` ", ""),
        ("rand()", "rand() is no function of a row alone", "a term must be deterministic"),
        ("text, quality + rand(1)", "quality + rand(1) is no function", "deterministic"),
        ("uuid()", "uuid() is no function of a row", "deterministic"),
        ("max(quality)", "max(quality) is no function of a row", "no aggregate"),
        ("row_number() OVER (ORDER BY text)", "is no function of a row", "window"),
        ("explode(tags)", "explode(tags) is no function of a row", "generator"),
        ("_metadata.file_name", "the source has no column '_metadata'", ""),
    ],
)
def test_what_cannot_rank_is_refused_with_the_way_out(own, capfd, rank_by, why, way_out):
    with pytest.raises(ConfigError) as caught:
        check_rank_by(own, rank_by, left_out=["price"])
    assert caught.value.problem.startswith("score.rank_by must be low, high, random, or an SQL")
    assert f"Got {rank_by!r}: " in caught.value.problem
    assert why in caught.value.problem
    assert way_out in caught.value.hint
    assert "\n" not in caught.value.problem
    assert capfd.readouterr().err == ""  # Spark 4 would log a page


def test_columns_that_files_hide_do_not_rank(spark, tmp_path):
    spark.createDataFrame([("a",)], "id string").write.parquet(str(tmp_path / "p"))
    files = spark.read.parquet(str(tmp_path / "p"))
    files.selectExpr("_metadata.file_name").schema  # noqa: B018 - Spark itself does find it
    with pytest.raises(ConfigError, match="the source has no column '_metadata'"):
        check_rank_by(files, "_metadata.file_name")


def test_an_order_that_the_source_cannot_have_is_refused_before_a_job(spark):
    rows = spark.createDataFrame([("a", "b", 1)], "id string, text string, price int")
    rows.createOrReplaceTempView("priced")
    source = {"kind": "text", "table": "priced", "id": "id", "content": "text"}
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("no jobs", "")

    def opened(rank_by, **settings):
        config = SourceConfig(**source, **settings)
        return open_source(spark, config, lambda own, out, _: check_rank_by(own, rank_by, out))

    try:
        with pytest.raises(ConfigError, match="source has no column 'prize'") as missing:
            opened("prize DESC")
        with pytest.raises(ConfigError, match=r"source\.columns leaves out the column 'price'"):
            opened("price DESC", columns=["id"])
        assert list(tracker.getJobIdsForGroup("no jobs")) == []
        assert opened("price DESC").n_read == 1
        assert list(tracker.getJobIdsForGroup("no jobs")) != []
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert missing.value.hint == "did you mean 'price'?"
