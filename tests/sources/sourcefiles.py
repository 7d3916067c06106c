"""Helpers that make and open small sources."""

from __future__ import annotations

import os
import shutil

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


def add_file(folder, frame, *, seconds):
    """One more Parquet file of rows, as old as ``seconds`` after the epoch."""
    unfinished = folder.with_name(f"new-{seconds}")
    frame.coalesce(1).write.parquet(str(unfinished))
    folder.mkdir(exist_ok=True)
    for file in unfinished.glob("*.parquet"):
        os.utime(file.rename(folder / f"{seconds}-{file.name}"), (seconds, seconds))
    shutil.rmtree(unfinished)
