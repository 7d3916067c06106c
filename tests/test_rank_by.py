"""What score.rank_by may say: read without Spark, and handed to Spark as it was written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from semdedup_spark.config import parse_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.rank_by import Term, parse_rank_by

SOURCE = {"kind": "text", "table": "docs", "id": "doc", "content": "text"}


def job(rank_by):
    return parse_config({"output": "out", "source": SOURCE, "score": {"rank_by": rank_by}})


def expressions(text):
    return [term.expression for term in parse_rank_by(text)]


@pytest.mark.parametrize("word", ["low", "high", "random"])
def test_the_three_words_are_built_in_only_where_they_stand_alone(word):
    assert parse_rank_by(word) == ()
    assert expressions(f"`{word}`") == [f"`{word}`"]
    assert expressions(f"{word}, quality") == [word, "quality"]
    assert expressions(f"{word} DESC") == [word]


def test_each_term_keeps_its_expression_direction_and_nulls():
    assert parse_rank_by("source_priority, quality DESC, length(text) desc Nulls\nLAST") == (
        Term("source_priority", descending=False, nulls_first=True),
        Term("quality", descending=True, nulls_first=False),
        Term("length(text)", descending=True, nulls_first=False),
    )
    assert parse_rank_by("a ASC NULLS LAST, b DESC NULLS FIRST, c NULLS LAST") == (
        Term("a", descending=False, nulls_first=False),
        Term("b", descending=True, nulls_first=True),
        Term("c", descending=False, nulls_first=False),
    )


@pytest.mark.parametrize(
    "expression",
    [
        "coalesce(a, b, 0)",
        "'a, b' = c",
        '"a, b" = c',
        r"'it\'s, so' = c",
        "r'a\\' = c",
        "'two'', one' = c",
        "`a, b`",
        "`a``, b`",
        "`b DESC`",
        "CASE WHEN a IN (1, 2) THEN 'x, y' WHEN b THEN c ELSE 0 END",
        "filter(parts, (x, i) -> x > i)[0]",
        "scores['a, b']",
        "m[array(1, 2)[0]]",
        "a /* b, c DESC */ + 1",
        "a -- b, c DESC\n + 1",
        "cast(a AS decimal(10, 2))",
        "price::decimal(10, 2)",
        "CAST(`Größe` AS int)",
        "named_struct('desc', a).desc",
        "a.`desc`",
        "date'2020-01-01' < day",
        "'😀, 😀' = c",
        "a * b",
        "size(values)",
        "now",
        "`now` + `today`",
        "date 'not now'",
        "concat(date, 'now')",
        "selected",
        "a between 1 and 2",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "{} DESC", "x, {} desc, y", "  {}  NULLS LAST -- , z\n , w"]
)
def test_an_expression_is_cut_out_whole_and_as_it_was_written(expression, around):
    found = expressions(around.format(expression))
    assert expression in found
    assert len(found) == 1 + sum(name in around for name in ("x,", ", y", ", w"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("-- quality", "it is empty"),
        ("quality,", "a term is empty"),
        (", quality", "a term is empty"),
        ("a,, b", "a term is empty"),
        ("DESC", "a term is only DESC"),
        ("a, desc nulls last", "a term is only DESC NULLS LAST"),
        ("length(text", "the ( at character 7 is not closed"),
        ("a, text)", "the ) at character 8 closes nothing"),
        ("m[(1])", "the ] at character 5 closes nothing"),
        ("'text", "is not closed"),
        ("a, `b", "is not closed"),
        ("a /* b", "is not closed"),
        ("a; b", "; ends nothing"),
        ("'quality' DESC", "a constant ranks nothing"),
        ('"quality" DESC', "a constant ranks nothing"),
        ("quality, 2 DESC", "a constant ranks nothing"),
        ("hash(*)", "* stands for no columns"),
        ("source.*", "* stands for no columns"),
        ("(SELECT max(x) FROM t)", "it holds a query"),
        ("a, select 1", "it holds a query"),
        ("(table t)", "it holds a query"),
        ("datediff(current_date(), day)", "reads the clock"),
        ("now() - seen", "reads the clock"),
        ("`now`() - seen", "reads the clock"),
        ("seen < DATE 'today'", "reads the clock"),
        ("seen < timestamp_ntz ' Yesterday UTC'", "reads the clock"),
        ("LOW", "the built-in order is low"),
        (" random ", "the built-in order is random"),
    ],
)
def test_what_is_no_order_is_a_config_error_that_says_why(text, why):
    with pytest.raises(ConfigError) as caught:
        job(text)
    assert caught.value.problem.startswith("score.rank_by: must be low, high, random, or an SQL")
    assert f"Got {text!r}: " in caught.value.problem
    assert why in caught.value.problem
    assert caught.value.exit_code == 2


def test_an_order_that_is_no_text_is_refused():
    with pytest.raises(ConfigError, match=r"score\.rank_by must be text\. Got 3"):
        job(3)


def test_an_order_is_kept_as_written():
    assert job("quality  DESC").score.rank_by == "quality  DESC"


def test_the_reader_of_sql_is_loaded_only_for_sql():
    code = (
        "import sys; from semdedup_spark.rank_by import parse_rank_by as read\n"
        "for word in ('low', 'high', 'random'): read(word)\n"
        "before = 'sqlglot' in sys.modules; read('a'); print(before, 'sqlglot' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "True"]
