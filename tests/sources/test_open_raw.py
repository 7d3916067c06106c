"""Every format returns its rows unchanged, and a fingerprint that changes with the source."""

from __future__ import annotations

import csv
import gzip
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semdedup_spark.config import CONTENT_HASH, SourceConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.open_raw import read_raw
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
    """Write the rows in a format, and return the settings that read them."""
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
    # CSV cannot tell an empty text from a null one.
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
    (folder / "_SUCCESS").touch()  # not read, so the fingerprint stays
    assert fingerprint() == first
    (folder / "more.jsonl").write_text('{"id": "e", "text": "five"}\n')
    added = fingerprint()
    (folder / "more.jsonl").write_text('{"id": "e", "text": "fiver"}\n')
    grown = fingerprint()
    (folder / "more.jsonl").write_text('{"id": "e", "text": "fever"}\n')
    os.utime(folder / "more.jsonl", (1, 1))  # same length, another time
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
    assert source.own_columns == [
        "path",
        "modificationTime",
        "length",
    ]  # but not the bytes, which are the payload


def test_an_empty_file_of_a_folder_is_a_row_with_a_reason(spark, tmp_path):
    for name, content in (("a.jpg", b"one"), ("b c%.jpg", b""), ("_SUCCESS", b"")):
        (tmp_path / name).write_bytes(content)
    source = opened(spark, kind="images", format="files", path=str(tmp_path))
    rows = source.rows.collect()
    found = {(row["id"].removeprefix(f"file:{tmp_path}/"), row["reason"]) for row in rows}
    assert found == {("a.jpg", None), ("b c%.jpg", "empty_image")}
    assert source.n_read == len(rows) == 2
    assert set(map(str, source.between(0, END_OF_PLACES).collect())) == set(map(str, rows))


def test_a_part_of_a_folder_opens_no_file_of_another_part(spark, tmp_path):
    names = [f"{i} %ž.jpg" for i in range(40)]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    source = opened(spark, kind="images", format="files", path=str(tmp_path))
    half = END_OF_PLACES // 2
    first = {row["id"]: row["payload"] for row in source.between(0, half).collect()}
    assert 5 < len(first) < 35
    for path in first:
        os.unlink(path.removeprefix("file:"))  # reading one of these would fail
    second = {row["id"]: row["payload"] for row in source.between(half, END_OF_PLACES).collect()}
    found = {id_.removeprefix(f"file:{tmp_path}/"): bytes(v) for id_, v in (first | second).items()}
    assert found == {name: name.encode() for name in names}


def test_an_older_version_of_a_delta_table_can_be_asked_for(spark, frame, tmp_path):
    settings = write(frame, "delta", tmp_path / "in")
    newest = opened(spark, **settings)
    frame.limit(1).write.format("delta").mode("append").save(settings["path"])
    pinned = opened(spark, **settings, version=0)
    check(pinned)
    assert pinned.fingerprint == newest.fingerprint
    with pytest.raises(SourceError, match=r"source\.path .* with source\.version 7"):
        opened(spark, **settings, version=7)
    frame.createOrReplaceTempView("texts_without_versions")
    with pytest.raises(SourceError, match=r"source\.table .* with source\.version 0"):
        opened(spark, table="texts_without_versions", version=0)


def test_shards_of_a_web_corpus_come_in_as_they_are(spark, shared_data):
    path = shared_data / "webcrawl_dolma_fixtures" / "multiple_files"
    lines = [
        json.loads(line)
        for file in sorted(path.glob("*.jsonl.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]
    source = opened(spark, format="jsonl", path=f"{path}/cc_en_head-*.jsonl.gz")
    assert source.n_read == len(lines)
    found = {row["id"]: row for row in source.rows.collect()}
    assert {id_: row["payload"] for id_, row in found.items()} == {
        line["id"]: line["text"] for line in lines
    }
    assert {"source", "added", "created"} <= set(source.own_columns)


def test_a_compressed_file_that_is_cut_is_named_and_not_half_read(spark, tmp_path):
    lines = "".join(json.dumps({"id": str(i), "text": f"text {i * i}"}) + "\n" for i in range(900))
    whole = gzip.compress(lines.encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match=r"cut\.jsonl\.gz"):
        opened(spark, format="jsonl", path=str(tmp_path), types="id string, text string")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_types_that_are_given_are_not_looked_for(spark, tmp_path, form):
    text = {
        "jsonl": '{"n": 1, "text": "a"}\n{"n": "x", "text": "b"}\n',
        "csv": "n,text\n1,a\nx,b\n",
    }
    (tmp_path / f"rows.{form}").write_text(text[form])
    settings = {"format": form, "path": str(tmp_path), "id": "n", "types": "n long, text string"}
    rows = opened(spark, **settings).rows.collect()
    found = {(row["id"], row["payload"], row["reason"]) for row in rows}
    assert found == {(1, "a", None), (None, None, "unreadable_record")}
    if form == "csv":  # the reader must not guess which header is right
        (tmp_path / "rows.csv").write_text("text,n\na,1\n")
        with pytest.raises(Exception, match="header"):
            opened(spark, **settings)


def test_vectors_may_be_bytes_of_float32(spark):
    vectors = [[1.0, 2.0], [3.0, -4.0], [5.0]]
    rows = [(i, np.array(v, "<f4").tobytes()) for i, v in enumerate(vectors)]
    rows += [(3, b"123"), (4, None), (5, b""), (6, rows[0][1])]
    table = view(spark, "packed", rows, "id long, v binary")
    source = opened(spark, kind="vectors", table=table, content="v")
    assert (source.n_read, source.dimension) == (7, 2)
    reasons = {row["id"]: row["reason"] for row in source.rows.collect()}
    wrong = dict.fromkeys((2, 3, 5), "wrong_length")
    assert reasons == {0: None, 1: None, 4: "null_vector", 6: None, **wrong}


def test_images_and_captions_of_a_table_come_together(spark):
    rows = [
        (1, (b"i", "p"), "a dog"),
        (2, (b"i", "p"), " \u200b\ufeff"),
        (3, (b"", "p"), "x"),
        (4, None, "x"),
    ]
    rows.append((5, (b"i", "p"), None))
    schema = "id long, picture struct<bytes:binary,path:string>, alt string"
    pairs = {
        "kind": "image_text",
        "content": "picture",
        "table": view(spark, "pairs", rows, schema),
    }
    source = opened(spark, **pairs, text="alt")
    found = {row["id"]: row for row in source.rows.collect()}
    assert found[1]["payload"].asDict() == {"image": b"i", "text": "a dog"}
    assert {id_: row["reason"] for id_, row in found.items()} == {
        1: None,
        2: "empty_text",
        3: "empty_image",
        4: "null_image",
        5: "null_text",
    }
    made = opened(spark, **pairs, text="alt", id=CONTENT_HASH, columns=["alt"])
    assert len({row["id"] for row in made.rows.collect()}) == made.n_read == 5
    with pytest.raises(SourceError, match=r"source\.text must be a string column\. Got 'id'"):
        opened(spark, **pairs, text="id")


def test_a_column_of_batch_numbers_is_read_and_what_is_no_such_number_is_quarantined(spark):
    rows = [("a", "x", 3), ("b", "y", None), ("c", "z", -1), ("d", "w", 2**31), ("e", "", 1)]
    place = view(spark, "batches", rows, "id string, text string, night long")
    found = {row["id"]: row for row in opened(spark, table=place, batch="night").rows.collect()}
    reasons = {key: row["reason"] for key, row in found.items()}
    wrong = dict.fromkeys("bcd", "wrong_batch")
    assert reasons == {"a": None, **wrong, "e": "empty_text"}
    assert (found["a"]["batch"], found["e"]["batch"], found["b"]["batch"]) == (3, 1, 0)
    with pytest.raises(SourceError, match=r"source\.batch must be a whole-number column"):
        opened(spark, table=place, batch="text")


@pytest.mark.parametrize("form", ["delta", "parquet"])
def test_names_that_a_reader_keeps_for_itself_are_a_tables_own(spark, tmp_path, form):
    rows = [("a", "x", "was bad once", "p"), ("b", "y", None, None)]
    schema = "id string, text string, _corrupt_record string, __problem string"
    spark.createDataFrame(rows, schema).write.format(form).save(f"{tmp_path}/t")
    source = opened(spark, format=form, path=f"{tmp_path}/t")
    assert source.own_columns == ["id", "text", "_corrupt_record", "__problem"]
    found = {(row["reason"], *row["source"]) for row in source.rows.collect()}
    assert found == {(None, *row) for row in rows}


def test_a_version_whose_files_vacuum_removed_is_refused(spark, frame, tmp_path):
    place = str(tmp_path / "in")
    for n in (4, 2):
        frame.limit(n).write.format("delta").mode("overwrite").save(place)
    version = spark.read.option("versionAsOf", 0).format("delta").load(place)
    for file in version.inputFiles():
        os.unlink(file.partition(":")[2])
    with pytest.raises(SourceError, match=r"Of version 0 of .* VACUUM") as caught:
        opened(spark, format="delta", path=place, version=0)
    assert caught.value.exit_code == 2
    assert "newest version is 1" in caught.value.hint
    assert opened(spark, format="delta", path=place).n_read == 2


def test_a_column_that_only_some_parquet_files_have_is_not_lost(spark, tmp_path):
    for name, more in (("a", "x"), ("b", "y")):
        rows = spark.createDataFrame([(name, "t", more)], f"id string, text string, {more} string")
        rows.write.parquet(f"{tmp_path}/{name}")
    source = opened(spark, format="parquet", path=f"{tmp_path}/*")
    found = {tuple(row["source"][name] for name in "xy") for row in source.rows.collect()}
    assert found == {("x", None), (None, "y")}


def test_a_file_that_is_too_large_is_a_row_with_a_reason_and_is_not_opened(spark, tmp_path):
    (tmp_path / "small.jpg").write_bytes(b"x" * 100)
    (tmp_path / "empty.jpg").touch()
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(3 << 30)  # more than a Spark row can hold
    source = opened(spark, kind="images", format="files", path=str(tmp_path), max_bytes=100)
    rows = {row["id"].rpartition("/")[2]: row for row in source.rows.collect()}
    assert source.n_read == 3
    assert {name: row["reason"] for name, row in rows.items()} == {
        "small.jpg": None,
        "empty.jpg": "empty_image",
        "large.jpg": "too_many_bytes",
    }
    assert "100 bytes (source.max_bytes)" in rows["large.jpg"]["message"]
    middle = END_OF_PLACES // 2
    halves = source.between(0, middle), source.between(middle, END_OF_PLACES)
    assert sum(half.count() for half in halves) == 3


def test_a_payload_of_a_table_that_is_too_large_does_not_reach_the_encoder(spark):
    texts = [("a", "x" * 10), ("b", "é" * 6), ("c", "short")]
    table = view(spark, "sizes", texts, "id string, text string")
    rows = {row["id"]: row for row in opened(spark, table=table, max_bytes=10).rows.collect()}
    reasons = {key: row["reason"] for key, row in rows.items()}
    assert reasons == {"a": None, "b": "too_many_bytes", "c": None}
    assert rows["b"]["payload"] is None


def test_an_emptied_source_has_no_rows_and_is_no_error_of_its_own(spark, tmp_path):
    nothing = pa.table({"id": pa.nulls(0), "text": pa.nulls(0)})
    pq.write_table(nothing, tmp_path / "a.parquet")  # as pandas writes columns of no rows
    for name in ("a.jsonl", "a.csv"):
        (tmp_path / name).touch()
    (tmp_path / "photos").mkdir()
    types = {"types": "id string, text string"}
    sources = {
        "jsonl": {"path": f"{tmp_path}/a.jsonl", **types},
        "csv": {"path": f"{tmp_path}/a.csv", **types},
        "parquet": {"path": f"{tmp_path}/a.parquet"},
        "files": {"path": f"{tmp_path}/photos", "kind": "images"},
    }
    for form, settings in sources.items():
        source = opened(spark, format=form, **settings)
        assert (source.n_read, source.rows.count()) == (0, 0), form
        assert source.fingerprint == source.fingerprint_now()
    vectors = opened(spark, **{**sources["parquet"], "format": "parquet", "kind": "vectors"})
    assert vectors.n_read == 0


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_emptied_source_whose_columns_nothing_tells_says_what_to_set(spark, tmp_path, form):
    (tmp_path / "a").touch()
    with pytest.raises(SourceError, match="whose files have no content") as caught:
        opened(spark, format=form, path=f"{tmp_path}/a")
    assert "set source.types" in caught.value.hint
    assert "--allow-empty" in caught.value.hint


@pytest.mark.parametrize("form", ["jsonl", "parquet", "files", "webdataset"])
def test_a_path_that_matches_nothing_is_refused(spark, tmp_path, form):
    kind = "images" if form in ("files", "webdataset") else "text"
    keys = {"id": None, "content": None} if form == "webdataset" else {}
    for path in ("none", "none/*"):
        with pytest.raises(SourceError, match=r"source\.path must"):
            opened(spark, kind=kind, format=form, path=f"{tmp_path}/{path}", **keys)
