"""One rule for paths, whether of a source or of the output."""

import os

import pytest

from semdedup_spark.errors import SourceError
from semdedup_spark.paths import absolute, local, open_stream
from semdedup_spark.tables.catalog import OutputRoot


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("out/mine", f"{os.getcwd()}/out/mine"),
        ("./out/", f"{os.getcwd()}/out"),
        ("/lake/out/", "/lake/out"),
        ("s3a://bucket/out/", "s3a://bucket/out"),
        ("hdfs:/x/y", "hdfs:/x/y"),
        ("hdfs:///", "hdfs:///"),
        ("file:/x", "file:/x"),
        ("dbfs:/x/", "dbfs:/x"),
        (
            "abfss://box@account.dfs.core.windows.net/x",
            "abfss://box@account.dfs.core.windows.net/x",
        ),
        ("odd:name/x", f"{os.getcwd()}/odd:name/x"),
    ],
)
def test_a_path_means_the_same_as_source_and_as_output(path, wanted):
    assert absolute(path) == wanted
    assert OutputRoot.parse(path).location == wanted


def test_a_path_is_found_on_this_machine_where_it_is_mounted():
    assert local("file:/a b/c") == "/a b/c"
    assert local("file:///a") == "/a"
    assert local("dbfs:/a") == "/dbfs/a"
    assert local("a") == f"{os.getcwd()}/a"
    assert local("s3://bucket/a") is None
    assert local("hdfs:/a") is None


def test_a_file_is_opened_as_a_stream_under_any_name(tmp_path):
    odd = tmp_path / "a b%20c#d?.tar"
    odd.write_bytes(b"content")
    for path in (str(odd), f"file:{odd}", f"file://{odd}"):
        with open_stream(path) as stream:
            assert stream.read(3) == b"con"


def test_a_scheme_that_nothing_opens_is_refused_by_name():
    with pytest.raises(SourceError, match="nosuch") as caught:
        open_stream("nosuch://bucket/a.tar")
    assert "mount it" in caught.value.hint
