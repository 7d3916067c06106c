"""Thumbnails, made where the images are: a few kilobytes each reach the driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.transforms.arrow import map_batches

THUMBNAIL = "thumbnail"
WIDTH, HEIGHT, N_BYTES = "width", "height", "n_bytes"


def thumbnails(images: DataFrame) -> DataFrame:
    """Make thumbnails.

    Parameters
    ----------
    images
        Columns id and payload, an encoded image.

    Returns
    -------
    DataFrame
        Columns id; ``thumbnail``, a JPEG; width and height of the image itself in pixels; and
        ``n_bytes``, the size of its file. An image that cannot be decoded has no row.
    """
    id_type = images.schema[s.ID].dataType.simpleString()

    def shrink(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from semdedup_spark.encoders.image.thumbnails import thumbnail

        for batch in batches:
            made = [thumbnail(payload) for payload in batch.column(1).to_pylist()]
            small = [each for each in made if each is not None]
            ids = batch.column(0).filter(pa.array([each is not None for each in made], pa.bool_()))
            columns = [
                ids,
                pa.array([each.jpeg for each in small], pa.binary()),
                *(
                    pa.array([getattr(each, name) for each in small], pa.int64())
                    for name in (WIDTH, HEIGHT, N_BYTES)
                ),
            ]
            yield pa.RecordBatch.from_arrays(
                columns, names=[s.ID, THUMBNAIL, WIDTH, HEIGHT, N_BYTES]
            )

    few = images.select(s.ID, s.PAYLOAD)
    numbers = ", ".join(f"{name} bigint" for name in (WIDTH, HEIGHT, N_BYTES))
    return map_batches(few, shrink, f"{s.ID} {id_type}, {THUMBNAIL} binary, {numbers}")
