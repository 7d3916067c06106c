"""Thumbnails, made where the images are: a few kilobytes each reach the driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches

THUMBNAIL = "thumbnail"


def thumbnails(images: DataFrame) -> DataFrame:
    """Make thumbnails.

    Parameters
    ----------
    images
        Columns id and payload, an encoded image.

    Returns
    -------
    DataFrame
        Columns id and ``thumbnail``: a JPEG, or null if the image cannot be decoded.
    """
    id_type = images.schema[s.ID].dataType.simpleString()

    def shrink(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from semdedup_spark.encoders.image.thumbnails import thumbnail

        for batch in batches:
            small = [thumbnail(payload) for payload in batch.column(1).to_pylist()]
            yield pa.RecordBatch.from_arrays(
                [batch.column(0), pa.array(small, pa.binary())], names=[s.ID, THUMBNAIL]
            )

    few = images.select(s.ID, s.PAYLOAD)
    return map_batches(few, shrink, f"{s.ID} {id_type}, {THUMBNAIL} binary")
