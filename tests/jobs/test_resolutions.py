"""Whole selections by each resolution, against plain oracles over the rows themselves."""

from functools import partial

import networkx as nx
import numpy as np
import pytest

from semdedup_spark.config import parse_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import open_job, run_select
from semdedup_spark.pipeline.stages import compare_plan
from tests.jobs.jobfiles import near_duplicates, run, table, vectors_job, write_vectors
from tests.oracle import kept_by_m, kept_greedily

EPS = 0.05
LONG = partial(pytest.param, marks=pytest.mark.long)


@pytest.fixture(scope="module", params=[LONG("cluster"), "exact", LONG({"probes": 1})], ids=str)
def lake(spark, tmp_path_factory, request):
    """(config, rows in rank order, their graph): 500 rows with chains, a hub and copies."""
    root = tmp_path_factory.mktemp("resolutions")
    rng = np.random.default_rng(3)
    X = near_duplicates(500, 6)
    for i in range(20, 119):  # a chain of small steps through several clusters
        X[i + 1] = X[i] + 0.17 * rng.standard_normal(6)
    X[120:180] = X[120] + 0.13 * np.linalg.norm(X[120]) / 3 * rng.standard_normal((60, 6))
    X[180:190] = X[60]  # copies in the middle of the chain
    write_vectors(spark, root / "source", X)
    config = vectors_job(
        root / "out",
        root / "source",
        cluster={"n_clusters": 12},
        score={"recall": request.param, "rank_by": "random", "eps_max": 0.1},
    )
    run(spark, config)
    rows = table(spark, root / "out", "scores").orderBy("batch", "rank_key", "id").collect()
    ordered = unit_rows(X.astype(np.float32)).X[[int(r["id"].split("-")[1]) for r in rows]]
    wide = ordered.astype(float)
    products = wide @ wide.T
    equal = (ordered[:, None] == ordered[None]).all(axis=2)
    assert not np.any((np.abs(products - (1 - EPS)) < 1e-5) & ~equal)
    labels = np.array([r["cluster_id"] for r in rows])
    if request.param == "exact":
        labels = np.zeros_like(labels)
    return config, rows, ordered, labels, products


def selected(spark, config, resolution, **select):
    asked = {"name": resolution, "resolution": resolution, **select}
    changed = config.model_copy(update={"select": config.select.model_copy(update=asked)})
    record = run_select(open_job(spark, changed))
    kept = {r["doc"] for r in table(spark, config.output, f"deduplicated_{resolution}").collect()}
    removed = {
        r["id"]: r for r in table(spark, config.output, f"duplicates_{resolution}").collect()
    }
    assert not kept & removed.keys()
    assert record.counts["kept"] + record.counts["removed"] == record.counts["read"]
    assert all(r["survivor_id"] in kept for r in removed.values())
    return kept, removed, record


def test_each_resolution_keeps_what_its_oracle_keeps(spark, lake):
    config, rows, X, labels, products = lake
    ids = np.array([r["id"] for r in rows])
    by_paper, _, _ = selected(spark, config, "paper")
    by_cover, covered, record = selected(spark, config, "cover")
    by_components, grouped, _ = selected(spark, config, "components")
    assert by_components < by_paper < by_cover  # and strictly: there are chains
    M = np.array([r["max_similarity"] for r in rows])
    assert by_paper == set(ids[list(kept_by_m(M, EPS))])
    assert all(r["covered"] for r in covered.values())
    assert record.counts["uncovered"] == 0
    place = {row: j for j, row in enumerate(ids)}
    for r in covered.values():
        assert products[place[r["id"]], place[r["survivor_id"]]] > 1 - EPS
        assert place[r["survivor_id"]] < place[r["id"]]
    if config.score.recall not in ("cluster", "exact"):
        return  # with a budget, which pairs are compared is the routing's affair
    assert by_cover == set(ids[list(kept_greedily(X, labels, EPS))])
    graph = nx.Graph()
    graph.add_nodes_from(range(len(X)))
    graph.add_edges_from(np.argwhere((products > 1 - EPS) & (labels[:, None] == labels[None])))
    first = {j: min(part) for part in nx.connected_components(graph) for j in part}
    assert by_components == {ids[j] for j in set(first.values())}
    assert all(first[place[r["id"]]] == place[r["survivor_id"]] for r in grouped.values())
    for r in grouped.values():
        assert r["reason"] == ("similarity" if M[place[r["id"]]] > 1 - EPS else "component")
        direct = products[place[r["id"]], place[r["survivor_id"]]]
        np.testing.assert_allclose(r["survivor_similarity"], direct, atol=2e-6)
    assert {r["reason"] for r in grouped.values()} == {"similarity", "component"}


@pytest.mark.parametrize("lake", ["exact"], indirect=True, scope="module")
@pytest.mark.long
def test_tiles_of_cut_clusters_and_other_partitions_change_nothing(spark, lake, monkeypatch):
    config, *_ = lake
    before = [selected(spark, config, how)[1] for how in ("cover", "components")]
    whole = compare_plan.plan_units
    monkeypatch.setattr(
        compare_plan,
        "plan_units",
        lambda sizes, *, unit_rows, probes: whole(sizes, unit_rows=40, probes=probes),
    )
    for how, rows in zip(("cover", "components"), before, strict=True):
        again = selected(spark, config, how, eps=EPS, max_removed_fraction=1.0)[1]
        assert {k: r["survivor_id"] for k, r in again.items()} == {
            k: r["survivor_id"] for k, r in rows.items()
        }


@pytest.mark.parametrize("resolution", ["cover", "components"])
def test_keep_goes_with_the_papers_rule_only_and_says_why(resolution):
    with pytest.raises(ConfigError, match="known only once it is made"):
        parse_config(
            {
                "output": "out",
                "source": {"kind": "text", "table": "t", "id": "i", "content": "c"},
                "select": {"keep": 0.5, "resolution": resolution},
            }
        )
