"""Brings arrays from the tasks of a Spark job to the driver, or to the tasks of the next stage.

A parcel is one binary value that holds named arrays, as an uncompressed .npz archive: it carries
their types and shapes with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark.transforms.arrow import map_batches

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

PARCEL = "parcel"
# The columns of parcels on their way, as DDL.
PARCEL_DDL = f"{PARCEL} binary"
Body: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[bytes]]


def to_parcel(**arrays: npt.ArrayLike) -> bytes:
    """Pack named arrays.

    Parameters
    ----------
    **arrays
        Arrays of numbers of any shape, or what numpy makes one of.

    Returns
    -------
    bytes
        The parcel.
    """
    sink = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    np.savez(sink, **named)
    return sink.getvalue()


def from_parcel(parcel: bytes) -> Arrays:
    """Unpack named arrays.

    Parameters
    ----------
    parcel
        What :func:`to_parcel` returned.

    Returns
    -------
    Arrays
        The arrays, with the types and shapes that they had.
    """
    with np.load(io.BytesIO(parcel), allow_pickle=False) as archive:
        return dict(archive)


def parcels_of(column: pa.Array | pa.ChunkedArray) -> Iterator[Arrays]:
    """Unpack a column of parcels, in a task.

    Parameters
    ----------
    column
        Binary values that :func:`to_parcel` returned.

    Yields
    ------
    Arrays
        The arrays of one parcel.
    """
    for value in column:
        yield from_parcel(value.as_py())


def map_to_parcels(rows: DataFrame, body: Body) -> DataFrame:
    """Let each task pack what it finds.

    Parameters
    ----------
    rows
        The rows that the tasks read.
    body
        Gets the Arrow batches of a partition, and yields binary values.

    Returns
    -------
    DataFrame
        The column ``parcel``.
    """

    def emit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for parcel in body(batches):
            yield pa.RecordBatch.from_arrays([pa.array([parcel], pa.binary())], names=[PARCEL])

    return map_batches(rows, emit, PARCEL_DDL)


def collect_bytes(parcels: DataFrame) -> list[bytes]:
    """Bring parcels to the driver, as they are. Runs one Spark job.

    Parameters
    ----------
    parcels
        The column ``parcel``.

    Returns
    -------
    list[bytes]
        The parcels, in no particular order.
    """
    return [bytes(row[PARCEL]) for row in parcels.select(PARCEL).collect()]


def collect_parcels(parcels: DataFrame) -> list[Arrays]:
    """Bring arrays to the driver. Runs one Spark job.

    Parameters
    ----------
    parcels
        The column ``parcel``.

    Returns
    -------
    list[Arrays]
        The arrays of each parcel, in no particular order.
    """
    return [from_parcel(parcel) for parcel in collect_bytes(parcels)]


def collect_parcel(parcels: DataFrame) -> Arrays:
    """Bring the arrays of the only parcel to the driver. Runs one Spark job.

    Parameters
    ----------
    parcels
        The column ``parcel``, of one row.

    Returns
    -------
    Arrays
        The arrays.

    Raises
    ------
    RuntimeError
        If there is not exactly one parcel. No input causes this.
    """
    found = collect_parcels(parcels)
    if len(found) != 1:
        raise RuntimeError(f"one task must return one parcel. Got {len(found)}.")
    return found[0]
