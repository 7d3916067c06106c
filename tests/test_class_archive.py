"""The archive of Spark's classes: which file it is, and what happens where there is none."""

import sys

import pytest

from semdedup_spark.session.class_archive import archive_file, archive_options, make_archive

pytest.importorskip("pyspark")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A Python environment without an archive."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delenv("SPARK_HOME", raising=False)
    return tmp_path


def test_each_java_and_each_spark_has_an_archive_of_its_own(environment, monkeypatch):
    files = {archive_file("java 17"), archive_file("java 21")}
    monkeypatch.setenv("SPARK_HOME", "/opt/spark")
    files |= {archive_file("java 17"), archive_file("java 21")}
    assert len(files) == 4
    assert all(file.is_relative_to(environment) for file in files)


def test_an_archive_is_used_where_it_is_there(environment):
    assert archive_options("java 17") == ""
    file = archive_file("java 17")
    file.parent.mkdir(parents=True)
    file.touch()
    assert f"-XX:SharedArchiveFile={file}" in archive_options("java 17")
    assert archive_options("java 21") == ""
    assert make_archive("java 17") == file  # it is not made again


def test_where_java_makes_no_archive_nothing_is_left_and_commands_start_as_before(
    environment, monkeypatch
):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert make_archive("java 17") is None
    assert [file for file in environment.rglob("*") if file.is_file()] == []
    assert archive_options("java 17") == ""
