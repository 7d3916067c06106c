"""CIFAR-10 from Parquet files of encoded images, or from torchvision's own folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from semdedup_spark.errors import SourceError

_BATCHES = "cifar-10-batches-py"
_Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def read_cifar10(root: Path, split: str) -> _Arrays | None:
    """((n, 32, 32, 3) uint8, (n,) int64) in the original order, or ``None`` where there is nothing.
    Raises :class:`SourceError` for files that are damaged or hold other pictures.

    Parquet: a column ``image`` or ``img``, of bytes or a struct with ``bytes``, and ``label``; the
    split is a column ``split``, or the beginning of the file's name, as on Hugging Face. Where
    there is a column ``cifar_index`` it gives the order.
    """
    for folder in (root, root / "cifar10", root / "plain_text"):
        files = [path for path in sorted(folder.glob("*.parquet")) if _may_hold(path, split)]
        found = _from_parquet(files, split) if files else None
        if found is not None:
            return found
    for folder in (root, root / "cifar10"):
        if (folder / _BATCHES).is_dir():
            return _from_torchvision(folder, split)
    return None


def _may_hold(path: Path, split: str) -> bool:
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} must be a readable Parquet file. Got: {error}") from error
    has_images = "label" in names and ("image" in names or "img" in names)
    return has_images and ("split" in names or path.name.startswith(split))


def _from_parquet(files: list[Path], split: str) -> _Arrays | None:
    table = pa.concat_tables([pq.read_table(path) for path in files], promote_options="permissive")
    if "split" in table.column_names:
        table = table.filter(pc.equal(table["split"], split))
    if not len(table):
        return None
    if "cifar_index" in table.column_names:
        table = table.sort_by("cifar_index")
    column = table["image" if "image" in table.column_names else "img"].combine_chunks()
    if pa.types.is_struct(column.type):
        column = column.field("bytes")
    pixels = np.empty((len(table), 32, 32, 3), dtype=np.uint8)
    for row, payload in enumerate(column):
        picture = _decoded(payload.as_py())
        if picture.shape != pixels.shape[1:]:
            raise SourceError(
                f"{files[0].parent} must hold pictures of 32 x 32, as CIFAR-10's are. Row {row} of "
                f"{split} is of shape {picture.shape}."
            )
        pixels[row] = picture
    return pixels, table["label"].to_numpy().astype(np.int64)


def _decoded(payload: bytes) -> npt.NDArray[Any]:
    from PIL import Image

    with Image.open(io.BytesIO(payload)) as image:
        return np.asarray(image.convert("RGB"))


def _from_torchvision(folder: Path, split: str) -> _Arrays:
    from torchvision.datasets import CIFAR10

    # torchvision compares the pickles with their published checksums before it opens them.
    try:
        data = CIFAR10(str(folder), train=split == "train")
    except (RuntimeError, OSError, EOFError) as error:
        raise SourceError(
            f"{folder / _BATCHES} must hold CIFAR-10 as torchvision unpacks it. Got: {error}",
            hint="remove the folder, and it is downloaded again.",
        ) from error
    return data.data, np.array(data.targets, dtype=np.int64)
