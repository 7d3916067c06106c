"""No JSON value is lost because of its key, or because a record precedes its own."""

from __future__ import annotations

import json
import re
import sys

import pytest
from pyspark.sql.types import _parse_datatype_string

from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.json_keys import (
    EMPTY,
    NO_FIELD,
    SHARED,
    known_keys,
    lost_in,
    suspicious_lines,
)
from tests.sources.sourcefiles import opened


@pytest.mark.parametrize(
    ("types", "text", "lost"),
    [
        ("meta struct<Lang:string>", '{"meta": {"lang": "en"}}', {"meta.lang beside Lang"}),
        ("a array<struct<b:struct<X:int>>>", '{"a": [{"b": {"x": 1}}]}', {"a.b.x beside X"}),
        ("m map<string,struct<x:int>>", '{"m": {"X": {"X": 1}}}', {"m.X beside x"}),
        ("id string", '[{"ID": "a"}, {"id": "b"}]', {"ID beside id"}),
        ("a struct<Lang:int>, b struct<lang:int>", '{"a": {"Lang": 1}, "b": {"lang": 2}}', set()),
        ("meta string", '{"meta": {"lang": "en", "Lang": "de"}}', set()),
        ("id string", '{"id": "a"} {"id": "b"}', {"more than one record"}),
        ("id string", '{"id": "a"} and more', {"more than one record"}),
        ("id string", '{"id": "a", "te', set()),  # goes to quarantine as it is
        ("a struct<lang:string>", r'{"a": {"\u004cang": "x"}}', {"a.Lang beside lang"}),
        ("a struct<b:int>", '{"a": {"b": 1, "c": 0, "b": 2, "c": 0}}', {"a.b twice"}),
        ("a array<struct<b:int>>", '{"a": [{"b": 1}, {"b": 2}]}', set()),
        ("a array<struct<b:int>>", '{"a": [{"b": 1, "b": 2}]}', {"a.b twice"}),
        ("m map<string,int>", '{"m": {"k": 1, "l": 0, "k": 2}}', {"m.k twice"}),
        ("a string", '{"a": {"b": 1, "b": 2}}', set()),  # its text is kept
        ("id long", f'{{"id": {"1" * 5000}, "ID": 1}}', {"ID beside id"}),
    ],
)
@pytest.mark.usefixtures("spark")  # its parser of types asks the JVM
def test_keys_that_differ_in_case_are_found_at_every_depth(types, text, lost):
    columns = _parse_datatype_string(types)
    assert {what for _, what in lost_in(text, known_keys(columns))} == lost


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ('{"id": "a", "": "b"}', {(NO_FIELD, "''")}),
        ('{"meta": {"lang": "en", "": 0}}', {(NO_FIELD, "meta.''")}),
        ('{"more": {"": "b"}}', {(NO_FIELD, "more")}),
        (
            '{"more": {}, "meta": {"most": [{"x": null}, {}]}}',
            {(EMPTY, "more"), (EMPTY, "meta.most")},
        ),
        ('{"meta": {}}', set()),
    ],
)
def test_keys_that_an_inferred_schema_lacks_are_found_at_every_depth(text, lost):
    known = {"id": None, "meta": {"lang": None}}
    assert lost_in(text, known, inferred=True) == lost
    assert lost_in(text, known) == set()  # types that are given need not name all keys


NESTED = {"id": None, "a": [{"x": None, "in": [{"x": None}]}], "m": [None], "b": {"x": None}}


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 knows no possessive quantifiers"
)
@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ('{"a": [{"x": 1, "x": 2}]}', {"a.x twice"}),
        ('{"a": [{"x": 1}, {"x": 2, "in": [{"x": 3}, {"x": 4, "x": 5}]}]}', {"a.in.x twice"}),
        ('{"a": [{"x": 1, "in": [{"x": 3}, {"x": {}}], "x": 2}]}', {"a.x twice"}),
        ('{"a": [{"x": "}", "in": [{"x": "\\"}{"}], "x": 2}]}', {"a.x twice"}),
        ('{"m": {"k": [1], "k": [2]}}', {"m.k twice"}),
        ('{"b": {"x": {"y": {}}, "x": 2}}', {"b.x twice"}),
        ('{"id": ' + 9 * '{"d":' + "1" + 9 * "}" + ', "id": 2}', {"id twice"}),
        ('{"a": [{"x": 1}, {"x": 2, "in": [{"x": 3}, {"x": 4}]}], "b": {"x": 0}}', set()),
        ('{"id": "x: \\"x\\": 1, \\"x\\": 2", "a": [{"x": "in"}], "m": {"k": 1, "l": 1}}', set()),
    ],
)
def test_a_line_is_parsed_where_an_object_at_any_depth_has_a_key_twice(line, lost):
    assert lost_in(line, NESTED) == {(SHARED, key) for key in lost}
    # Java and Python read the expression in one way.
    assert (re.search(suspicious_lines(NESTED, inferred=False), line) is not None) == bool(lost)


def refused(spark, tmp_path, text, **settings):
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(SourceError) as caught:
        opened(spark, format="jsonl", path=str(tmp_path), **settings)
    return str(caught.value)


def test_nested_keys_that_differ_in_case_are_refused_unless_kept_as_text(spark, tmp_path):
    metas = [{"Lang": "de"}, {"lang": "en"}]
    rows = [{"id": str(i), "text": "x", "meta": meta} for i, meta in enumerate(metas)]
    text = "\n".join(map(json.dumps, rows))
    assert "meta.lang beside Lang" in refused(spark, tmp_path, text)
    types = "id string, text string, meta struct<lang:string>"
    assert "meta.Lang beside lang" in refused(spark, tmp_path, text, types=types)
    types = "id string, text string, meta string"
    source = opened(spark, format="jsonl", path=str(tmp_path), types=types)
    found = {row["id"]: json.loads(row["source"]["meta"]) for row in source.rows.collect()}
    assert found == {str(i): meta for i, meta in enumerate(metas)}


@pytest.mark.parametrize(
    "types",
    [None, "id string, text string, A int, a int", "id string, text string, m struct<A:int,a:int>"],
)
def test_names_that_differ_in_case_alone_are_refused_in_our_words(spark, tmp_path, types):
    row = {"id": "1", "text": "x", "A": 1, "a": 2, "m": {"A": 1, "a": 2}}
    said = refused(spark, tmp_path, json.dumps(row), **({"types": types} if types else {}))
    assert "must differ in" in said
    assert "as JSON text" in said


def test_names_in_texts_and_at_other_places_are_no_keys_that_differ(spark, tmp_path):
    row = {"id": "a", "text": '"Id": {} {} "TEXT":', "a": {"Lang": 1}, "b": {"lang": 2}}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (found,) = opened(spark, format="jsonl", path=str(tmp_path)).rows.collect()
    assert found["payload"] == row["text"]
    row["a"] = {"lang": 1}  # at another place this key is right
    text = (tmp_path / "a.jsonl").read_text() + "\n" + json.dumps(row)
    assert "a.lang beside Lang" in refused(spark, tmp_path, text)


def test_a_second_record_in_a_line_or_in_a_file_of_one_is_not_lost(spark, tmp_path):
    one, other = ({"id": key, "text": "x"} for key in "ab")
    line = json.dumps(one) + json.dumps(other)
    assert "1 hold more" in refused(spark, tmp_path, f"{line}\n{json.dumps(one)}\n")
    spread = f"{json.dumps(one, indent=1)}\n{json.dumps(other, indent=1)}"
    assert "1 hold more" in refused(spark, tmp_path, spread, options={"multiLine": "true"})
    (tmp_path / "a.jsonl").write_text(json.dumps([one, other]))
    assert opened(spark, format="jsonl", path=str(tmp_path)).n_read == 2


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (r'{"id": "b", "text": "x", "meta": {"\u004cang": "fr"}}', "meta.Lang beside lang"),
        ('{"id": "b", "text": "x", "meta": {"lang": "fr", "lang": "de"}}', "meta.lang twice"),
        ('{"id": "b", "text": "x", "text": "y"}', "text twice"),
        ('{"id": "b", "text": "x", "turns": [{"by": "c"}, {"by": "d", "by": "e"}]}', "by twice"),
    ],
)
def test_keys_are_found_out_however_they_are_written(spark, tmp_path, record, words):
    text = '{"id": "a", "text": "say \\"text\\":", "meta": {"lang": "en"}}\n'
    types = "id string, text string, meta struct<lang:string>, turns array<struct<by:string>>"
    assert words in refused(spark, tmp_path, text + record, types=types)


def test_values_without_a_name_are_refused_and_empty_objects_are_told(spark, tmp_path, caplog):
    text = json.dumps({"id": "a", "text": "x", "more": {}})
    unnamed = json.dumps({"id": "b", "text": "x", "meta": {"": 1, "lang": "en"}})
    assert "meta.'' in" in refused(spark, tmp_path, f"{text}\n{unnamed}")
    (tmp_path / "a.jsonl").write_text(text)
    assert opened(spark, format="jsonl", path=str(tmp_path)).own_columns == ["id", "text"]
    assert "always empty are no columns" in caplog.text
    assert "more in file:" in caplog.text


def test_records_in_single_quotes_go_to_quarantine_whole(spark, tmp_path):
    lines = ['{"id": "a", "text": "x"}', "{'id':'b','text':'x'}{'id':'c','text':'x'}"]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows = opened(spark, format="jsonl", path=str(tmp_path)).rows.collect()
    found = {(row["id"], row["reason"], row["source"]["_corrupt_record"]) for row in rows}
    assert found == {("a", None, None), (None, "unreadable_record", lines[1])}
    (tmp_path / "a.jsonl").write_text("{'id':'b','text':'x'}")
    allowed = {"allowsinglequotes": "true"}
    (row,) = opened(spark, format="jsonl", path=str(tmp_path), options=allowed).rows.collect()
    assert (row["id"], row["reason"]) == ("b", None)
