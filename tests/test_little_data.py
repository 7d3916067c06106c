"""Which jobs get a Java that starts fast."""

import pytest

from semdedup_spark.session import little_data
from semdedup_spark.session.little_data import is_little


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.csv").write_bytes(b"12345")
    (tmp_path / "below" / "b.csv").write_bytes(b"12345")
    return tmp_path


def test_a_file_and_a_folder_of_few_bytes_are_little(folder):
    assert is_little([str(folder)], 10)
    assert is_little([f"file:{folder}"], 10)
    assert is_little([str(folder / "a.csv"), str(folder / "below" / "b.csv")], 10)


def test_sources_are_added_up(folder):
    assert not is_little([str(folder), str(folder / "a.csv")], 10)


@pytest.mark.parametrize("path", [None, "s3a://bucket/key", "/no/such/file", "{folder}/*.csv"])
def test_what_cannot_be_told_without_spark_is_not_called_little(folder, path):
    assert not is_little([path if path is None else path.format(folder=folder)])


def test_no_more_than_some_files_are_looked_at(folder, monkeypatch):
    monkeypatch.setattr(little_data, "MOST_FILES", 1)
    assert not is_little([str(folder)])
