"""`semdedup init`: a look at a few rows, and a job file that is valid."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import write_deltalake

from semdedup_spark.cli import cli
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
