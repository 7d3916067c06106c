"""`semdedup sql`: queries name the tables of an output, and change nothing."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from click.testing import CliRunner

from semdedup_spark.answers.sql import Answer, csv_text, json_text, numbered
from semdedup_spark.cli import cli
from semdedup_spark.cli.sql import print_rows
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline.queries.sql import run_sql, tables_of

TYPES = """
SELECT 1.5D AS number, 'x' AS `a b`, X'FF00' AS bytes, array(1, NULL) AS list, NULL AS nothing,
       named_struct('when', timestamp'2024-01-01 00:00:00') AS at
"""


def test_every_table_has_its_short_name_and_can_be_joined(finished):
    job = finished.job()
    names = tables_of(job)
    assert {"embeddings", "scores", "duplicates", "deduplicated", "assignment", "runs"} <= {*names}
    answer = run_sql(
        job,
        "SELECT kept, count(*) AS n FROM assignment JOIN scores USING (id) GROUP BY ALL -- by fate",
        limit=10,
    )
    found = {row[0]: int(row[1]) for row in answer.rows}
    assert found["false"] == finished.table("duplicates").count()
    assert sum(found.values()) == finished.table("scores").count()
    assert (answer.columns, answer.numbers, answer.more) == (("kept", "n"), (False, True), False)
    assert not any(finished.spark.catalog.tableExists(name) for name in names)


def test_values_of_every_type_are_text_and_rows_are_json(finished):
    answer = run_sql(finished.job(), TYPES, limit=1)
    (row,) = answer.rows
    assert row[:5] == ("1.5", "x", "/wA=", "[1,null]", None)
    assert row[5].startswith('{"when":"2024-01-01T00:00:00')
    (document,) = answer.documents
    assert json.loads(document)["nothing"] is None
    assert list(json.loads(document)) == ["number", "a b", "bytes", "list", "nothing", "at"]


def test_a_view_of_the_caller_with_a_table_s_name_is_there_again_afterwards(finished):
    finished.spark.range(3).createOrReplaceTempView("scores")
    try:
        answer = run_sql(finished.job(), "SELECT count(id) FROM scores", limit=1)
        assert int(answer.rows[0][0]) == finished.table("scores").count()
        assert finished.spark.table("scores").count() == 3
    finally:
        assert finished.spark.catalog.dropTempView("scores")


def test_more_rows_than_the_limit_are_not_read_and_said_to_be_there(finished):
    answer = run_sql(finished.job(), "SELECT id FROM scores ORDER BY id;", limit=3)
    assert [row[0] for row in answer.rows] == ["1000", "1001", "1002"]
    assert answer.more


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM scores",
        "DROP TABLE scores",
        "SELECT 1) UNION (DELETE FROM scores",
        "SELECT nothing FROM scores",
        "SELECT * FROM nowhere",
        "SELECT '${env:HOME}'",
        "SELECT cast('x' AS int)",
        "SELECT cast(site AS int) FROM (SELECT source.site FROM embeddings)",
        "SELECT id / 0 FROM scores",
        "",
    ],
)
def test_what_is_no_query_is_refused_and_changes_nothing(finished, query):
    before = finished.table("scores").count()
    with pytest.raises(ConfigError) as raised:
        run_sql(finished.job(), query, limit=1)
    assert raised.value.exit_code == 2
    assert finished.table("scores").count() == before


REPEATED = """
SELECT 1 AS n, 2 AS n, 3 AS n_2, array(named_struct('a', 1, 'a', 2)) AS list,
       map('k', named_struct('a', 1, 'a', NULL)) AS map
"""


def test_no_value_is_lost_where_a_name_occurs_twice(finished):
    answer = run_sql(finished.job(), REPEATED, limit=1)
    assert answer.columns == ("n", "n_3", "n_2", "list", "map")
    assert json.loads(answer.documents[0]) == {
        "n": 1,
        "n_3": 2,
        "n_2": 3,
        "list": [{"a": 1, "a_2": 2}],
        "map": {"k": {"a": 1, "a_2": None}},
    }
    assert json.loads(answer.rows[0][3]) == [{"a": 1, "a_2": 2}]


def test_the_list_of_tables_is_a_line_for_each(finished, monkeypatch):
    nasty = "a\nb\x1b[2J"
    job = finished.job()
    finished.spark.sql(f"SELECT 1 AS `{nasty}`").createOrReplaceTempView("nasty")
    try:
        monkeypatch.setattr("semdedup_spark.cli.sql.opened_job", lambda *_: job)
        monkeypatch.setattr("semdedup_spark.pipeline.queries.sql.tables_of", lambda _: ["nasty"])
        monkeypatch.setattr(
            "semdedup_spark.tables.catalog.read_table",
            lambda spark, root, table: spark.table(table),
        )
        shown = CliRunner().invoke(cli, ["sql", "--config", "job.yml"], catch_exceptions=False)
        assert shown.stdout == "nasty: a␊b␛[2J\n"
    finally:
        finished.spark.catalog.dropTempView("nasty")


def test_names_are_numbered_without_meeting_another():
    assert numbered(["n", "n", "n"]) == ["n", "n_2", "n_3"]
    assert numbered(["n", "n_2", "n", "n_2"]) == ["n", "n_2", "n_3", "n_2_2"]
    assert numbered([]) == []


VALUES = [
    "a",
    "",
    "a\rb",
    "a\nb",
    "a\r\nb",
    'a"b',
    "a,b",
    " a ",
    "\t",
    "1.5",
    "\x1b[31mred",
    "a\x85b",
]


def test_a_reader_of_csv_gets_the_rows_that_were_written():
    rows = [(value, str(n)) for n, value in enumerate(VALUES)]
    text = csv_text([("a\rname", "n"), *rows])
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == [
        ("a\rname", "n"),
        *rows,
    ]
    found = pd.read_csv(io.BytesIO(text.encode()), dtype=str, keep_default_na=False)
    assert list(found.itertuples(index=False, name=None)) == rows


def test_a_null_and_an_empty_text_are_told_apart_in_csv():
    assert csv_text([("a", "b"), (None, ""), ("", None)]) == 'a,b\n,""\n"",\n'
    alone = csv_text([("a",), (None,), ("x",)])
    assert [row["a"] for row in csv.DictReader(io.StringIO(alone))] == ["", "x"]


def test_json_means_the_same_and_has_no_character_that_steers_a_terminal():
    hidden = "\x7f\x80\x9b\x9f\u200b\u202e\u2066\u2028\ufeff\U000e0041"
    document = json.dumps({f"k{hidden}": f'\\{hidden}"\n漢字 é 😀'}, ensure_ascii=False)
    text = json_text(document)
    assert json.loads(text) == json.loads(document)
    assert not set(text) & set(hidden)
    assert "漢字 é 😀" in text


class Terminal(io.StringIO):
    def isatty(self):
        return True


NASTY = "a\x1b[31mb\x9b2J\u202ec\r\n"
ANSWER = Answer((NASTY,), (False,), ((NASTY,),), (json.dumps({"a": NASTY}),), False)


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_gets_the_data_and_a_terminal_gets_nothing_that_steers_it(monkeypatch, form):
    for out in (io.StringIO(newline=""), Terminal(newline="")):
        monkeypatch.setattr("sys.stdout", out)
        print_rows(ANSWER, form)
        text = out.getvalue()
        if form == "json":
            assert json.loads(text) == {"a": NASTY}
        elif not out.isatty():
            assert list(csv.reader(io.StringIO(text, newline=""))) == [[NASTY], [NASTY]]
        if form == "json" or out.isatty():
            assert not set(text) & set("\x1b\x9b\u202e\r")
