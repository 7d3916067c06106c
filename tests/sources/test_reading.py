"""Rows come in as they are from wherever they are, and a source says when it is another one."""

from __future__ import annotations

import csv
import gzip
import json
import os

import pytest

from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.reading import read_raw
from tests.sources.sourcefiles import opened, view

ROWS = [
    ("a", 'one, "two", three', "en"),
    ("b", "žluťoučký \U0001f40e\tkůň", "cs"),
    ("c", "a line\nand another\n", "en"),
    ("d", "", "en"),
]
SCHEMA = "id string, text string, lang string"


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(ROWS, SCHEMA).coalesce(1)


def records():
    return [dict(zip(("id", "text", "lang"), row, strict=True)) for row in ROWS]


def write(frame, form, place):
    """Write the rows in a format; returns the settings that read them."""
    if form in ("delta", "parquet"):
        frame.write.format(form).mode("overwrite").save(str(place))
        return {"format": form, "path": str(place)}
    place.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in records())
    if form == "jsonl":
        (place / "rows.jsonl").write_text(lines)
        return {"format": "jsonl", "path": str(place)}
    if form == "jsonl.gz":
        (place / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        return {"format": "jsonl", "path": f"{place}/*.jsonl.gz"}
    with (place / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("id", "text", "lang"), *ROWS])
    return {"format": "csv", "path": str(place), "options": {"multiLine": "true"}}


def check(source, *, empty_text="empty_text"):
    found = {row["id"]: row for row in source.rows.collect()}
    assert source.n_read == len(found) == len(ROWS)
    assert source.has_id
    assert sorted(source.own_columns) == ["id", "lang", "text"]
    for key, text, lang in ROWS:
        assert found[key]["payload"] == (text or None)
        assert found[key]["reason"] == (None if text else empty_text)
        assert (found[key]["source"]["id"], found[key]["source"]["lang"]) == (key, lang)


@pytest.mark.parametrize("form", ["delta", "parquet", "jsonl", "jsonl.gz"])
def test_texts_come_in_as_they_are(spark, frame, tmp_path, form):
    source = opened(spark, **write(frame, form, tmp_path / "in"))
    check(source)
    texts = {row["id"]: row["source"]["text"] for row in source.rows.collect()}
    assert texts == {key: text for key, text, _ in ROWS}


def test_texts_come_in_from_csv_with_quotes_and_line_breaks(spark, frame, tmp_path):
    # CSV itself cannot tell an empty text from none.
    check(opened(spark, **write(frame, "csv", tmp_path / "in")), empty_text="null_text")


def test_texts_come_in_from_a_table_of_the_catalog(spark, frame):
    spark.sql(f"CREATE TABLE texts_to_read ({SCHEMA}) USING delta")
    try:
        frame.write.insertInto("texts_to_read")
        source = opened(spark, table="texts_to_read")
        check(source)
        assert source.fingerprint.endswith("@1")
        spark.sql("INSERT INTO texts_to_read VALUES ('e', 'new', 'en')")
        check(source)
        assert opened(spark, table="texts_to_read").n_read == len(ROWS) + 1
    finally:
        spark.sql("DROP TABLE texts_to_read")


def test_texts_come_in_from_a_view_and_from_a_table_that_is_not_delta(spark, frame):
    frame.createOrReplaceTempView("texts_in_view")
    check(opened(spark, table="texts_in_view"))
    frame.write.format("parquet").saveAsTable("texts_in_parquet")
    try:
        check(opened(spark, table="texts_in_parquet"))
    finally:
        spark.sql("DROP TABLE texts_in_parquet")


def test_only_the_chosen_columns_travel(spark, frame):
    frame.createOrReplaceTempView("texts_to_choose")
    source = opened(spark, table="texts_to_choose", columns=["lang"])
    assert source.own_columns == ["lang"]
    assert not source.has_id
    assert source.rows.schema["source"].dataType.fieldNames() == ["lang"]
    rows = {row["id"]: row for row in source.rows.collect()}
    assert rows["a"]["payload"] == ROWS[0][1]
    assert rows["b"]["source"].asDict() == {"lang": "cs"}


def test_a_delta_table_is_read_at_the_version_it_was_opened_at(spark, frame, tmp_path):
    settings = write(frame, "delta", tmp_path / "in")
    source = opened(spark, **settings)
    frame.limit(1).write.format("delta").mode("append").save(settings["path"])
    check(source)
    after = opened(spark, **settings)
    assert after.n_read == len(ROWS) + 1
    assert after.fingerprint != source.fingerprint
    assert opened(spark, **settings).fingerprint == after.fingerprint


def test_another_table_in_the_same_place_has_another_fingerprint(spark, frame, tmp_path):
    places = [str(tmp_path / name) for name in ("a", "b")]
    for place in places:
        frame.write.format("delta").save(place)
    one, other = (opened(spark, format="delta", path=place).fingerprint for place in places)
    assert one != other


def test_the_fingerprint_of_files_changes_when_one_is_added_or_changed(spark, frame, tmp_path):
    folder = tmp_path / "in"
    settings = write(frame, "jsonl", folder)

    def fingerprint():
        return opened(spark, **settings).fingerprint

    first = fingerprint()
    assert fingerprint() == first
    (folder / "_SUCCESS").touch()  # not read, so no change
    assert fingerprint() == first
    (folder / "more.jsonl").write_text('{"id": "e", "text": "five"}\n')
    added = fingerprint()
    (folder / "more.jsonl").write_text('{"id": "e", "text": "fiver"}\n')
    grown = fingerprint()
    (folder / "more.jsonl").write_text('{"id": "e", "text": "fever"}\n')
    os.utime(folder / "more.jsonl", (1, 1))  # of the same length, at another time
    rewritten = fingerprint()
    assert len({first, added, grown, rewritten}) == 4
    (folder / "more.jsonl").unlink()
    assert fingerprint() == first


def view_fingerprint(spark, rows):
    table = view(spark, "texts_to_compare", rows, SCHEMA)
    source = SourceConfig(kind="text", table=table, id="id", content="text")
    return read_raw(spark, source).fingerprint()


def test_the_fingerprint_of_a_view_is_its_content(spark):
    first = view_fingerprint(spark, ROWS)
    assert view_fingerprint(spark, ROWS[::-1]) == first
    assert view_fingerprint(spark, ROWS[:-1]) != first
    assert view_fingerprint(spark, [*ROWS[:-1], ("d", "x", "en")]) != first


def test_the_fingerprint_of_a_view_sees_rows_that_are_there_twice(spark):
    twice = view_fingerprint(spark, [ROWS[0]] * 2)
    assert view_fingerprint(spark, [ROWS[1]] * 2) != twice


def test_the_fingerprint_of_a_view_sees_which_column_is_null(spark):
    one = view_fingerprint(spark, [("a", "x", None)])
    assert view_fingerprint(spark, [("a", None, "x")]) != one


def test_a_folder_of_files_is_read_to_its_depths(spark, tmp_path):
    for name, content in (("a.jpg", b"one"), ("below/b c.png", b"two"), ("below/more/d", b"three")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    source = opened(spark, kind="images", format="files", path=str(tmp_path))
    rows = {row["id"].removeprefix(f"file:{tmp_path}/"): row for row in source.rows.collect()}
    assert {name: bytes(row["payload"]) for name, row in rows.items()} == {
        "a.jpg": b"one",
        "below/b c.png": b"two",
        "below/more/d": b"three",
    }
    assert source.own_columns == ["path", "modificationTime", "length"]  # and not the bytes again
