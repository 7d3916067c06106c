"""Read CIFAR-10 from Parquet files of encoded images, or from torchvision's own folder."""

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
    """Read one split of CIFAR-10 in its original order.

    Parquet files need a column ``image`` or ``img`` (bytes, or a struct with a field ``bytes``) and
    a column ``label``. The split is read from a column ``split``; without it, file names begin with
    the split, as on Hugging Face. A column ``cifar_index``, if present, gives the order. Raises
    :class:`SourceError` for files that are damaged or hold pictures of another size.

    Parameters
    ----------
    root
        Folder that holds the files directly, in ``cifar10/`` or in ``plain_text/``.
    split
        ``train`` or ``test``.

    Returns
    -------
    tuple or None
        Pixels, (n, 32, 32, 3) uint8 RGB, and labels, (n,) int64. ``None`` if no files are found.
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
                f"{files[0].parent} must hold pictures of 32 x 32 pixels, as CIFAR-10 does. Got "
                f"shape {picture.shape} in row {row} of {split}."
            )
        pixels[row] = picture
    return pixels, table["label"].to_numpy().astype(np.int64)


def _decoded(payload: bytes) -> npt.NDArray[Any]:
    from PIL import Image

    with Image.open(io.BytesIO(payload)) as image:
        return np.asarray(image.convert("RGB"))


def _from_torchvision(folder: Path, split: str) -> _Arrays:
    from torchvision.datasets import CIFAR10

    # Opening the pickles is safe: torchvision first compares them with their published checksums.
    try:
        data = CIFAR10(str(folder), train=split == "train")
    except (RuntimeError, OSError, EOFError) as error:
        raise SourceError(
            f"{folder / _BATCHES} must hold CIFAR-10 as torchvision unpacks it. Got: {error}",
            hint="remove the folder to download it again.",
        ) from error
    return data.data, np.array(data.targets, dtype=np.int64)
