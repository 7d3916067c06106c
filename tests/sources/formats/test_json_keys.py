"""No JSON value is lost because of the case of its key, or because a record precedes it."""

from __future__ import annotations

import json

import pytest
from pyspark.sql.types import _parse_datatype_string

from semdedup_spark.errors import SourceError
from semdedup_spark.sources.formats.json_keys import known_keys, lost_in
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
    ],
)
@pytest.mark.usefixtures("spark")  # its parser of types asks the JVM
def test_keys_that_differ_in_case_are_found_at_every_depth(types, text, lost):
    columns = _parse_datatype_string(types)
    assert lost_in(text, known_keys(columns)) == lost


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
