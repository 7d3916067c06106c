"""One table of all rows, by hand: what became of each, and which row stands for it."""

import pytest

from semdedup_spark.transforms.select.assignment import Decided, assignment_rows

SCORES = [("a", 0, 0.0, 0), ("b", 0, 0.99, 0), ("c", 1, 0.98, 0), ("d", 1, 0.97, 1)]
SCORES_DDL = "id string, batch int, max_similarity float, cluster_id int"
DUPLICATES_DDL = "id string, survivor_id string, survivor_similarity float, reason string"
BY_NEIGHBOR = [("b", "a", 0.99, "similarity")]


def told(spark, duplicates, *, restored=None, protected=None, among_themselves=True):
    def ids(few):
        return None if few is None else spark.createDataFrame([(i,) for i in few], "id string")

    rows = assignment_rows(
        Decided(
            spark.createDataFrame(SCORES, SCORES_DDL),
            spark.createDataFrame(duplicates, DUPLICATES_DDL),
            spark.createDataFrame([("q", 1), (None, 1)], "id string, batch int"),
            ids(restored),
            ids(protected),
            among_themselves,
        )
    )
    return {
        row["id"]: (row["kept"], row["survivor_id"], row["copies"], row["reason"])
        for row in rows.collect()
    }


def test_each_row_says_who_stands_for_it_and_for_how_many_it_stands(spark):
    duplicates = [*BY_NEIGHBOR, ("c", "a", 0.9, "component"), ("d", None, None, "override")]
    assert told(spark, duplicates) == {
        "a": (True, "a", 3, "kept"),
        "b": (False, "a", None, "similarity"),
        "c": (False, "a", None, "component"),
        "d": (False, None, None, "override"),
        "q": (False, None, None, "quarantined"),
        None: (False, None, None, "quarantined"),
    }


def test_a_row_that_people_or_an_agreement_kept_says_so(spark):
    found = told(spark, BY_NEIGHBOR, restored=["d", "gone"], protected=["c", "d"])
    assert [found[i][3] for i in "abcd"] == ["kept", "similarity", "protected", "override"]
    assert [found[i][0] for i in "abcd"] == [True, False, True, True]


def test_a_row_with_the_id_of_a_survivor_in_the_reference_stands_for_itself_alone(spark):
    assert told(spark, BY_NEIGHBOR, among_themselves=False)["a"] == (True, "a", 1, "kept")


def test_numbers_are_those_of_the_other_tables(spark):
    rows = assignment_rows(
        Decided(
            spark.createDataFrame(SCORES, SCORES_DDL),
            spark.createDataFrame(BY_NEIGHBOR, DUPLICATES_DDL),
            spark.createDataFrame([], "id string, batch int"),
            None,
            None,
            True,
        )
    ).toPandas()
    rows = rows.set_index("id").sort_index()
    assert rows["survivor_similarity"].tolist() == pytest.approx([1.0, 0.99, 1.0, 1.0])
    assert rows["similarity"].tolist() == pytest.approx([0.0, 0.99, 0.98, 0.97])
    assert rows["batch"].tolist() == [0, 0, 1, 1]
    assert rows["cluster_id"].tolist() == [0, 0, 0, 1]
