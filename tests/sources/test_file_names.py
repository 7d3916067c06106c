"""A file that Spark would not read because of its name is refused, or logged if it is hidden."""

from __future__ import annotations

import os

import pytest

from semdedup_spark.errors import SourceError
from semdedup_spark.sources.file_names import check_names, tell_hidden, tell_left_out
from tests.sources.sourcefiles import opened

FILES = {"kind": "images", "format": "files"}
ROW = '{"id": "%s", "text": "x"}\n'


@pytest.mark.parametrize("name", [b"2024-01-01T10:00:00.png", b"caf\xe9.png"])
def test_a_name_that_spark_cannot_open_or_does_not_list_is_refused(spark, tmp_path, name):
    for one in (b"a.png", name):
        with open(os.path.join(os.fsencode(tmp_path), one), "wb") as file:
            file.write(b"x")
    with pytest.raises(SourceError, match="names have no colon and are UTF-8") as caught:
        opened(spark, path=str(tmp_path), **FILES)
    assert caught.value.exit_code == 2
    assert repr(os.path.join(str(tmp_path), os.fsdecode(name))) in caught.value.problem


def test_a_colon_where_a_pattern_meets_it_is_explained(spark, tmp_path):
    (tmp_path / "a:b.jsonl").write_text(ROW % "a")
    with pytest.raises(SourceError, match="names with a colon"):
        opened(spark, format="jsonl", path=f"{tmp_path}/*.jsonl")
    with pytest.raises(SourceError, match="names have no colon"):
        opened(spark, format="jsonl", path=str(tmp_path))


def test_other_odd_names_are_read_as_they_are_and_are_no_patterns(spark, tmp_path):
    name = "a[1]?*%20#{x,y}\\ ;+&=.png"
    for folder in ("b[1]", "b1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(folder.encode())
    for path in (f"{tmp_path}/b[1]", f"{tmp_path}/b[1]/{name}"):
        rows = opened(spark, path=path, **FILES).rows.collect()
        assert [(row["id"], bytes(row["payload"])) for row in rows] == [
            (f"file:{tmp_path}/b[1]/{name}", b"b[1]")
        ]


def test_files_in_folders_that_are_no_partitions_are_not_passed_over(spark, tmp_path):
    for name in ("a.jsonl", "more/b.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(ROW % name)
    with pytest.raises(SourceError, match=r"1 of 2 files .*more/b\.jsonl"):
        opened(spark, format="jsonl", path=str(tmp_path))
    for value, n in (("true", 2), ("false", 1)):
        options = {"recursiveFileLookup": value}
        assert opened(spark, format="jsonl", path=str(tmp_path), options=options).n_read == n


def test_what_lies_beside_under_a_hidden_name_is_told(tmp_path, caplog):
    for name in ("a.png", "_cover.png", ".b.PNG", "_SUCCESS", ".a.png.crc", "_k=v.png"):
        (tmp_path / name).write_bytes(b"x")
    names = [(tmp_path / "a.png").as_uri()]
    check_names(names)
    tell_hidden(names)
    assert "2 files beside" in caplog.text
    assert ".b.PNG" in caplog.text
    caplog.clear()
    tell_hidden([(tmp_path / "none" / "a.png").as_uri()])  # on another machine
    assert not caplog.records


def test_of_files_that_spark_only_lists_names_must_be_utf8_where_they_end_as_shards_do(tmp_path):
    for name in (b"2024:a.tar", b"caf\xe9.json"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    names = [f"file://{tmp_path}/2024:a.tar"]
    check_names(names, opened=False, endings=(".tar", ".tgz"))
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.TGZ"), "wb"):
        pass
    with pytest.raises(SourceError, match=r"whose names are UTF-8.*udce9\.TGZ"):
        check_names(names, opened=False, endings=(".tar", ".tgz"))


def test_files_left_out_for_their_ending_are_told(caplog):
    read = ["file:///a/1.tar"]
    tell_left_out(read, read, (".tar", ".tgz"))
    assert not caplog.records
    tell_left_out([*read, "file:///a/b%20c.tar.zst"], read, (".tar", ".tgz"))
    assert "1 files" in caplog.text
    assert "end with .tar or .tgz. One of them is 'file:///a/b c.tar.zst'" in caplog.text


def test_a_folder_of_hidden_files_says_so(spark, tmp_path):
    (tmp_path / "_a.jsonl").write_text(ROW % "a")
    with pytest.raises(SourceError, match="at least one file") as caught:
        opened(spark, format="jsonl", path=str(tmp_path))
    assert "begin with _ or a dot" in caught.value.hint
