"""Rows between two thresholds, by hand: beside which row each is listed."""

from semdedup_spark.transforms.select.nearest import nearest_rows
from semdedup_spark.transforms.select.resolve import Case, resolve_paper
from semdedup_spark.transforms.select.review import rows_between

DDL = "id string, batch int, cluster_id int, rank_key int, max_similarity float, neighbor_id string"


def listed(spark, near, forced):
    """Id to survivor. Of each row: its nearest earlier row, and their similarity."""
    rows = [(i, 0, 0, at, similarity, other) for at, (i, other, similarity) in enumerate(near)]
    scores = spark.createDataFrame(rows, DDL)
    overrides = spark.createDataFrame([(i, "remove") for i in forced], "id string, action string")
    case = Case(
        scores,
        scores,
        0.05,
        True,
        lambda: scores,
        lambda: nearest_rows(scores, None, 0.08),
        overrides,
    )
    found = rows_between(case, resolve_paper(case).removed).collect()
    return {row["id"]: row["survivor_id"] for row in found}


def test_no_row_is_listed_beside_itself(spark):
    # People removed a and b, so c stands for b, which is its own neighbor.
    near = [("a", None, 0.0), ("b", "a", 0.97), ("c", "b", 0.97), ("d", "b", 0.93)]
    assert listed(spark, near, ["a", "b"]) == {"d": "c"}
    assert listed(spark, near, []) == {"d": "a"}
