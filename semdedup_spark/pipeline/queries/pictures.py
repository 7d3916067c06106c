"""Make thumbnails of a few rows. The images are read again from where they lie."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StructType

from semdedup_spark import schema as s
from semdedup_spark.errors import SourceError
from semdedup_spark.paths import open_stream
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import Side
from semdedup_spark.pipeline.rows_as_embedded import looked_up, rows_as_embedded
from semdedup_spark.sources.open_raw import read_raw
from semdedup_spark.transforms.queries.thumbnails import (
    HEIGHT,
    N_BYTES,
    THUMBNAIL,
    WIDTH,
    thumbnails,
)

if TYPE_CHECKING:
    from semdedup_spark.encoders.image.thumbnails import Thumbnail


def pictures(job: Job, side: Side, ids: Collection[Any]) -> dict[Any, Thumbnail]:
    """Make JPEG thumbnails of rows.

    Files are opened one by one. A column of a table is read from its copy in the embeddings, or
    else from the source. Rows of tar shards get no thumbnail, as whole shards would have to be
    read.

    Parameters
    ----------
    job
        The job.
    side
        The side that the rows belong to.
    ids
        Ids of a few rows.

    Returns
    -------
    dict[Any, Thumbnail]
        Thumbnails by id. A row whose image can no longer be read has none.
    """
    source = side.source
    if source.kind not in ("images", "image_text") or not ids:
        return {}
    if source.format == "files":
        found = {row_id: _of_file(str(row_id)) for row_id in ids}
        return {row_id: picture for row_id, picture in found.items() if picture}
    from semdedup_spark.encoders.image.thumbnails import Thumbnail

    def ask() -> list[Row]:
        images = _of_table(job, side)
        if images is None:
            return []
        return thumbnails(images.filter(F.col(s.ID).isin(list(ids)))).collect()

    small = looked_up(job, ask)
    return {
        row[s.ID]: Thumbnail(bytes(row[THUMBNAIL]), row[WIDTH], row[HEIGHT], row[N_BYTES])
        for row in small
    }


def _of_file(path: str) -> Thumbnail | None:
    from semdedup_spark.encoders.image.thumbnails import thumbnail

    try:
        with open_stream(path) as stream:
            return thumbnail(stream.read())
    except (OSError, SourceError):
        return None


def _of_table(job: Job, side: Side) -> DataFrame | None:
    """Return (id, payload), where a filter by id can read few rows of it; else ``None``."""
    source = side.source
    content = source.content or ""
    if source.format == "webdataset":
        return None
    rows = rows_as_embedded(job, side.table)
    image = _image(rows.schema[s.SOURCE].dataType, content, f"{s.SOURCE}.{s.quoted(content)}")
    if image is not None:
        return rows.select(s.ID, image.alias(s.PAYLOAD))
    raw = read_raw(job.spark, source, job.frames.get(side.table))
    image = _image(raw.df.schema, content, s.quoted(content))
    if image is None or raw.roles.id is None:
        return None
    return raw.df.select(F.col(s.quoted(raw.roles.id)).alias(s.ID), image.alias(s.PAYLOAD))


def _image(columns: DataType, name: str, path: str) -> Column | None:
    """Return the encoded image: a binary column, or the field ``bytes`` of a struct."""
    if not isinstance(columns, StructType) or name not in columns.names:
        return None
    kind = columns[name].dataType
    if isinstance(kind, BinaryType):
        return F.col(path)
    if isinstance(kind, StructType) and "bytes" in kind.names:
        return F.col(f"{path}.bytes")
    return None
