"""Helpers that make and open small sources."""

from __future__ import annotations

from semdedup_spark.config import SourceConfig
from semdedup_spark.sources.open_source import open_source


def opened(spark, **settings):
    """Open a source with the columns ``id`` and ``text``; ``settings`` override its defaults."""
    if settings.get("format") != "files":
        settings = {"id": "id", "content": "text", **settings}
    return open_source(spark, SourceConfig(**{"kind": "text", **settings}))


def view(spark, name, rows, schema):
    spark.createDataFrame(rows, schema).coalesce(1).createOrReplaceTempView(name)
    return name
