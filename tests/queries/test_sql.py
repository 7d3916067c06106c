"""`semdedup sql`: queries name the tables of an output, and change nothing."""

from __future__ import annotations

import json

import pytest

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
        "",
    ],
)
def test_what_is_no_query_is_refused_and_changes_nothing(finished, query):
    before = finished.table("scores").count()
    with pytest.raises(ConfigError) as raised:
        run_sql(finished.job(), query, limit=1)
    assert raised.value.exit_code == 2
    assert finished.table("scores").count() == before
