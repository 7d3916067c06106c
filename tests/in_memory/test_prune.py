"""Clusters in memory, and what SemDeDup and pruning keep of them, against doing it by hand."""

import numpy as np
import pytest

from semdedup_spark.in_memory.prune import (
    cluster_vectors,
    keep_least_similar,
    max_similarity_in_clusters,
)
from tests.planted import near_duplicates

X = near_duplicates(300)
UNIT = X / np.linalg.norm(X, axis=1, keepdims=True)


def test_a_row_s_cluster_is_that_of_the_nearest_centroid_by_cosine():
    clusters = cluster_vectors(3.7 * X, 6, seed=1)  # lengths do not matter
    cosines = UNIT @ clusters.centroids.T
    assert clusters.labels.tolist() == cosines.argmax(axis=1).tolist()
    np.testing.assert_allclose(clusters.similarity, cosines.max(axis=1), atol=1e-6)


def test_pruning_by_similarity_keeps_the_nearest_and_by_chance_does_not():
    clusters = cluster_vectors(X, 4, seed=0)
    kept = clusters.prune(20, prune_type="common")
    for cluster in range(4):
        own = clusters.labels == cluster
        assert kept[own].sum() == -(-own.sum() // 5)
        assert clusters.similarity[own & kept].min() >= clusters.similarity[own & ~kept].max()
    by_chance = clusters.prune(20, rank_type="random", prune_type="common")
    assert by_chance.sum() == kept.sum()
    assert (by_chance & kept).sum() < kept.sum()


def test_the_torch_device_finds_the_same_clusters():
    pytest.importorskip("torch")
    from semdedup_spark.kernels.cluster.lloyd import ArrayData
    from semdedup_spark.kernels.cluster.torch_lloyd import TorchData
    from semdedup_spark.kernels.vectors import unit_rows

    unit = unit_rows(X).X
    one, other = (data.partial_sums(unit[:5]) for data in (ArrayData(unit), TorchData(unit, "cpu")))
    assert one.counts.tolist() == other.counts.tolist()
    np.testing.assert_allclose(one.sums, other.sums, atol=1e-4)
    start = unit[:5]
    assert one.objective(start) == pytest.approx(other.objective(start), rel=1e-5)
    here, there = (cluster_vectors(X, 5, seed=2, device=device) for device in ("cpu", "cpu:0"))
    assert here.labels.tolist() == there.labels.tolist()  # "cpu:0" is torch's


def test_a_device_that_is_not_there_is_refused_and_auto_is_one_that_is():
    torch = pytest.importorskip("torch")
    from semdedup_spark.errors import EnvironmentProblem
    from semdedup_spark.kernels.cluster.torch_lloyd import usable_device

    torch.empty(0, device=usable_device("auto"))
    with pytest.raises(EnvironmentProblem, match="'nonsense'"):
        usable_device("nonsense")
    with pytest.raises(EnvironmentProblem, match="'cuda:99'"):
        usable_device("cuda:99")


def test_semdedup_s_score_is_that_of_all_pairs_within_a_cluster():
    clusters = cluster_vectors(X, 4, seed=0)
    scores = max_similarity_in_clusters(X, clusters)
    order = np.lexsort((np.arange(len(X)), clusters.similarity))
    seen: dict[int, list[int]] = {}
    for row in order.tolist():
        earlier = seen.setdefault(int(clusters.labels[row]), [])
        expected = max([0.0, *(UNIT[earlier] @ UNIT[row])]) if earlier else 0.0
        assert scores[row] == pytest.approx(min(expected, 1.0), abs=1e-6)
        earlier.append(row)


def test_semdedup_keeps_so_many_and_none_more_similar_than_what_it_removes():
    scores = max_similarity_in_clusters(X, cluster_vectors(X, 4, seed=0))
    kept = keep_least_similar(scores, 40)
    assert kept.sum() == 120
    assert scores[kept].max() <= scores[~kept].min()


def test_a_row_without_direction_is_refused():
    with pytest.raises(ValueError, match="such as row 1"):
        cluster_vectors([[1.0, 0.0], [0.0, 0.0]], 1)


@pytest.mark.parametrize(
    "options",
    [
        {"ratio": 0},
        {"ratio": 101},
        {"ratio": 20, "rank_type": "Random"},
        {"ratio": 20, "prune_type": "Common"},
        {"ratio": 20, "exact_total": "no"},
        {"ratio": 20, "n_bins": 0},
        {"ratio": 20, "seed": -1},
    ],
)
def test_a_rule_that_the_stage_prune_would_refuse_is_refused(options):
    clusters = cluster_vectors(X, 4)
    with pytest.raises(ValueError, match=f"{list(options)[-1]} must be"):
        clusters.prune(**options)


@pytest.mark.parametrize("options", [{"n_clusters": 0}, {"n_clusters": 3, "seed": -1}])
def test_options_that_the_stage_cluster_would_refuse_are_refused(options):
    with pytest.raises(ValueError, match=f"{list(options)[-1]} must be"):
        cluster_vectors(X, **options)


def test_bins_are_as_many_as_asked_for():
    clusters = cluster_vectors(X, 2)
    few, many = (clusters.prune(20, prune_type="stratified", n_bins=n) for n in (1, 30))
    assert few.sum() == many.sum()
    assert (few != many).any()


def test_rows_that_were_not_clustered_are_not_scored():
    with pytest.raises(ValueError, match=r"300 rows that were clustered. Got 299"):
        max_similarity_in_clusters(X[1:], cluster_vectors(X, 2))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        keep_least_similar(np.array([0.1, np.nan]), 50)
