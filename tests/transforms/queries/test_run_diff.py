"""Why the fate of a row differs between two selections."""

from semdedup_spark.transforms.queries.run_diff import differences, fates


def test_what_people_decided_and_what_must_agree_is_named(spark):
    scores = spark.createDataFrame(
        [(i, 0.99, 0) for i in range(1, 7)], "id int, max_similarity double, neighbor_id int"
    )
    duplicates = "id int, reason string"
    before = [(i, "similarity") for i in (1, 2, 3, 4)]
    after = [(5, "verdict"), (6, "similarity")]
    protected = spark.createDataFrame([(1, None), (2, '{"lang":"de"}')], "id int, value string")
    overrides = spark.createDataFrame([(3, "keep")], "id int, action string")
    changes = differences(
        fates(scores, spark.createDataFrame(before, duplicates)),
        fates(scores, spark.createDataFrame(after, duplicates), overrides, protected),
    ).collect()
    assert {(r["before"], r["after"], r["why"]): r["sample"] for r in changes} == {
        ("removed", "kept", "never_merge"): ["1"],
        ("removed", "kept", "must_agree"): ["2"],
        ("removed", "kept", "override"): ["3"],
        ("removed", "kept", "threshold"): ["4"],
        ("kept", "removed", "verdict"): ["5"],
        ("kept", "removed", "threshold"): ["6"],
    }
