"""Write an image set as table rows: id, split, index, label and a PNG image."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.datasets.named import ImageSet

_FINGERPRINT = b"semdedup.fingerprint"
_ROWS_PER_GROUP = 4096


def to_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture as a PNG, without loss.

    Parameters
    ----------
    pixels
        (h, w) uint8 grey, or (h, w, 3) uint8 RGB.

    Returns
    -------
    bytes
        The PNG file.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def picture_ids(images: ImageSet) -> list[str]:
    """Make an id for each picture from its split and index, such as ``train-00042``.

    Parameters
    ----------
    images
        n pictures.

    Returns
    -------
    list[str]
        n ids.
    """
    return [f"{images.split}-{index:05d}" for index in images.index]


def picture_rows(images: ImageSet) -> pa.Table:
    """Make one table row for each picture.

    Parameters
    ----------
    images
        n pictures.

    Returns
    -------
    pyarrow.Table
        n rows with the columns ``id``, ``split``, ``index``, ``label`` and ``image`` (PNG bytes).
    """
    columns: dict[str, Any] = {
        "id": picture_ids(images),
        "split": [images.split] * len(images),
        "index": images.index,
        "label": images.labels,
        "image": pa.array([to_png(picture) for picture in images.pixels], pa.binary()),
    }
    return pa.table(columns)


def write_pictures(images: ImageSet, path: Path) -> None:
    """Write :func:`picture_rows` to a Parquet file.

    A file that already holds these rows is left untouched, so that results computed from it stay
    valid.

    Parameters
    ----------
    images
        n pictures.
    path
        File to write. Missing parent folders are created.
    """
    fingerprint = _fingerprint(images)
    if path.is_file():
        held = pq.read_schema(path).metadata or {}
        if held.get(_FINGERPRINT) == fingerprint:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = picture_rows(images).replace_schema_metadata({_FINGERPRINT: fingerprint})
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(rows, unfinished, row_group_size=_ROWS_PER_GROUP)
    unfinished.replace(path)


def _fingerprint(images: ImageSet) -> bytes:
    digest = hashlib.sha256(f"1 {images.name} {images.split} {images.pixels.shape}".encode())
    for array in (images.pixels, images.labels, images.index):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest().encode()
