"""The keys of rows in a batch: which rows are targets, and which rank first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from semdedup_spark import schema as s
from semdedup_spark.kernels.vectors import IndexArray
from semdedup_spark.transforms.score.packed_rows import TARGET


def is_target(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Tell which rows are targets.

    Parameters
    ----------
    batch
        n rows, perhaps with the column target.

    Returns
    -------
    npt.NDArray[np.bool_]
        (n,) bool. Whether the row's score is wanted. All are without the column.
    """
    if TARGET not in batch.schema.names:
        return np.ones(batch.num_rows, dtype=bool)
    return np.asarray(batch.column(TARGET).to_numpy(zero_copy_only=False), dtype=bool)


def rank_order(keys: pa.Table) -> IndexArray:
    """Sort rows in rank order.

    Ids are compared as SQL compares them: strings byte by byte.

    Parameters
    ----------
    keys
        Columns batch, rank_key and id.

    Returns
    -------
    IndexArray
        (n,) int64. Positions of the rows in rank order.
    """
    by = [(name, "ascending") for name in (s.BATCH, s.RANK_KEY, s.ID)]
    order: IndexArray = pc.sort_indices(keys, sort_keys=by).to_numpy().astype(np.int64)
    return order


def first_in_rank_order(keys: pa.Table, distinct: IndexArray) -> npt.NDArray[np.bool_]:
    """Tell which rows rank first among the rows of the batch with the same vector.

    The others need not travel: wherever they went, the first one would stand for them.

    Parameters
    ----------
    keys
        n rows with the columns batch, rank_key and id.
    distinct
        (n,) int64. The first position of each row's vector.

    Returns
    -------
    npt.NDArray[np.bool_]
        (n,) bool. Whether the row ranks first.
    """
    n = len(distinct)
    first = np.ones(n, dtype=bool)
    if not np.array_equal(distinct, np.arange(n)):
        order = rank_order(keys)
        _, position = np.unique(distinct[order], return_index=True)
        first[:] = False
        first[order[position]] = True
    return first
