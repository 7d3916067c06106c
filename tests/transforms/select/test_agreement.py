"""What rows must share, compared as SQL compares, and shown as JSON."""

import datetime as dt
import json
from decimal import Decimal

import pytest
from pyspark.sql import functions as F

from semdedup_spark.errors import ConfigError
from semdedup_spark.presets import PRESETS
from semdedup_spark.transforms.select.agreement import (
    Agreement,
    agreement_values,
    check_patterns,
    shown_values,
)

DDL = "id int, source struct<lang1:string, lang:string, at:timestamp, d:decimal(38,18), b:binary,"
DDL += "x:double, m:map<string,timestamp>>"


def moment(microsecond):
    return dt.datetime(2024, 1, 1, 0, 0, 0, microsecond)


PLAIN = {"lang1": "en", "lang": "en", "at": moment(100), "d": Decimal(1), "b": b"a", "x": 0.5}
PLAIN["m"] = {"a": moment(100)}


def agree(spark, one, other, *agreements):
    sources = [tuple({**PLAIN, **row}.values()) for row in (one, other)]
    rows = spark.createDataFrame(list(enumerate(sources)), DDL)
    values = agreement_values(rows, [Agreement(*a) for a in agreements])
    return values.groupBy("value").count().count() == 1


@pytest.mark.parametrize(
    ("one", "other", "columns"),
    [
        ({"lang1": "en", "lang": None}, {"lang1": None, "lang": "en"}, ["lang1", "lang"]),
        ({"lang1": "en", "lang": None}, {"lang1": None, "lang": "en"}, ["lang", "lang1"]),
        ({"at": moment(100)}, {"at": moment(900)}, ["at"]),
        ({"d": Decimal("0.1")}, {"d": Decimal("0.100000000000000001")}, ["d"]),
        ({"b": b"\xfe"}, {"b": b"\xff"}, ["b"]),
        ({"x": 0.1}, {"x": 0.1 + 2**-56}, ["x"]),
        ({"m": {"a": moment(100)}}, {"m": {"a": moment(101)}}, ["m"]),
        ({"m": None}, {"m": {}}, ["m"]),
    ],
)
def test_rows_whose_values_differ_do_not_agree(spark, one, other, columns):
    assert not agree(spark, one, other, *((column,) for column in columns))
    assert agree(spark, one, one, *((column,) for column in columns))


def test_zeros_nans_and_orders_of_entries_are_what_sql_says(spark):
    assert agree(spark, {"x": 0.0}, {"x": -0.0}, ("x",))
    assert agree(spark, {"x": float("nan")}, {"x": float("nan")}, ("x",))
    entries = [("a", moment(1)), ("b", moment(2))]
    assert agree(spark, {"m": dict(entries)}, {"m": dict(reversed(entries))}, ("m",))


def test_a_column_may_be_asked_for_twice(spark):
    both = [("lang", "[a-z]+"), ("lang", r"\d+")]
    assert agree(spark, {"lang": "en 1"}, {"lang": "1 en"}, *both)
    assert not agree(spark, {"lang": "en 1"}, {"lang": "en 2"}, *both)
    assert not agree(spark, {"lang": "en 1"}, {"lang": "fr 1"}, *both)


def test_a_preset_goes_with_columns_and_other_presets(spark):
    numbers, dates = PRESETS["numbers"], PRESETS["dates"]
    one, other = {"lang": "Zwei am 5. Mai"}, {"lang": "2 on May 5"}
    assert agree(spark, one, other, ("lang", None, numbers), ("lang", None, dates), ("lang1",))
    assert not agree(spark, one, other, ("lang", None, numbers), ("lang",))
    assert not agree(spark, one, {"lang": "5, 2"}, ("lang", None, numbers), ("lang", None, dates))
    assert agree(spark, {"lang": None}, {"lang": None}, ("lang", None, numbers))
    assert not agree(spark, {"lang": None}, {"lang": "none"}, ("lang", None, numbers))
    assert agree(spark, {"d": Decimal(7)}, {"d": Decimal(7)}, ("d", None, numbers))
    assert not agree(spark, {"x": 0.5}, {"x": 1.5}, ("x", None, numbers))


def test_what_differs_is_seen_to_differ(spark):
    asked = [Agreement("at"), Agreement("lang"), Agreement("lang", "[a-z]"), Agreement("m")]
    asked += [Agreement("lang1", preset=PRESETS[name]) for name in ("numbers", "negation")]
    rows = spark.createDataFrame([(1, tuple({**PLAIN, "lang": None}.values()))], DDL)
    values = agreement_values(rows, asked).withColumn("other_value", F.col("value"))
    shown = json.loads(shown_values(values, rows, asked).first()["value"])
    assert list(shown) == ["at", "lang", "lang#2", "m", "lang1:numbers", "lang1:negation"]
    assert shown["lang1:negation"] == []
    assert ".000100" in shown["at"]
    assert shown["lang"] is None
    assert list(shown["m"]) == ["a"]


def test_a_pattern_tells_bytes_apart_that_are_no_text(spark):
    assert not agree(spark, {"b": b"\xfe"}, {"b": b"\xff"}, ("b", "."))
    assert agree(spark, {"b": b"1 \xfe"}, {"b": b"1 \xfe"}, ("b", r"\d"))


def test_patterns_are_checked_by_the_engine_that_runs_them(spark):
    check_patterns(spark, [r"(?<year>\d{4})", r"\p{javaLowerCase}", r"a++"])
    for pattern in (r"(?P<year>\d{4})", "[a"):
        with pytest.raises(ConfigError, match="regular expression as Java") as raised:
            check_patterns(spark, [pattern])
        assert raised.value.exit_code == 2
