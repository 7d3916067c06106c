"""Thumbnails of a few rows, read again from where the images are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StructType

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import open_stream
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import Side
from semdedup_spark.sources.open_raw import read_raw
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.queries.thumbnails import THUMBNAIL, thumbnails


def pictures(job: Job, side: Side, ids: Collection[Any]) -> dict[Any, bytes]:
    """JPEG thumbnails by id of rows of one side; a row whose image cannot be read any more has
    none. Files are opened one by one; a column of a table is read from the embeddings' copy of it,
    else from the source. Tar shards would have to be read whole, and are not.
    """
    source = side.source
    if source.kind not in ("images", "image_text") or not ids:
        return {}
    if source.format == "files":
        found = {row_id: _of_file(str(row_id)) for row_id in ids}
    else:
        images = _of_table(job, side)
        if images is None:
            return {}
        small = thumbnails(images.filter(F.col(s.ID).isin(list(ids)))).collect()
        found = {row[s.ID]: row[THUMBNAIL] for row in small}
    return {row_id: bytes(picture) for row_id, picture in found.items() if picture}


def _of_file(path: str) -> bytes | None:
    from semdedup_spark.encoders.image.thumbnails import thumbnail

    try:
        with open_stream(path) as stream:
            return thumbnail(stream.read())
    except (OSError, SourceError):
        return None


def _of_table(job: Job, side: Side) -> DataFrame | None:
    """Rows of id and payload, where they can be had by a filter."""
    source = side.source
    content = source.content or ""
    embeddings = read_table(job.spark, job.root, side.table)
    image = _image(embeddings.schema[s.SOURCE].dataType, content, f"{s.SOURCE}.{s.quoted(content)}")
    if image is not None:
        return embeddings.select(s.ID, image.alias(s.PAYLOAD))
    if source.format == "webdataset":
        return None
    raw = read_raw(job.spark, source)
    image = _image(raw.df.schema, content, s.quoted(content))
    if image is None or raw.roles.id is None:
        return None
    return raw.df.select(F.col(s.quoted(raw.roles.id)).alias(s.ID), image.alias(s.PAYLOAD))


def _image(columns: DataType, name: str, path: str) -> Column | None:
    """The encoded image of a binary column, or of a struct with one named bytes."""
    if not isinstance(columns, StructType) or name not in columns.names:
        return None
    kind = columns[name].dataType
    if isinstance(kind, BinaryType):
        return F.col(path)
    if isinstance(kind, StructType) and "bytes" in kind.names:
        return F.col(f"{path}.bytes")
    return None
