"""A source that cannot be read as configured is refused with the key, its value and a way out."""

from __future__ import annotations

import pytest

from semdedup_spark.errors import SourceError
from tests.sources.sourcefiles import opened, view

FORMATS = ("delta", "parquet", "jsonl", "csv")
FILES = {"kind": "images", "format": "files"}


@pytest.fixture(scope="module")
def everything(spark):
    """A view with a column of every type that matters."""
    return view(
        spark,
        "everything",
        [("a", 1.5, "hello", [1], [1.0], b"x", 7)],
        "id string, price double, text string, counts array<int>, vector array<float>, "
        "image binary, number long",
    )


def refusal(spark, *, key, got, way_out, **settings):
    with pytest.raises(SourceError) as caught:
        opened(spark, **settings)
    assert caught.value.exit_code == 2
    assert caught.value.problem.startswith(f"{key} must ")
    assert f"Got {got}" in caught.value.problem
    assert way_out in caught.value.hint
    return caught.value.problem


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("source.id", {"id": "numbr"}),
        ("source.content", {"content": "numbr"}),
        ("source.columns", {"columns": ["id", "numbr"]}),
    ],
)
def test_a_missing_column_is_named_beside_those_there_are(spark, everything, key, settings):
    problem = refusal(
        spark,
        key=key,
        got="'numbr'",
        way_out="did you mean 'number'?",
        table=everything,
        **settings,
    )
    assert "counts, id, image, number, price, text, vector" in problem


def test_a_column_unlike_any_other_still_has_a_way_out(spark, everything):
    way_out = "set source.id to one of these columns"
    refusal(spark, key="source.id", got="'qqq'", way_out=way_out, table=everything, id="qqq")


@pytest.mark.parametrize(
    ("column", "kind"), [("price", "double"), ("image", "binary"), ("counts", "array<int>")]
)
def test_an_id_is_a_string_or_a_whole_number(spark, everything, column, kind):
    got = f"'{column}' of type {kind}"
    problem = refusal(
        spark, key="source.id", got=got, way_out="content_hash()", table=everything, id=column
    )
    assert "string or whole-number" in problem


@pytest.mark.parametrize(
    ("kind", "column", "kind_of_column", "wanted"),
    [
        ("text", "image", "binary", "a string column"),
        ("text", "vector", "array<float>", "a string column"),
        ("images", "text", "string", "a binary column, or a struct"),
        ("images", "vector", "array<float>", "a binary column, or a struct"),
        ("vectors", "text", "string", "array<float>, array<double>, an MLlib vector"),
        ("vectors", "counts", "array<int>", "array<float>, array<double>, an MLlib vector"),
    ],
)
def test_content_is_what_its_kind_needs(spark, everything, kind, column, kind_of_column, wanted):
    problem = refusal(
        spark,
        key="source.content",
        got=f"'{column}' of type {kind_of_column}",
        way_out="source.kind",
        table=everything,
        kind=kind,
        content=column,
    )
    assert wanted in problem
    assert f"for kind {kind}" in problem


def test_a_struct_without_bytes_is_no_image(spark):
    table = view(spark, "urls", [("a", ("b",))], "id string, image struct<url: string>")
    got = "'image' of type struct<url:string>"
    way_out = "source.content"
    settings = {"table": table, "kind": "images", "content": "image"}
    refusal(spark, key="source.content", got=got, way_out=way_out, **settings)


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_path_is_named(spark, tmp_path, form):
    place = tmp_path / "nowhere"
    way_out = "check the path, the format"
    problem = refusal(
        spark, key="source.path", got=f"'{place}'", way_out=way_out, format=form, path=str(place)
    )
    assert f"readable as {form}" in problem
    assert "\n" not in problem


def test_a_missing_folder_of_files_is_named(spark, tmp_path):
    got, way_out = f"'{tmp_path}/nowhere'", "check the path, the format"
    path = str(tmp_path / "nowhere")
    refusal(spark, key="source.path", got=got, way_out=way_out, path=path, **FILES)


def test_a_pattern_that_matches_nothing_is_named(spark, tmp_path):
    pattern = f"{tmp_path}/*.jsonl.gz"
    way_out = "check the path"
    settings = {"format": "jsonl", "path": pattern}
    refusal(spark, key="source.path", got=f"'{pattern}'", way_out=way_out, **settings)


@pytest.mark.parametrize("name", ["nowhere", "no_schema.nowhere", "no name"])
def test_a_missing_table_is_named(spark, name):
    way_out = "check the name"
    refusal(spark, key="source.table", got=f"'{name}'", way_out=way_out, table=name)


@pytest.mark.parametrize("form", FORMATS)
def test_a_directory_without_files_is_refused(spark, tmp_path, form):
    settings = {"format": form, "path": str(tmp_path)}
    refusal(spark, key="source.path", got=f"'{tmp_path}'", way_out="check the path", **settings)


def test_a_folder_without_files_has_no_rows_and_says_which_are_not_read(spark, tmp_path, caplog):
    (tmp_path / "below").mkdir()
    (tmp_path / "_a.jpg").write_bytes(b"x")
    assert opened(spark, path=str(tmp_path), **FILES).n_read == 0
    assert "begin with _ or a dot" in caplog.text


def test_names_that_delta_cannot_store_are_refused_unless_left_out(spark):
    schema = "id string, `my text` string, `a,b` string"
    table = view(spark, "spaced", [("a", "hello", "there")], schema)
    with pytest.raises(SourceError) as caught:
        opened(spark, table=table, content="my text")
    assert caught.value.exit_code == 2
    assert "Got 'a,b', 'my text'" in caught.value.problem
    assert "source.columns" in caught.value.hint
    left_out = opened(spark, table=table, content="my text", columns=["id"])
    assert [row["payload"] for row in left_out.rows.collect()] == ["hello"]


def test_files_of_another_format_are_refused(spark, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "b"}\n')
    settings = {"format": "parquet", "path": str(tmp_path)}
    refusal(spark, key="source.path", got=f"'{tmp_path}'", way_out="format", **settings)


def test_an_unknown_scheme_is_refused(spark):
    settings = {"format": "parquet", "path": "nosuch://bucket/rows"}
    refusal(spark, key="source.path", got="'nosuch://bucket/rows'", way_out="", **settings)


def test_a_wrong_reader_option_is_refused(spark, tmp_path):
    (tmp_path / "rows.csv").write_text("id,text\na,b\n")
    with pytest.raises(SourceError, match=r"source\.options"):
        opened(spark, format="csv", path=str(tmp_path), options={"multiLine": "maybe"})


def test_a_backtick_in_a_name_is_just_a_character(spark):
    table = view(
        spark, "ticked", [("a", "hello", "there")], "id string, text string, `q``t` string"
    )
    assert opened(spark, table=table).own_columns == ["id", "text", "q`t"]
