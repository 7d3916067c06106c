"""Values of every type: which differ to a row's hash, and which SQL holds for equal."""

import pytest
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.sources.hash_ranges import with_content_hash
from semdedup_spark.values import comparable, hash_of, legible

AT = "2024-01-01 00:00:00.0001"
# Each line: a type, and values of it, no two of which are the same.
DIFFERENT = {
    "double": ["0D", "-0D", "double('NaN')", "double('inf')", "1.0000000000000002D", "1D", "null"],
    "float": ["float(0)", "float('-0.0')", "float('NaN')", "null"],
    "decimal(38,10)": ["1.0", "1.0000000001", "null"],
    "string": ["'a'", "'A'", "'a '", "''", "null"],
    "binary": ["X'00'", "X'0000'", "X''", "X'FE'", "X'FF'", "null"],
    "timestamp": [f"timestamp'{AT}00'", f"timestamp'{AT}01'", "null"],
    "timestamp_ntz": [f"timestamp_ntz'{AT}00'", f"timestamp_ntz'{AT}01'", "null"],
    "struct<a:string,b:string>": [
        "named_struct('a', null, 'b', 'x')",
        "named_struct('a', 'x', 'b', null)",
        "named_struct('a', '', 'b', 'x')",
        "named_struct('a', null, 'b', null)",
        "null",
    ],
    "array<string>": [
        "array('a', null)",
        "array('a')",
        "array(null, 'a')",
        "array('', 'a')",
        "array(null)",
        "array('')",
        "array()",
        "null",
    ],
    "array<array<string>>": [
        "array(array('a', 'b'), array('c'))",
        "array(array('a'), array('b', 'c'))",
        "array(array('a', 'b', 'c'))",
        "array(array('a', 'b', 'c'), array())",
        "array(array('a', 'b', 'c'), null)",
    ],
    "array<float>": [
        "array(0, 1)",
        "array(float('-0.0'), 1)",
        "array(1, 0)",
        "array(1, null, 2)",
        "array(1, 2, null)",
        "array(1, 2)",
        "array(float('NaN'), 1)",
    ],
    "array<bigint>": ["array(1, null, 2)", "array(1, 2, null)", "array(1, 2)", "array(null, 1, 2)"],
    "map<string,timestamp>": [
        f"map('a', timestamp'{AT}00')",
        f"map('a', timestamp'{AT}01')",
        f"map('b', timestamp'{AT}00')",
        "map('a', null)",
        "map()",
        "null",
    ],
    "map<string,double>": ["map('a', 0D)", "map('a', -0D)", "map('a', 0D, 'b', 0D)"],
    "struct<m:map<string,int>,at:timestamp>": [
        f"named_struct('m', map('a', 1), 'at', timestamp'{AT}00')",
        f"named_struct('m', map('a', 1), 'at', timestamp'{AT}01')",
    ],
    "array<struct<a:int,b:array<int>>>": [
        "array(named_struct('a', 1, 'b', array(2)))",
        "array(named_struct('a', 1, 'b', array(2, null)))",
        "array(named_struct('a', null, 'b', array(1, 2)))",
        "array(named_struct('a', 1, 'b', null))",
        "array(null)",
    ],
    "interval": ["make_interval(1)", "make_interval(0, 0, 0, 1)", "make_interval(0, 0, 0, 0, 24)"],
    "interval day to second": ["interval '1' day", "interval '1' second"],
}


def column_of(spark, kind, values):
    """One value a row, as data: literals are shared by the optimiser."""
    lines = [spark.range(1).selectExpr(f"cast({v} AS {kind}) AS v") for v in values]
    rows = lines[0]
    for line in lines[1:]:
        rows = rows.union(line)
    return rows


def hashes(rows, *columns):
    typed = [(F.col(c), rows.schema[c].dataType) for c in columns or rows.columns]
    return [tuple(row[0]) for row in rows.select(hash_of(typed)).collect()]


@pytest.mark.parametrize("kind", DIFFERENT)
def test_no_two_different_values_have_one_hash(spark, kind):
    values = DIFFERENT[kind]
    rows = column_of(spark, kind, values)
    assert len(set(hashes(rows))) == len(values)
    # Nor do two columns lend each other a part of a value.
    pairs = rows.select(F.col("v").alias("a")).crossJoin(rows.select(F.col("v").alias("b")))
    assert len(set(hashes(pairs))) == len(values) ** 2


@pytest.mark.parametrize("kind", DIFFERENT)
def test_a_value_has_one_hash_wherever_it_stands(spark, kind):
    rows = column_of(spark, kind, [DIFFERENT[kind][0], *DIFFERENT[kind], DIFFERENT[kind][0]])
    found = hashes(rows)
    assert found[0] == found[1] == found[-1]
    assert sorted(hashes(rows.repartition(3))) == sorted(found)


def test_types_and_scales_are_part_of_the_hash(spark):
    rows = spark.sql("SELECT 1.5BD a, 0.15BD b, 15 c, 15L d, '15' e, X'3135' f, DATE'1970-01-16' g")
    assert len({hashes(rows, name)[0] for name in rows.columns}) == len(rows.columns)


def test_maps_are_one_whatever_the_order_of_their_entries(spark):
    rows = column_of(spark, "map<string,int>", ["map('a', 1, 'b', 2)", "map('b', 2, 'a', 1)"])
    assert len(set(hashes(rows))) == 1


def test_bytes_that_are_no_text_are_legible_and_differ(spark):
    values = [(b"\xff",), (b"\xfe",), ("ü".encode(),), (None,)]
    rows = spark.createDataFrame(values, "v binary").select(legible(F.col("v"))).collect()
    assert [row[0] for row in rows] == ["0xFF", "0xFE", "ü", None]


@pytest.mark.skipif(not hasattr(F, "parse_json"), reason="variants came with Spark 4.0")
def test_variants_and_collated_strings_differ_by_what_they_hold(spark):
    texts = ["parse_json('1')", "parse_json('1.0')", "parse_json('\"1\"')", "parse_json('null')"]
    assert len(set(hashes(column_of(spark, "variant", [*texts, "null"])))) == 5
    day = ["cast(date'2020-01-01' AS variant)", "parse_json('\"2020-01-01\"')", "parse_json('1')"]
    column = column_of(spark, "variant", day)
    same = comparable(F.col(column.columns[0]), column.schema[0].dataType).alias("same")
    assert column.select(same).distinct().count() == 3
    folded = column_of(spark, "string collate UTF8_LCASE", ["'a'", "'A'"])
    assert len(set(hashes(folded))) == 2


def test_vectors_of_mllib_differ_by_a_sign_and_by_how_they_are_stored(spark):
    from pyspark.ml.linalg import Vectors

    dense, signed = Vectors.dense([1.0, 0.0]), Vectors.dense([1.0, -0.0])
    rows = spark.createDataFrame([(dense,), (signed,), (Vectors.sparse(2, [0], [1.0]),)], ["v"])
    assert len(set(hashes(rows))) == 3


def content_hashes(spark, values):
    rows = column_of(spark, "array<float>", values).select(
        F.lit("id").alias(s.ID), F.col("v").alias(s.PAYLOAD)
    )
    return [row[0] for row in with_content_hash(rows).select(s.CONTENT_HASH).collect()]


def test_a_vector_with_a_negative_zero_is_another_one(spark):
    signed, other = "array(1, float('-0.0'), 0)", "array(1, 0, float('-0.0'))"
    assert len(set(content_hashes(spark, ["array(1, 0, 0)", signed, other]))) == 3


def test_the_content_hash_of_other_vectors_is_that_of_earlier_releases(spark):
    values = ["array(1, 0.5)", "array(1, 0)", "array(-1.5, -0.25)"]
    rows = column_of(spark, "array<float>", values)
    before = [row[0] for row in rows.select(F.xxhash64("v")).collect()]
    assert content_hashes(spark, values) == before


@pytest.mark.parametrize(
    ("kind", "one", "other", "equal"),
    [
        ("double", "0D", "-0D", True),
        ("double", "double('NaN')", "double('NaN')", True),
        ("array<double>", "array(0D)", "array(-0D)", True),
        ("double", "0.1D", "0.1000000000000001D", False),
        ("timestamp", f"timestamp'{AT}00'", f"timestamp'{AT}01'", False),
        ("string", "null", "null", True),
        ("string", "null", "''", False),
        ("map<string,int>", "map('a', 1, 'b', 2)", "map('b', 2, 'a', 1)", True),
        ("map<string,int>", "map('a', 1)", "map('a', null)", False),
        ("map<string,int>", "null", "map()", False),
        ("map<int,map<int,int>>", "map(1, map(1, 2, 3, 4))", "map(1, map(3, 4, 1, 2))", True),
        (
            "array<struct<m:map<string,int>>>",
            "array(named_struct('m', map('a', 1)))",
            "array(named_struct('m', map('a', 2)))",
            False,
        ),
        ("struct<m:map<string,int>>", "null", "named_struct('m', null)", False),
    ],
)
def test_comparable_forms_are_equal_where_sql_holds_values_for_equal(
    spark, kind, one, other, equal
):
    rows = column_of(spark, kind, [one, other])
    forms = rows.select(comparable(F.col("v"), rows.schema["v"].dataType).alias("v"))
    assert forms.groupBy("v").count().count() == (1 if equal else 2)
    pairs = forms.alias("a").crossJoin(forms.alias("b"))
    same = pairs.filter(F.col("a.v").eqNullSafe(F.col("b.v")))
    assert same.count() == (4 if equal else 2)
