import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.kernels.cluster.assign import TwoLevels
from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.vectors import unit_rows
from tests.kernels.cluster.test_lloyd import blobs


def make(seed, n, d, k, n_cells):
    """Rows and centroids of small integers, with many ties, in cells that nobody trained."""
    rng = np.random.default_rng(seed)
    X = unit_rows(rng.integers(-2, 3, (n, d)) + 1e-3).X
    C = unit_rows(rng.integers(-2, 3, (k, d)) + 1e-3).X
    cells = rng.integers(0, min(n_cells, k), k)
    return X, C, np.unique(cells, return_inverse=True)[1].astype(np.int32)


instances = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 30),
    st.integers(1, 6),
    st.integers(1, 20),
    st.integers(1, 6),
)


@given(instances)
def test_looking_into_all_cells_is_looking_at_all_centroids(instance):
    X, C, cells = make(*instance)
    two, one = TwoLevels(C, cells, n_cells=99).assign(X), assign(X, C)
    assert two.labels.tolist() == one.labels.tolist()
    assert two.similarity.tolist() == one.similarity.tolist()


@given(instances)
def test_a_device_of_torch_finds_the_labels_that_the_cpu_finds(instance):
    pytest.importorskip("torch")
    from semdedup_spark.kernels.cluster.torch_lloyd import OneLevelOnDevice

    X, C, _ = make(*instance)
    there, here = OneLevelOnDevice(C, "cpu").assign(X), assign(X, C)
    assert there.labels.tolist() == here.labels.tolist()
    assert there.similarity.tolist() == here.similarity.tolist()


@given(instances, st.integers(1, 4))
def test_a_row_gets_the_best_cluster_of_the_cells_it_looks_into_alike_in_any_batch(instance, p):
    X, C, cells = make(*instance)
    index = TwoLevels(C, cells, n_cells=p)
    together = index.assign(X)
    for row in range(len(X)):
        alone = index.assign(X[row : row + 1])
        assert alone.labels[0] == together.labels[row]
        seen = np.flatnonzero(np.isin(cells, index.nearest_cells(X[row : row + 1])[0]))
        exact = (C[seen].astype(np.float64) * X[row].astype(np.float64)).sum(axis=1)
        assert together.labels[row] == seen[exact.argmax()]


def test_of_clustered_rows_few_get_another_cluster_and_none_a_much_worse_one():
    X, C = blobs(n=4000, centers=256), blobs(n=256, centers=256, seed=0, noise=0.05)
    cells = assign(C, train(C, 16, Training(0, 10, 0.0)).centroids).labels
    cells = np.unique(cells, return_inverse=True)[1].astype(np.int32)
    two, one = TwoLevels(C, cells).assign(X), assign(X, C)
    assert (two.labels == one.labels).mean() > 0.95
    assert one.similarity.mean() - two.similarity.mean() < 0.002
