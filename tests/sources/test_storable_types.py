"""Columns whose type Delta cannot store are converted, or refused by name."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.candidate_rows import hash_of_columns
from semdedup_spark.sources.storable_types import as_storable, refuse_unstorable
from tests.sources.sourcefiles import opened

NULL = pa.null()


def kinds(rows):
    return {f.name: f.dataType.simpleString() for f in rows.schema[s.SOURCE].dataType}


def test_a_column_without_a_type_is_kept_as_null_strings(spark, tmp_path):
    fields = {
        "always": pa.nulls(2),
        "items": pa.array([[], [None]], pa.list_(NULL)),
        "inside": pa.array([{"a": None, "b": 1}, None], pa.struct({"a": NULL, "b": pa.int32()})),
        "values": pa.array([[("k", None)], []], pa.map_(pa.string(), NULL)),
        "deep": pa.array([[{"x": []}], []], pa.list_(pa.struct({"x": pa.list_(NULL)}))),
    }
    columns = {"id": ["a", "b"], "text": ["one", "two"], **fields}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    source = opened(spark, path=str(tmp_path), format="parquet", id="id", content="text")
    assert kinds(source.rows) == {
        "id": "string",
        "text": "string",
        "always": "string",
        "items": "array<string>",
        "inside": "struct<a:string,b:int>",
        "values": "map<string,string>",
        "deep": "array<struct<x:array<string>>>",
    }
    first = source.rows.filter("id = 'a'").select("source.*").first()
    assert (first["always"], first["items"], first["inside"]["b"]) == (None, [], 1)
    assert first["values"] == {"k": None}
    source.rows.write.format("delta").save(str(tmp_path / "out"))  # Delta accepts it


def test_keys_of_json_that_are_always_null_are_kept(spark, tmp_path):
    lines = [{"id": i, "text": "t", "x": None, "l": [], "o": {"n": None}} for i in range(2)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = opened(spark, path=str(tmp_path), format="jsonl", id="id", content="text")
    found = kinds(source.rows)
    assert {name: found[name] for name in "xlo"} == {
        "x": "string",
        "l": "array<string>",
        "o": "struct<n:string>",
    }


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("interval '1' day", "c of type interval day"),
        ("array(interval '1' year)", "c of type interval year"),
        ("named_struct('in', make_interval(1))", "c.in of type interval"),
        ("map(1, named_struct())", "c of type struct<>"),
        ("named_struct('a', 1, 'A', 2)", r"c of type struct<a:int,A:int>"),
        ("named_struct('a b', 1)", "c.a b"),
        ("named_struct('x.y z', 1)", "c.x.y z"),
    ],
)
def test_what_delta_cannot_hold_is_refused_by_its_name(spark, expression, named):
    rows = as_storable(spark.range(1).selectExpr(f"{expression} AS c", "1 AS fine"))
    with pytest.raises(SourceError) as raised:
        refuse_unstorable(rows.schema.fields)
    assert f"Got {named!r}." in str(raised.value)


@pytest.mark.skipif(not hasattr(F, "parse_json"), reason="these types came with Spark 4")
@pytest.mark.parametrize("expression", ["parse_json('1')", "time'10:00:00'"])
def test_newer_types_are_refused_too(spark, expression):
    rows = as_storable(spark.range(1).selectExpr(f"array({expression}) AS c"))
    with pytest.raises(SourceError, match="c of type"):
        refuse_unstorable(rows.schema.fields)


@pytest.mark.skipif(not hasattr(F, "collate"), reason="collations came with Spark 4.0")
def test_strings_with_a_collation_are_kept_without_it(spark, tmp_path):
    texts = "array(named_struct('s', 'A' collate UTF8_LCASE)) AS c"
    rows = as_storable(spark.range(1).selectExpr("'b' collate UNICODE_CI AS d", texts))
    refuse_unstorable(rows.schema.fields)
    rows.write.format("delta").save(str(tmp_path / "out"))
    kept = spark.read.format("delta").load(str(tmp_path / "out"))
    assert kept.schema.simpleString() == "struct<d:string,c:array<struct<s:string>>>"
    assert kept.first() == rows.first()


def test_of_what_a_column_knows_only_its_comment_goes_along(spark):
    rules = {"comment": "what it is", "CURRENT_DEFAULT": "1"}
    rows = spark.range(1).select(F.lit(1).alias("a", metadata=rules), F.lit(2).alias("b"))
    assert [f.metadata for f in as_storable(rows).schema] == [{"comment": "what it is"}, {}]
    plain = rows.select("b")
    assert as_storable(plain) is plain


def changes(spark, ddl, one, other, content):
    kind = StructType.fromDDL(ddl)
    rows = spark.createDataFrame([(one,), (other,)], StructType().add(s.SOURCE, kind))
    hashes = {tuple(row[0]) for row in rows.select(hash_of_columns(rows, content)).collect()}
    return len(hashes) == 2


def test_beside_what_is_embedded_every_part_of_a_row_is_compared(spark):
    image = "i struct<bytes:binary,path:string>"
    assert changes(spark, image, ((b"x", "a"),), ((b"x", "b"),), "i")
    assert changes(spark, image, ((b"x", None),), ((b"x", ""),), "i")
    # content_hash covers what is embedded.
    assert not changes(spark, image, ((b"x", "a"),), ((b"y", "a"),), "i")
    assert not changes(spark, "v array<float>", ([1.0],), ([2.0],), "v")
    assert not changes(spark, "v array<double>", ([0.1],), ([0.1 + 2**-56],), "v")
    assert changes(spark, "t string, b binary", ("x", b"1"), ("x", b"2"), "t")
