"""Whole jobs: clusters on two levels, centroids that workers read, centroids of another run."""

import shutil

import numpy as np
import pytest
from pyspark.sql import functions as F

from semdedup_spark.errors import ConfigError, MixedEncodersError
from semdedup_spark.kernels.cluster.assign import TwoLevels
from semdedup_spark.kernels.cluster.lloyd import assign
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import open_job, run_cluster, run_embed, run_plan, run_score
from semdedup_spark.pipeline.stages import compare_settings
from semdedup_spark.tables.catalog import OutputRoot
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.states import mark_at
from semdedup_spark.transforms.cluster.centroid_rows import collect_centroids
from tests.jobs.jobfiles import near_duplicates, scored, table, vectors_job, write_vectors
from tests.oracle import brute_force


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("clusters")
    X = near_duplicates(600, 8)
    write_vectors(spark, root / "source", X)
    return root, X


def job(root, output, source="source", recall="cluster", **cluster):
    return vectors_job(
        root / output,
        root / source,
        cluster=cluster,
        score={"recall": recall, "rank_by": "random", "eps_max": 0.1},
    )


@pytest.fixture(scope="module")
def two_levels(spark, source):
    root, _ = source
    return scored(spark, job(root, "two", n_clusters=64, levels=2))


def found_scores(spark, output, X):
    """(labels, M, the rows in rank order)."""
    rows = table(spark, output, "scores").orderBy("batch", "rank_key", "id").collect()
    ordered = unit_rows(X.astype(np.float32)).X[[int(r["id"].split("-")[1]) for r in rows]]
    found = np.array([r["max_similarity"] for r in rows])
    return [r["cluster_id"] for r in rows], found, ordered


def test_rows_are_assigned_through_two_levels_and_compared_within_those_clusters(
    spark, source, two_levels
):
    root, X = source
    counts = two_levels[1].counts
    assert (counts["levels"], counts["n_clusters"]) == (2, 64)
    held = collect_centroids(table(spark, root / "two", "centroids"))
    assert len(np.unique(held.cells)) == 8
    labels, found, ordered = found_scores(spark, root / "two", X)
    assert labels == TwoLevels(held.X, held.cells).assign(ordered).labels.tolist()
    np.testing.assert_allclose(found, brute_force(ordered, labels)[0], atol=2e-6)


def test_exact_recall_assigns_to_the_nearest_centroid_which_workers_may_read_from_files(
    spark, source, two_levels, monkeypatch
):
    root, X = source
    monkeypatch.setattr(compare_settings, "LARGEST_CLOSURE", 0)
    centroids = table(spark, root / "two", "centroids")
    assert compare_settings.trained(centroids).source.files
    scored(spark, job(root, "exact", recall="exact", n_clusters=64, levels=2))
    held = collect_centroids(centroids)
    labels, found, ordered = found_scores(spark, root / "exact", X)
    assert labels == assign(ordered, held.X).labels.tolist()
    M, _ = brute_force(ordered)
    np.testing.assert_allclose(found, np.where(M > 0.9, M, 0.0), atol=2e-6)


def test_the_ledger_and_the_table_say_how_training_went_and_how_clusters_are(
    spark, source, two_levels
):
    root, _ = source
    _, cluster, score = two_levels
    history = [v for k, v in sorted(cluster.metrics.items()) if k.startswith("objective_")]
    assert history[-1] == cluster.metrics["objective"]
    assert len(history) == cluster.metrics["iterations"] + 1
    rows = table(spark, root / "two", "clusters").collect()
    sizes = np.array([r["n_rows"] for r in rows])
    n, k = sizes.sum(), len(sizes)
    assert n == 600
    assert score.metrics["imbalance"] == pytest.approx(k * (sizes.astype(float) ** 2).sum() / n**2)
    assert score.metrics["rows_max"] == sizes.max()
    bins = {m: v for m, v in score.metrics.items() if m.startswith("clusters_of_")}
    assert sum(bins.values()) == k
    assert bins["clusters_of_1e0"] == ((sizes > 0) & (sizes < 10)).sum()
    scores = table(spark, root / "two", "scores").collect()
    shares = {c: [] for c in range(k)}
    for r in scores:
        shares[r["cluster_id"]].append(r["max_similarity"] > 0.9)
    for r in rows:
        if r["n_rows"]:
            assert r["duplicate_share"] == pytest.approx(np.mean(shares[r["cluster_id"]]))


@pytest.mark.long
def test_centroids_of_another_run_are_used_again(spark, source, two_levels):
    root, X = source
    more = np.concatenate([X[:50], near_duplicates(100, 8, seed=9)])
    write_vectors(spark, root / "more", more)
    given = f"{root}/two/centroids"
    config = job(root, "again", source="more", centroids=given)
    records = scored(spark, config)
    assert records[1].counts["n_clusters"] == 64
    held, old = (collect_centroids(table(spark, root / o, "centroids")) for o in ("again", "two"))
    assert held.X.tobytes() == old.X.tobytes()
    assert held.cells.tolist() == old.cells.tolist()
    again = run_cluster(open_job(spark, config))
    assert again.reused
    pinned = job(root, "again", source="more", centroids=f"{given}@0")
    assert not run_cluster(open_job(spark, pinned)).reused
    assert (
        collect_centroids(table(spark, root / "again", "centroids")).X.tobytes() == old.X.tobytes()
    )


@pytest.mark.long
def test_a_table_made_again_under_the_name_of_given_centroids_is_another_one(
    spark, source, two_levels
):
    root, _ = source
    place = OutputRoot.parse(f"{root}/copy")
    shutil.copytree(root / "two" / "centroids", root / "copy" / "centroids")
    config = job(root, "copied", centroids=f"{root}/copy/centroids@0")
    run_embed(open_job(spark, config))
    old = run_cluster(open_job(spark, config))
    assert run_cluster(open_job(spark, config)).reused
    mark = mark_at(spark, place, "centroids", 0)
    shutil.rmtree(root / "copy" / "centroids")
    turned = F.transform("centroid", lambda value: -value).alias("centroid")
    rows = table(spark, root / "two", "centroids")
    rows = rows.select(*(turned if name == "centroid" else name for name in rows.columns))
    assert replace_table(rows, place, "centroids", mark).version == 0
    new = run_cluster(open_job(spark, config))
    assert not new.reused
    assert new.result_key != old.result_key
    held, given = (
        collect_centroids(table(spark, root / o, "centroids")) for o in ("copied", "two")
    )
    assert held.X.tolist() == (-given.X).tolist()


def test_centroids_of_another_encoder_or_dimension_are_refused_before_anything_is_written(
    spark, source, two_levels
):
    root, X = source
    write_vectors(spark, root / "wide", np.hstack([X[:60], X[:60]]))
    config = job(root, "wide-out", source="wide", centroids=f"{root}/two/centroids")
    run_embed(open_job(spark, config))
    with pytest.raises(ConfigError, match=r"as many numbers as an embedding, 16\. They have 8"):
        run_cluster(open_job(spark, config))
    text = {"kind": "text", "format": "delta", "path": str(root / "source"), "id": "doc"}
    other = job(root, "text-out", centroids=f"{root}/two/centroids").model_dump()
    other |= {"source": {**text, "content": "note"}, "embed": {"encoder": "minilm"}}
    from semdedup_spark import parse_config

    with pytest.raises(MixedEncodersError, match="of the encoder that makes the embeddings"):
        run_embed(open_job(spark, parse_config(other)))
    assert not (root / "text-out").exists()
    with pytest.raises(ConfigError, match="must be a Delta table"):
        run_embed(open_job(spark, job(root, "none", centroids=f"{root}/absent")))
    foreign = job(root, "none", centroids=f"{root}/source")
    with pytest.raises(MixedEncodersError, match="must say which encoder"):
        run_embed(open_job(spark, foreign))


@pytest.mark.long
def test_rows_that_are_all_alike_are_one_cluster_and_the_ledger_says_so(spark, tmp_path):
    write_vectors(spark, tmp_path / "source", np.ones((30, 4)))
    config = vectors_job(tmp_path / "out", tmp_path / "source", cluster={"n_clusters": 5})
    for stage in (run_embed, run_cluster, run_score):
        record = stage(open_job(spark, config))
        if stage is run_cluster:
            assert record.counts["n_clusters_wanted"] == 5
            assert record.counts["n_clusters"] == 1
    assert table(spark, tmp_path / "out", "scores").filter("max_similarity = 1").count() == 29


def test_auto_says_before_clustering_what_it_will_choose_and_what_it_costs(spark, source):
    root, X = source
    config = job(root, "auto", n_clusters="auto")
    run_embed(open_job(spark, config))
    plan = run_plan(open_job(spark, config))
    assert plan.choices == []
    assert plan.forecast.n_clusters == plan.n_clusters == 1
    assert plan.forecast.comparisons == pytest.approx(len(X) ** 2 / 2)
    assert run_cluster(open_job(spark, config)).counts["n_clusters"] == 1
    held = collect_centroids(table(spark, root / "auto", "centroids"))
    assert assign(held.X, held.X).labels.tolist() == [0]
