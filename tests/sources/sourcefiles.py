"""Small sources, and how to open one."""

from __future__ import annotations

from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.candidate_rows import open_source


def opened(spark, **settings):
    """The source of texts ``text`` with the key ``id``, unless ``settings`` say otherwise."""
    if settings.get("format") != "files":
        settings = {"id": "id", "content": "text", **settings}
    return open_source(spark, SourceConfig(**{"kind": "text", **settings}))


def view(spark, name, rows, schema):
    spark.createDataFrame(rows, schema).coalesce(1).createOrReplaceTempView(name)
    return name
