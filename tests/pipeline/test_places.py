"""The place of a source is told in one way, wherever the job was started."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyspark.errors import AnalysisException

from semdedup_spark.config import SourceConfig
from semdedup_spark.pipeline.stages.embed.source_guards import place_of_source


def catalog(schema):
    """A session in which the only table is ``docs``, in this schema, and ``seen`` a view."""

    def table(name):
        if name == "seen":
            return SimpleNamespace(name=name, catalog=None, namespace=[])
        if name != "docs":
            raise AnalysisException(f"there is no {name}")
        return SimpleNamespace(name=name, catalog="main", namespace=[schema])

    return SimpleNamespace(catalog=SimpleNamespace(getTable=table))


def place(schema="raw", frames=(), **source):
    keys = {"kind": "text", "id": "i", "content": "c", **source}
    job = SimpleNamespace(spark=catalog(schema), frames=dict.fromkeys(frames))
    return place_of_source(job, SourceConfig(**keys), "embeddings")


@pytest.mark.parametrize("named", ["rows", "./rows/", "../here/rows"])
def test_a_path_is_absolute(tmp_path, monkeypatch, named):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert place(path=named, format="csv") == str(tmp_path / "here" / "rows")


def test_a_uri_keeps_its_bucket_and_loses_its_credentials():
    assert place(path="s3a://K:se/cret@bucket/x/", format="csv") == "s3a://***@bucket/x"


def test_a_table_has_the_name_of_its_schema_and_a_view_or_a_dataframe_its_own():
    assert place(table="docs") == "main.raw.docs"
    assert place("other", table="docs") == "main.other.docs"
    assert place(table="seen") == "seen"
    assert place(table="gone") == "gone"
    assert place(frames=["embeddings"], table="docs") == "docs"
