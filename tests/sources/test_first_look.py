"""`semdedup init`: a look at a few rows, and a job file that is valid."""

from __future__ import annotations

import csv
import gzip
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from deltalake import write_deltalake

from semdedup_spark.cli import cli
from semdedup_spark.cli.start import job_file
from semdedup_spark.config import load_config
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.sources.first_look import FirstLook, first_look

ROWS = [
    {"lang": "en", "body": "a text of some words", "post_id": f"p{i}", "n": i} for i in range(30)
]
VECTORS = pa.table({"key": range(20), "v": np.random.default_rng(0).random((20, 16)).tolist()})
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_lines(path, rows=ROWS):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_texts_are_found_in_every_format_of_rows(here):
    expected = "text", "post_id", "body"
    table = pa.Table.from_pylist(ROWS)
    write_lines(here / "a.jsonl")
    write_lines(here / "b.jsonl.gz")
    (here / "c.csv").write_text("lang,body,post_id\n" + "en,a text of words,p1\nen,a text,p2\n")
    pq.write_table(table, here / "d.parquet")
    write_deltalake(str(here / "e"), table)
    (here / "f").mkdir()
    pq.write_table(table, here / "f" / "part-0.parquet")
    places = {"a.jsonl": "jsonl", "*.jsonl.gz": "jsonl", "c.csv": "csv"}
    places |= {"d.parquet": "parquet", "e": "delta", "f": "parquet", str(here / "a.*"): "jsonl"}
    for place, form in places.items():
        look = first_look(place)
        assert (look.kind, look.id, look.content) == expected, place
        assert (look.format, look.path) == (form, place)


def test_vectors_and_pictures_are_found(here):
    pq.write_table(VECTORS, here / "v.parquet")
    assert first_look("v.parquet").kind == "vectors"
    assert (first_look("v.parquet").id, first_look("v.parquet").content) == ("key", "v")
    pictures = pa.table({"bytes": [PNG, PNG + b"1"], "note": ["x" * 99, "y"], "url": ["a", "b"]})
    pq.write_table(pictures, here / "p.parquet")
    look = first_look("p.parquet")
    assert (look.kind, look.content, look.id) == ("images", "bytes", "url")
    (here / "photos" / "deep").mkdir(parents=True)
    (here / "photos" / "deep" / "x.JPG").write_bytes(b"")
    assert first_look("photos") == FirstLook("images", "files", "photos")
    np.save(here / "x.npy", np.zeros((2, 3)))
    assert first_look("x.npy") == FirstLook("vectors", "npy", "x.npy")


def test_captions_are_compared_and_addresses_are_keys(here):
    rows = [{"URL": f"https://example.org/pictures/{i:09d}.jpg", "TEXT": "a cat"} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), here / "laion.parquet")
    look = first_look("laion.parquet")
    assert (look.id, look.content) == ("URL", "TEXT")


def test_a_file_without_rows_has_columns_and_nothing_to_compare(here):
    pq.write_table(VECTORS.slice(0, 0), here / "empty.parquet")
    assert first_look("empty.parquet").columns == ("key", "v")
    assert first_look("empty.parquet").content is None


def test_rows_without_a_key_are_known_by_their_content(here):
    write_lines(here / "a.jsonl", [{"text": "one"}, {"text": "one"}])
    assert first_look("a.jsonl").id == "content_hash()"


@pytest.mark.parametrize("place", ["nowhere", "empty", "notes.docx"])
def test_what_no_job_can_read_is_said(here, place):
    (here / "empty").mkdir()
    (here / "notes.docx").write_bytes(b"")
    with pytest.raises(SourceError):
        first_look(place)


def test_a_table_s_log_changes_and_unfinished_writes_are_passed_by(here):
    table = pa.Table.from_pylist(ROWS)
    write_deltalake(str(here / "e"), table)
    for other in ("_change_data", "_delta_log", ".staging", "_a/b"):
        (here / "e" / other).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"add": ["a b"]}), here / "e" / other / "0.parquet")
    assert first_look("e").columns == ("lang", "body", "post_id", "n")
    for place in ("f/_temporary/0", "f/day=1/_k=v"):
        (here / place).mkdir(parents=True)
        write_lines(here / place / "part.jsonl", [{"a" if "0" in place else "body": "a b"}])
    (here / "f" / "_SUCCESS").touch()
    assert first_look("f").content == "body"
    write_lines(here / "f" / "x.jsonl")
    assert first_look("f/*").format == "jsonl"
    (here / "f" / "x.jsonl").unlink()
    assert first_look("f/**").content == "body"
    assert first_look("f/_temporary/**/*.jsonl").content == "a"


def test_columns_that_stand_in_names_of_folders_may_be_named(here):
    (here / "f" / "lang=en" / "day=1").mkdir(parents=True)
    write_lines(here / "f" / "lang=en" / "day=1" / "x.jsonl", [{"id": 1, "body": "a b"}])
    assert {*first_look("f").columns} == {"lang", "day", "id", "body"}
    assert first_look("f").id == "id"


SCHEMA = {
    "fields": [
        {"name": "post_id", "metadata": {"delta.columnMapping.physicalName": "col-1"}},
        {"name": "text", "metadata": {"delta.columnMapping.physicalName": "col-2"}},
        {"name": "lang", "metadata": {}},
    ]
}


@pytest.mark.parametrize("by", ["commit", "checkpoint"])
def test_a_delta_table_has_the_columns_that_its_log_names(here, by):
    (here / "e" / "_delta_log").mkdir(parents=True)
    pq.write_table(
        pa.table({"col-1": ["a", "b"], "col-2": ["c d e", "f"]}), here / "e" / "0.parquet"
    )
    action = {"metaData": {"schemaString": json.dumps(SCHEMA)}}
    log = here / "e" / "_delta_log"
    if by == "commit":
        write_lines(log / f"{0:020}.json", [action])
    else:
        actions = pa.Table.from_pylist([{"metaData": None}, action])
        pq.write_table(actions, log / f"{0:020}.checkpoint.parquet")
    write_lines(log / f"{1:020}.json", [{"add": {}}])
    (log / "_last_checkpoint").write_text("{}")
    look = first_look("e")
    assert look.columns == ("post_id", "text", "lang")
    assert (look.id, look.content) == ("post_id", "text")


def test_columns_are_those_of_all_rows_that_are_looked_at(here):
    (here / "a.jsonl").write_text('{"id": 1}\n{"id": 2, "text": "a text"}\n')
    assert first_look("a.jsonl") == FirstLook(
        "text", "jsonl", "a.jsonl", "id", "text", ("id", "text")
    )
    (here / "b.csv").write_text("id,text\n1,a b,too much\n2\n")
    assert first_look("b.csv").columns == ("id", "text")
    assert first_look("b.csv").content == "text"
    (here / "c.csv").write_text(",text\n0,a b\n1,c\n")
    assert first_look("c.csv").columns == ("_c0", "text")  # Spark's name for it


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "lines",
    [
        '{"id": 1, "text": "a b"}\n{"id": "x", "text": "c d"}',
        '{"id": 1, "text": "a b", "list": [1, "x"]}\n{"id": 2, "text": "c d", "list": 3}',
        '{"id": 1, "text": "a b", "n": 99999999999999999999}\n{"id": 2, "text": "c d", "n": -1}',
        '{"id": 1, "text": "a \\ud800 b"}',
        f'{{"id": 1, "text": "a b"}}\n{{"id": 2, "text": "c", "deep": {DEEP}}}',
        '{"id": 1, "text": "a b"}\n{"id": 2, "text": 5}',
    ],
    ids=["ids", "lists", "large", "surrogate", "deep", "texts"],
)
def test_lines_of_json_that_no_table_could_hold_are_looked_at(here, lines):
    (here / "a.jsonl").write_text(lines)
    look = first_look("a.jsonl")
    assert (look.kind, look.id, look.content) == ("text", "id", "text")


def test_ids_that_spark_takes_for_decimals_or_for_one_text_are_no_keys(here):
    write_lines(here / "a.jsonl", [{"id": 2**63, "text": "a b"}, {"id": 1, "text": "c"}])
    write_lines(here / "b.jsonl", [{"id": 1, "text": "a b"}, {"id": "1", "text": "a b"}])
    write_lines(here / "c.jsonl", [{"id": True, "text": "a b"}, {"id": False, "text": "a b"}])
    for place in ("a.jsonl", "b.jsonl", "c.jsonl"):
        assert first_look(place).id in ("content_hash()", "text"), place
    assert first_look("b.jsonl").id == "content_hash()"


def test_vectors_in_json_may_have_numbers_without_a_fraction(here):
    write_lines(here / "a.jsonl", [{"id": i, "v": [0, 1, *[0.5] * 8]} for i in range(3)])
    write_lines(here / "b.jsonl", [{"id": i, "v": [1] * 10, "text": "a"} for i in range(3)])
    assert first_look("a.jsonl").content == "v"
    assert first_look("b.jsonl").content == "text"


def test_a_long_field_of_csv_is_looked_at_and_the_limit_of_others_stays(here):
    before = csv.field_size_limit()
    (here / "a.csv").write_text(f"id,text\n1,{'word ' * 100_000}\n")
    assert first_look("a.csv").content == "text"
    assert csv.field_size_limit() == before


def test_a_column_whose_values_python_does_not_know_keeps_no_other_from_being_found(here):
    days = pa.array([2**30, 0], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"day": days, "id": [1, 2], "text": ["a b", "c"]}), here / "a.parquet")
    with pytest.raises((ValueError, OverflowError)):
        days.to_pylist()
    assert first_look("a.parquet").content == "text"


@pytest.mark.parametrize(
    "name", ["empty.parquet", "bad.parquet", "bad.jsonl.gz", "bad.csv.gz", "cut.jsonl.gz"]
)
def test_a_file_that_cannot_be_read_is_named(here, name):
    packed = gzip.compress(os.urandom(1000).hex().encode())
    data = {"empty": b"", "bad": b"PAR1 and no more PAR1", "cut": packed[:500]}
    (here / name).write_bytes(data[name.split(".")[0]])
    done = CliRunner().invoke(cli, ["init", name])
    assert isinstance(done.exception, SourceError)
    assert name in done.exception.problem
    assert done.exception.hint
    assert not (here / "job.yml").exists()


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_two_columns_of_one_name_are_refused(here, name):
    pq.write_table(
        pa.Table.from_arrays([pa.array(["x"])] * 2, names=["n", "n"]), here / "a.parquet"
    )
    (here / "a.csv").write_text("n,n\na b,c\n")
    with pytest.raises(SourceError, match=r"'n' twice in 'a\."):
        first_look(name)


def test_data_without_a_row_are_refused(here):
    (here / "a.jsonl").write_text("[1]\n2\n")
    done = CliRunner().invoke(cli, ["init", "a.jsonl"])
    assert isinstance(done.exception, ConfigError)
    assert "no columns" in str(done.exception)


@pytest.mark.parametrize("option", ["--id", "--content"])
def test_a_column_that_the_data_lack_is_refused_with_the_nearest_one(here, option):
    write_lines(here / "a.jsonl")
    done = CliRunner().invoke(cli, ["init", "a.jsonl", option, "bodi"])
    assert isinstance(done.exception, SourceError)
    assert "did you mean 'body'?" in done.exception.hint
    assert not (here / "job.yml").exists()
    assert CliRunner().invoke(cli, ["init", "a.jsonl", "--id", "content_hash()"]).exit_code == 0


STRANGE = "it's ${env:HOME} # \u001b[2J\n: {x}"


def test_the_job_file_is_valid_and_says_what_was_found(here):
    write_lines(here / "a.jsonl", [{**row, STRANGE: 1} for row in ROWS])
    done = CliRunner().invoke(cli, ["init", "a.jsonl", "--output", "tables"])
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    job = load_config(here / "job.yml")
    assert (job.output, job.source.id, job.source.content) == ("tables", "post_id", "body")
    assert (job.embed.encoder, job.score.recall, job.score.rank_by) == (
        "minilm",
        "exact",
        "length(`body`) DESC",
    )
    again = CliRunner().invoke(cli, ["init", "a.jsonl"])
    assert isinstance(again.exception, ConfigError)
    other = CliRunner().invoke(cli, ["init", "a.jsonl", "--out", "b.yml", "--content", STRANGE])
    assert other.exit_code == 0, other.output
    assert load_config(here / "b.yml").source.content == STRANGE


def test_every_key_is_printed_as_the_repository_has_it():
    printed = CliRunner().invoke(cli, ["config"]).output
    assert printed.startswith("# Every key with its default")
    assert "max_decoded_mb: 512" in printed


@pytest.mark.parametrize(
    "text",
    [
        STRANGE,
        "\U0001f600 \U0001f469\u200d\U0001f680",
        '"\\',
        "\x7f\x85\x9b\u2028\ufeff\ufffe",
        "漢字",
        "\t",
    ],
)
def test_any_text_is_read_from_the_job_file_as_it_was(text):
    look = FirstLook("text", "jsonl", text, text, text, (text, f"{text}2"))
    file = job_file(look, None, None, text)
    assert file.isascii()
    assert file.replace("\n", "").isprintable()
    job = yaml.safe_load(file)
    assert job["output"] == text
    assert job["source"] == {
        "kind": "text",
        "format": "jsonl",
        "path": text,
        "id": text,
        "content": text,
    }


def test_a_path_that_is_no_text_is_refused(here):
    try:
        write_lines(here / "caf\udce9.jsonl")
    except OSError:
        pytest.skip("this file system has no such names")
    done = CliRunner().invoke(cli, ["init", "caf\udce9.jsonl"])
    assert isinstance(done.exception, ConfigError)
    assert "UTF-8" in done.exception.problem
    assert not (here / "job.yml").exists()
    (here / "b.jsonl").write_text('{"id": 1, "text": "a b", "\\ud800": null}')
    assert CliRunner().invoke(cli, ["init", "b.jsonl"]).exit_code == 0  # no role has that name
