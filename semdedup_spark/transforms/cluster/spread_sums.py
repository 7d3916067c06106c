"""The sums of a k-means round over a sample that no single task can hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.kernels.cluster.lloyd import ArrayData
from semdedup_spark.kernels.cluster.partial_sums import PartialSums
from semdedup_spark.kernels.vectors import FloatArray, pack, unpack
from semdedup_spark.transforms.arrow import map_batches, map_groups, to_matrix
from semdedup_spark.transforms.courier import (
    PARCEL,
    PARCEL_DDL,
    Arrays,
    collect_parcels,
    parcels_of,
    to_parcel,
)

# Numbers in a parcel (16 MiB as float64).
PARCEL_NUMBERS = 2**21
_BLOCK = "block"


class SampleData:
    """The rows of a sample, summed up where they are.

    Parameters
    ----------
    rows
        Column embedding.
    dimension
        Numbers in a vector.
    parcel_numbers
        Most numbers that travel in one value.
    """

    def __init__(
        self, rows: DataFrame, dimension: int, *, parcel_numbers: int = PARCEL_NUMBERS
    ) -> None:
        self._rows = rows.select(s.EMBEDDING)
        self._dimension = dimension
        self._block_rows = max(1, parcel_numbers // max(dimension, 1))

    def partial_sums(self, centroids: FloatArray) -> PartialSums:
        """Sum up the rows of each cluster. Runs one Spark job.

        A task sums up its partition and hands on blocks of clusters, which other tasks add up.
        Sums are exact, so it does not matter which rows a task has, or in which order blocks come.

        Parameters
        ----------
        centroids
            (k, d) float32. Unit rows.

        Returns
        -------
        PartialSums
            See :class:`~kernels.cluster.lloyd.KMeansData`.
        """
        packed, k, d, block_rows = (
            pack(centroids),
            len(centroids),
            self._dimension,
            self._block_rows,
        )

        def sum_up(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            total = PartialSums(np.zeros((k, d)), np.zeros(k, dtype=np.int64))
            for batch in batches:
                if batch.num_rows:
                    data = ArrayData(to_matrix(batch.column(0)))
                    total += data.partial_sums(unpack(packed, d))
            for block, start in enumerate(range(0, k, block_rows)):
                rows = slice(start, start + block_rows)
                yield _block_row(block, PartialSums(total.sums[rows], total.counts[rows]))

        def merge(group: pa.Table) -> pa.Table:
            blocks = [_unpacked(parcel) for parcel in parcels_of(group.column(PARCEL))]
            total = sum(blocks[1:], start=blocks[0])
            return pa.Table.from_batches([_block_row(group.column(_BLOCK)[0].as_py(), total)])

        schema = f"{_BLOCK} int, {PARCEL_DDL}"
        merged = map_groups(map_batches(self._rows, sum_up, schema), _BLOCK, merge, schema)
        parcels = sorted(collect_parcels(merged), key=lambda parcel: int(parcel[_BLOCK]))
        parts = [_unpacked(parcel) for parcel in parcels]
        return PartialSums(
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.counts for part in parts]),
        )


def _block_row(block: int, sums: PartialSums) -> pa.RecordBatch:
    parcel = to_parcel(block=block, sums=sums.sums, counts=sums.counts)
    columns = [pa.array([block], pa.int32()), pa.array([parcel], pa.binary())]
    return pa.RecordBatch.from_arrays(columns, names=[_BLOCK, PARCEL])


def _unpacked(parcel: Arrays) -> PartialSums:
    return PartialSums(parcel["sums"], parcel["counts"])
