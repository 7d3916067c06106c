"""Training in Spark: in one task, in all tasks, on two levels; and centroids on their way."""

import numpy as np
import pytest

from semdedup_spark.kernels.cluster.assign import TwoLevels
from semdedup_spark.kernels.cluster.lloyd import ArrayData, assign
from semdedup_spark.kernels.cluster.train import Training, refine, train
from semdedup_spark.transforms.cluster.centroid_source import CentroidsInClosure, assigner_of
from semdedup_spark.transforms.cluster.fit import fit_centroids
from semdedup_spark.transforms.cluster.sample import Sample
from semdedup_spark.transforms.cluster.spread_sums import SampleData
from tests.kernels.cluster.test_lloyd import blobs

TRAINING = Training(seed=0, max_iterations=6, tolerance=0.0)


@pytest.fixture(scope="module")
def sample(spark):
    X = blobs(n=1500, centers=40, d=8)
    rows = [(f"row-{i:05d}", [float(v) for v in x]) for i, x in enumerate(X)]
    frame = spark.createDataFrame(rows, "id string, embedding array<float>").cache()
    frame.count()
    return frame, X


def test_one_task_trains_as_the_kernel_does_for_any_partitioning(sample):
    rows, X = sample
    expected = train(X, 30, TRAINING)
    for partitions in (1, 3):
        shuffled = Sample(rows.repartition(partitions), len(X), 8, task_rows=10**6)
        fitted = fit_centroids(shuffled, 30, TRAINING)
        assert fitted.centroids.tobytes() == expected.centroids.tobytes()
        assert fitted.objective == expected.objective
        assert fitted.cells is None


def test_many_tasks_find_what_one_array_does_bit_for_bit(sample):
    rows, X = sample
    start = X[:20]
    expected = refine(ArrayData(X), start, TRAINING)
    data = SampleData(rows.repartition(3), 8, parcel_numbers=64)  # several blocks of clusters
    spread = refine(data, start, TRAINING)
    assert spread.centroids.tobytes() == expected.centroids.tobytes()
    assert spread.counts.tolist() == expected.counts.tolist()
    assert spread.objective == expected.objective


def test_a_sample_larger_than_a_task_is_refined_by_all(sample):
    rows, X = sample
    large = Sample(rows.repartition(2), len(X), 8, task_rows=700)
    fitted = fit_centroids(large, 30, TRAINING)
    assert fitted.counts.sum() == len(X)
    alone = train(X, 30, TRAINING)
    assert fitted.objective[-1] > 0.97 * alone.objective[-1]


@pytest.fixture(scope="module")
def two_levels(sample):
    rows, X = sample
    return [
        fit_centroids(Sample(rows.repartition(p), len(X), 8, 10**6), 100, TRAINING, levels=2)
        for p in (1, 3)
    ]


def test_two_levels_give_the_same_centroids_for_any_partitioning(two_levels):
    one, three = two_levels
    assert one.centroids.tobytes() == three.centroids.tobytes()
    assert one.cells.tolist() == three.cells.tolist()
    assert one.objective == three.objective


def test_two_levels_make_k_clusters_nearly_as_good_as_one_level(sample, two_levels):
    _, X = sample
    fitted = two_levels[0]
    assert len(fitted.centroids) == 100
    assert len(np.unique(fitted.cells)) == 10
    assert fitted.counts.sum() == len(X)
    flat = train(X, 100, TRAINING)
    reached = TwoLevels(fitted.centroids, fitted.cells).assign(X).similarity.mean()
    assert reached > flat.objective[-1] - 0.03
    assert reached >= fitted.objective[-1] - 1e-6  # more cells are looked into than in training


def test_mllib_can_find_the_first_centroids(sample):
    rows, X = sample
    training = Training(0, 6, 0.0, seeding="mllib")
    fitted = fit_centroids(Sample(rows, len(X), 8, 10**6), 30, training)
    assert len(fitted.centroids) == 30
    assert fitted.objective[-1] > 0.97 * train(X, 30, TRAINING).objective[-1]


def test_mllib_finds_them_where_rows_are_equal_and_few_differ(spark):
    # MLlib begins with k rows of its own choice, and fails where two of these are equal.
    X = np.repeat(blobs(n=12, centers=12, d=8), 20, axis=0)
    rows = [(f"row-{i:05d}", [float(v) for v in x]) for i, x in enumerate(X)]
    frame = spark.createDataFrame(rows, "id string, embedding array<float>")
    training = Training(0, 6, 0.0, seeding="mllib")
    fitted = fit_centroids(Sample(frame, len(X), 8, 10**6), 12, training)
    assert len(fitted.centroids) == 12
    assert fitted.objective[-1] > 1 - 1e-6


def test_a_worker_makes_an_assigner_once_for_equal_centroids(two_levels):
    fitted = two_levels[0]
    first = CentroidsInClosure.of(fitted.centroids, fitted.cells)
    again = CentroidsInClosure.of(fitted.centroids.copy(), fitted.cells.copy())
    assert (first.n_clusters, first.dimension) == fitted.centroids.shape
    assert assigner_of(first) is assigner_of(again)
    X = fitted.centroids[::3]
    assert (
        assigner_of(first).assign(X).labels.tolist() == assign(X, first.load()[0]).labels.tolist()
    )
