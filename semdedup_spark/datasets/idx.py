"""Read the idx format of MNIST: a magic number, the shape, then the values."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semdedup_spark.errors import SourceError

_UINT8 = 0x08


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an idx file of unsigned bytes.

    Parameters
    ----------
    path
        The file. It is decompressed with gzip if its name ends in ``.gz``.

    Returns
    -------
    NDArray
        uint8, with the shape that the header gives.

    Raises
    ------
    SourceError
        If the file cannot be read, is not an idx file of unsigned bytes, or is truncated.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} must be a readable idx file. Got: {error}") from error
    if len(content) < 4 or content[:3] != bytes([0, 0, _UINT8]):
        raise SourceError(
            f"{path} must be an idx file of unsigned bytes. Got other first bytes: {content[:4]!r}."
        )
    axes = content[3]
    if len(content) < 4 + 4 * axes:
        raise SourceError(f"{path} must have a whole header. Got only {len(content)} bytes.")
    shape = np.frombuffer(content, ">u4", axes, 4).astype(int)
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
    if len(data) != shape.prod():
        raise SourceError(f"{path} must hold {shape.prod()} values. Got {len(data)}.")
    return data.reshape(shape)
