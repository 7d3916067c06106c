import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semdedup_spark import score_vectors
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.kernels.score.routes import HOME
from semdedup_spark.kernels.score.unit import score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.vectors import hash_rows, unit_rows
from semdedup_spark.transforms.arrow import to_matrix
from semdedup_spark.transforms.embed.embed_rows import encode_columns
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings
from tests.kernels.score.test_similarity import random_rows
from tests.oracle import brute_force


def test_four_points_by_hand():
    angles = np.deg2rad([0, 60, 90, 100])
    scores = score_vectors(np.stack([np.cos(angles), np.sin(angles)], axis=1), eps_max=0.2)
    # cos 60 = 0.5 is below the horizon, cos 30 = 0.87 and cos 10 = 0.98 are not
    np.testing.assert_allclose(scores.max_similarity, [0, 0, 0.8660, 0.9848], atol=1e-4)
    assert scores.neighbor.tolist() == [-1, -1, 1, 2]
    assert scores.kept(0.2).tolist() == [True, True, False, False]
    assert scores.kept(0.1).tolist() == [True, True, True, False]


@settings(max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 80),
    st.sampled_from([0.001, 0.05, 0.3]),
    st.sampled_from([None, 1, 3, 20]),
)
def test_exact_scores_are_those_of_all_pairs_in_any_rank_order(seed, n, eps_max, k):
    X = random_rows(seed, n, 4, near=0.1)
    rank = np.random.default_rng(seed).integers(0, 5, n)  # with ties, which the position ends
    order = np.argsort(rank, kind="stable")
    scores = score_vectors(X, rank=rank, eps_max=eps_max, n_clusters=k, threads=2)
    M, _ = brute_force(X[order])
    on_edge = np.abs(M - (1 - eps_max)) < 2e-6
    expected = np.where(M > 1 - eps_max, M, 0)
    np.testing.assert_allclose(
        scores.max_similarity[order][~on_edge], expected[~on_edge], atol=2e-6
    )
    place = np.empty(n, dtype=int)
    place[order] = np.arange(n)
    found = scores.neighbor >= 0
    assert (place[scores.neighbor[found]] < place[found]).all()


def test_the_number_of_clusters_and_of_threads_changes_no_decision():
    X = random_rows(3, 3000, 16, near=0.05)
    kept = [
        score_vectors(X, eps_max=0.1, n_clusters=k, threads=threads, seed=k).kept(0.05)
        for k, threads in ((1, 1), (7, 2), (50, 3))
    ]
    assert 0 < kept[0].sum() < 3000
    assert (kept[0] == kept[1]).all()
    assert (kept[0] == kept[2]).all()


def test_recall_cluster_compares_within_clusters_only():
    X = random_rows(5, 500, 8, near=0.1)
    exact = score_vectors(X, eps_max=0.3, n_clusters=20)
    cluster = score_vectors(X, eps_max=0.3, n_clusters=20, recall="cluster")
    found = cluster.neighbor >= 0
    assert (cluster.labels[found] == cluster.labels[cluster.neighbor[found]]).all()
    assert cluster.kept(0.3).sum() > exact.kept(0.3).sum()


def test_lengths_do_not_matter_and_equal_rows_go_to_the_first():
    X = np.array([[3.0, 0], [0, 2], [1, 0], [5, 0]])
    scores = score_vectors(X)
    assert scores.max_similarity.tolist() == [0, 0, 1, 1]
    assert scores.neighbor.tolist() == [-1, -1, 0, 0]


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (np.array([[1.0, 0], [np.nan, 1]]), "row 1: non_finite_vector"),
        (np.array([[1.0, 0], [0, 0]]), "row 1: zero_vector"),
        (np.ones(3), "2-D"),
        (np.ones((0, 3)), "at least one row"),
    ],
)
def test_rows_without_direction_are_refused_by_name(X, says):
    with pytest.raises(ValueError, match=says):
        score_vectors(X)


def test_a_threshold_beyond_the_horizon_is_refused():
    scores = score_vectors(unit_rows(np.eye(3)).X, eps_max=0.05)
    with pytest.raises(ValueError, match=r"eps must be > 0 and <= eps_max \(0.05\)"):
        scores.kept(0.06)


def test_the_edge_is_that_of_the_job_in_float64():
    scores = score_vectors([[1, 0], [0.8, 0.6]], eps_max=0.3)
    m = float(scores.max_similarity[1])
    assert m > 1 - 0.2  # as float32 both are 0.8
    assert not scores.kept(0.2)[1]
    eps = np.float32(0.2)
    assert scores.kept(eps)[1] == (not m > 1 - float(eps))


OPTIONS = [
    ({"recall": "Exact"}, "recall must be 'exact' or 'cluster'. Got 'Exact'"),
    ({"recall": None}, "recall must be"),
    ({"eps_max": 0}, "eps_max must be a number greater than 0"),
    ({"eps_max": 1.0}, "eps_max must be a number .*less than 1"),
    ({"eps_max": float("nan")}, "eps_max must be"),
    ({"n_clusters": 0}, "n_clusters must be a whole number at least 1"),
    ({"n_clusters": 2.5}, "n_clusters must be"),
    ({"n_clusters": "auto"}, "n_clusters must be a number"),
    ({"seed": -1}, "seed must be a whole number at least 0"),
    ({"threads": 0}, "threads must be at least 1"),
    ({"rank": ["a", "b"]}, "rank must have one number"),
    ({"rank": [1]}, "rank must have one number"),
]


@pytest.mark.parametrize(("options", "says"), OPTIONS)
def test_an_option_that_the_job_would_refuse_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        score_vectors(np.eye(2), **options)


def test_numbers_of_numpy_are_numbers():
    scores = score_vectors(
        np.eye(3), eps_max=np.float32(0.1), n_clusters=np.int64(2), seed=np.int32(1)
    )
    assert scores.kept(0.1).all()


SCALES = [1.0, 1e-13, 1e25, 1e-40, 3e38]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.3]),
    st.sampled_from(["array", "binary"]),
)
def test_decisions_are_those_of_the_job_s_kernels(seed, dtype, eps, storage):
    """From the Arrow column that a worker is given to the rule of select, on a grid of whole
    numbers, where similarities lie on the edges, in any size.
    """
    random = np.random.default_rng(seed)
    X = random.integers(-3, 4, (30, 3)).astype(np.float64)
    scales = [1.0] if dtype == np.float16 else SCALES
    with np.errstate(under="ignore"):
        X = (X * random.choice(scales, (len(X), 1)) / 3).astype(dtype)
    X = X[X.any(axis=1)]

    given = score_vectors(X, eps_max=0.3, n_clusters=1)

    spec = EncoderSpec("none", vector_dtype=np.dtype(dtype).name)
    if storage == "binary":
        column = pa.array([row.tobytes() for row in X], pa.binary())
    else:
        wide = np.float64 if dtype == np.float64 else np.float32
        column = pa.array(list(X.astype(wide)), pa.list_(pa.from_numpy_dtype(wide)))
    (encoded,) = encode_columns([column], spec, WorkerSettings())
    assert encoded.field("reason").null_count == len(X)
    unit = to_matrix(encoded.field("embedding"))
    n = len(unit)
    rows = UnitRowsInOrder(
        unit, hash_rows(unit), np.arange(n), np.zeros(n, np.int32), np.full(n, HOME, np.int8)
    )
    horizon = float(np.nextafter(np.float32(1.0 - 0.3), np.float32(0)))
    job = score_unit(rows, above=horizon).best
    np.testing.assert_array_equal(given.max_similarity, job.max_similarity)
    np.testing.assert_array_equal(given.neighbor, job.neighbor)
    removed = [float(m) > 1.0 - eps for m in job.max_similarity]
    assert given.kept(eps).tolist() == [not gone for gone in removed]


def test_no_spark_is_loaded():
    code = "import sys, semdedup_spark.in_memory.score; print('pyspark' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
