"""Small tables of values that the driver holds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from semdedup_spark import schema as s
from semdedup_spark.tables.literal_rows import few_rows

NOON = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))
ODD = 'it\'s \\ a "name" \n {x} ${y} ü'


def ledger_row(**maps):
    empty = {"inputs": {}, "outputs": {}, "counts": {}, "metrics": {}, "software": {}} | maps
    return (ODD, "embed", NOON, 1.5, True, "", ODD, "h", "k", *empty.values(), {"scores": ODD})


@pytest.mark.parametrize(
    "rows",
    [
        [ledger_row()],
        [
            ledger_row(inputs={ODD: ODD}, metrics={"eps": 0.1, "inf": float("inf"), "n": -0.0}),
            ledger_row(outputs={"scores": 2**40, "none": None}, metrics={"nan": float("nan")}),
            tuple(None for _ in ledger_row()),
        ],
    ],
)
def test_values_come_back_as_they_do_from_rows_that_python_sent(spark, rows):
    made, sent = few_rows(spark, rows, s.RUNS_DDL), spark.createDataFrame(rows, s.RUNS_DDL)
    assert [(f.name, f.dataType) for f in made.schema] == [
        (f.name, f.dataType) for f in sent.schema
    ]
    assert list(map(repr, made.collect())) == list(map(repr, sent.collect()))  # NaN is NaN


def test_a_row_of_the_wrong_length_is_an_error(spark):
    with pytest.raises(ValueError, match=r"argument 2 is (longer|shorter)"):
        few_rows(spark, [("run", "claimed")], s.LEASES_DDL)
