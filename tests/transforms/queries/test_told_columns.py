"""What a person sees of a row that has no text."""

from semdedup_spark.transforms.queries.told_columns import told_columns, told_value


def test_each_column_is_a_line_without_nulls_the_id_or_what_is_named_like_a_secret(spark):
    rows = [
        (7, ("7", 3, None, "correct horse staple", "a\nb")),
        (8, ("x", None, True, None, "")),
    ]
    own = "key: string, `the size`: int, good: boolean, api_token: string, note: string"
    frame = spark.createDataFrame(rows, f"id bigint, source struct<{own}>")
    names = ["key", "the size", "good", "api_token", "note"]
    told = [row[0] for row in frame.select(told_columns(names)).collect()]
    assert told == ["the size: 3\napi_token: ***\nnote: a\nb", "key: x\ngood: true\nnote: "]
    values = [row[0] for row in frame.select(told_value("api_token")).collect()]
    assert values == ["***", None]
    assert frame.select(told_columns([])).first()[0] == ""
