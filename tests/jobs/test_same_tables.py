"""Every supported pair of Spark and Delta makes the same tables, of the same types."""

import json

import pytest

from tests.jobs.same_tables import JOBS, WRITTEN, differences, tables_of

# `make test-spark` runs both.
_KINDS = [pytest.param(k, marks=pytest.mark.long if k == "texts" else ()) for k in JOBS]


@pytest.mark.parametrize("kind", _KINDS)
def test_a_job_makes_the_tables_that_the_default_spark_made(spark, kind, tmp_path):
    if kind == "texts":
        pytest.importorskip("torch")
    written = json.loads(WRITTEN.read_text())[kind]
    assert sum(len(table["rows"]) for table in written.values()) > 100
    found = tables_of(spark, kind, tmp_path)
    assert differences(found, written) == [], "python -m tests.jobs.same_tables writes them anew"


def test_a_difference_is_seen_wherever_it_is():
    table = {"types": {"id": "string"}, "rows": [["a", 0.5, None, [1.0, 2.0]], ["b", 1, True, []]]}
    same = {
        "types": {"id": "string"},
        "rows": [["a", 0.500001, None, [1.0, 2.0]], ["b", 1, True, []]],
    }
    assert differences(table, same) == []
    for place, value in (((0, 1), 0.51), ((0, 2), 0), ((0, 3), [1.0]), ((1, 0), "c"), ((1, 1), 2)):
        other = json.loads(json.dumps(table))
        other["rows"][place[0]][place[1]] = value
        assert differences(table, other), place
    assert differences(table, {**table, "types": {"id": "int"}})
    assert differences(table, {**table, "rows": table["rows"][:1]})
