"""Embeddings as lists and packed."""

import numpy as np
import pyarrow as pa
import pytest

from semdedup_spark.transforms.arrow import to_matrix
from semdedup_spark.transforms.embed.vector_storage import STORAGE, to_column


@pytest.mark.parametrize("storage", STORAGE)
@pytest.mark.parametrize(("n", "d"), [(1, 1), (9, 3), (0, 4)])
def test_vectors_come_back_from_either_column(storage, n, d):
    X = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    column = to_column(X, STORAGE[storage])
    column.validate(full=True)
    assert len(column) == n
    if n:
        assert to_matrix(column).tobytes() == X.tobytes()
        assert to_matrix(column.slice(n - 1)).tobytes() == X[n - 1 :].tobytes()


@pytest.mark.parametrize("storage", STORAGE)
def test_a_missing_vector_is_null(storage):
    X = np.ones((9, 2), np.float32)
    missing = np.arange(9) % 4 == 1
    column = to_column(X, STORAGE[storage], missing)
    column.validate(full=True)
    assert column.is_null().to_pylist() == missing.tolist()
    assert to_matrix(column.drop_null()).shape == (7, 2)
    assert isinstance(column, pa.ListArray | pa.BinaryArray)
