"""Whole jobs whose recall is proved: nothing depends on how the rows were clustered."""

import numpy as np
import pytest

import semdedup_spark.pipeline.stages.cluster as cluster_stage
from semdedup_spark.kernels.cluster.lloyd import Clustering
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import open_job, run_plan
from tests.jobs.jobfiles import (
    near_duplicates,
    rows_of,
    run,
    scored,
    table,
    vectors_job,
    write_vectors,
)
from tests.oracle import brute_force, kept_by_m, survivor

EPS = 0.05


@pytest.fixture(scope="module")
def source(spark, tmp_path_factory):
    """(folder, X): 600 rows in 8 dimensions, a third of them near copies, in chains."""
    root = tmp_path_factory.mktemp("recall")
    X = near_duplicates(600, 8)
    for i in range(20, 99):  # a chain of small steps through several clusters
        X[i + 1] = X[i] + 0.18 * np.random.default_rng(i).standard_normal(8)
    write_vectors(spark, root / "source", X)
    return root, X


def job(root, *, k=7, seed=0, rank_by="random", recall="exact", output="out"):
    return vectors_job(
        root / output,
        root / "source",
        cluster={"n_clusters": k, "seed": seed},
        score={"recall": recall, "rank_by": rank_by, "eps_max": 0.1, "unit_memory_mb": 1},
        select={"eps": EPS},
    )


def truth(spark, output, X):
    """(ids, M, neighbor) over all pairs, in the rank order that the scores say."""
    rows = table(spark, output, "scores").orderBy("batch", "rank_key", "id").collect()
    ids = [r["id"] for r in rows]
    ordered = unit_rows(X.astype(np.float32)).X[[int(i.split("-")[1]) for i in ids]]
    M, neighbor = brute_force(ordered)
    assert not np.any(np.abs(M - 0.9) < 1e-5)
    assert not np.any(np.abs(M - 0.95) < 1e-5)
    return rows, ids, M, neighbor


def test_exact_recall_gives_the_same_scores_for_any_k_any_seed_and_untrained_centroids(
    spark, source, monkeypatch
):
    root, X = source
    rank_by = "length(note) DESC, v[0]"
    scores = {}

    def note(name, config):
        scored(spark, config)
        found = table(spark, config.output, "scores").collect()
        scores[name] = {r["id"]: (r["neighbor_id"], r["max_similarity"]) for r in found}

    note("k = 1", job(root, k=1, rank_by=rank_by))

    def random_directions(_sample, k, _training, *, levels):
        rows = np.random.default_rng(5).standard_normal((k, X.shape[1]))
        return Clustering(unit_rows(rows).X, np.full(k, len(X) // k), [0.0])

    with monkeypatch.context() as untrained:
        untrained.setattr(cluster_stage, "fit_centroids", random_directions)
        note("untrained", job(root, k=33, rank_by=rank_by))
    note("k = 500, another seed", last := job(root, k=500, seed=99, rank_by=rank_by))

    first = scores["k = 1"]
    for name, found in scores.items():  # all scores above the horizon, to rounding
        for row, (neighbor, similarity) in found.items():
            assert neighbor == first[row][0], name
            assert abs(similarity - first[row][1]) < 2e-6, name
    _, ids, M, _ = truth(spark, root / "out", X)
    run(spark, last)
    kept = [row[0] for row in rows_of(spark, last.output, "deduplicated", "doc")]
    assert sorted(kept) == sorted(ids[j] for j in kept_by_m(M, EPS))


def test_exact_scores_equal_brute_force_over_all_pairs_and_stop_at_the_horizon(spark, source):
    root, X = source
    records = scored(spark, job(root, k=50, rank_by="low"))
    rows, ids, M, neighbor = truth(spark, root / "out", X)
    found = np.array([r["max_similarity"] for r in rows])
    np.testing.assert_allclose(found, np.where(M > 0.9, M, 0.0), atol=2e-6)
    for j, r in enumerate(rows):
        assert r["exhaustive"]
        assert r["neighbor_id"] == (ids[neighbor[j]] if M[j] > 0.9 else None)
    score = records[2]
    certified = {"exhaustive_share": 1.0, "certified_share": 1.0}
    assert score.metrics.items() >= certified.items()
    assert 0 < score.counts["comparisons"] < len(X) ** 2 / 4
    assert score.counts["probes"] > 0


def test_a_survivor_is_found_through_chains_that_cross_clusters(spark, source):
    root, X = source
    run(spark, job(root, k=50, rank_by="note"))  # the chain in its order
    rows, ids, M, neighbor = truth(spark, root / "out", X)
    cluster = {r["id"]: r["cluster_id"] for r in rows}
    place = {row: j for j, row in enumerate(ids)}
    crossing = 0
    for r in table(spark, root / "out", "duplicates").collect():
        end = ids[survivor(place[r["id"]], neighbor, M, EPS)]
        assert r["survivor_id"] == end
        crossing += cluster[r["neighbor_id"]] != cluster[end]
    assert crossing > 3  # some neighbors lie in another cluster than the survivor


@pytest.mark.long
def test_a_budget_of_probes_raises_recall_and_certifies_less_than_it_reaches(spark, source):
    root, X = source
    recalls, certified = [], []
    for t in (0, 2, 50):
        records = scored(spark, job(root, k=50, recall={"probes": t}))
        rows, _, M, _ = truth(spark, root / "out", X)
        found = np.array([r["max_similarity"] for r in rows])
        recalls.append((found > 0.9).sum() / (M > 0.9).sum())
        certified.append(records[2].metrics["certified_share"])
        for r, true in zip(rows, M, strict=True):
            if r["exhaustive"]:
                np.testing.assert_allclose(
                    r["max_similarity"], true if true > 0.9 else 0, atol=2e-6
                )
    assert recalls == sorted(recalls)
    assert recalls[0] < recalls[-1] == 1.0
    assert all(low <= true for low, true in zip(certified, recalls, strict=True))
    assert certified[0] < certified[-1] == 1.0


@pytest.mark.long
def test_tiles_and_probe_tiles_of_cut_clusters_give_the_same_scores(spark, source, monkeypatch):
    from semdedup_spark.pipeline.stages import compare_plan

    root, X = source
    whole = compare_plan.plan_units
    monkeypatch.setattr(
        compare_plan,
        "plan_units",
        lambda sizes, *, unit_rows, probes: whole(sizes, unit_rows=150, probes=probes),
    )
    records = scored(spark, job(root, k=7, rank_by="high", output="cut"))
    assert records[2].counts["units"] > 14
    rows, _, M, _ = truth(spark, root / "cut", X)
    found = np.array([r["max_similarity"] for r in rows])
    np.testing.assert_allclose(found, np.where(M > 0.9, M, 0.0), atol=2e-6)


@pytest.mark.long
def test_where_probes_would_cost_more_all_pairs_are_compared_once(spark, source):
    root, X = source
    config = job(root, k=7)
    wide = config.model_copy(
        update={"score": config.score.model_copy(update={"eps_max": 0.9, "unit_memory_mb": 1})}
    )
    score = scored(spark, wide)[2]
    n = len(X) - 2  # two rows are copies of a third
    assert (score.counts["comparisons"], score.counts["probes"]) == (n * (n - 1) // 2, 0)
    rows = table(spark, root / "out", "scores").orderBy("batch", "rank_key", "id").collect()
    ordered = unit_rows(X.astype(np.float32)).X[[int(r["id"].split("-")[1]) for r in rows]]
    M, _ = brute_force(ordered)
    found = np.array([r["max_similarity"] for r in rows])
    np.testing.assert_allclose(found, np.where(M > 0.1, M, 0.0), atol=2e-6)
    assert all(r["exhaustive"] for r in rows)
    assert len({r["cluster_id"] for r in rows}) == 7


def test_the_plan_foretells_what_scoring_then_does_and_writes_nothing(spark, source):
    root, X = source
    config = job(root, k=50)
    score = scored(spark, config)[2]
    before = spark.sql(f"DESCRIBE HISTORY delta.`{root}/out/runs`").count()
    plan = run_plan(open_job(spark, config))
    assert spark.sql(f"DESCRIBE HISTORY delta.`{root}/out/runs`").count() == before
    choice = next(c for c in plan.choices if (c.recall, c.eps_max) == ("exact", 0.1))
    assert choice.cost.probes == pytest.approx(score.counts["probes"], rel=0.1)
    assert choice.cost.comparisons == pytest.approx(score.counts["comparisons"], rel=0.3)
    paper = plan.choices[0]
    assert (paper.recall, paper.cost.probes, paper.not_cut) == ("cluster", 0, None)
    assert plan.choices[plan.recommended].recall == "exact"  # on 600 rows it costs nothing
    assert (plan.n, plan.n_clusters) == (len(X), table(spark, root / "out", "centroids").count())
