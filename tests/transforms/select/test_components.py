"""Components and survivors through Spark: random graphs, long chains, hubs; rounds are counted."""

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest

from semdedup_spark.transforms.select import components, survivors
from semdedup_spark.transforms.select.components import connected_components
from semdedup_spark.transforms.select.survivors import with_survivors


@pytest.fixture
def rounds(monkeypatch):
    """How often a loop held its rows."""
    seen = []
    for module in (components, survivors):
        whole = module.held
        monkeypatch.setattr(module, "held", lambda rows, whole=whole: seen.append(1) or whole(rows))
    return seen


def random_graphs():
    """Edges of 120 small graphs, sparse to dense, a hub of 2,000 and a tree; ids are shuffled."""
    rng = np.random.default_rng(0)
    graphs = [nx.gnp_random_graph(n, p, seed=n) for n in range(1, 31) for p in (0.02, 0.1, 0.3, 1)]
    graphs += [nx.star_graph(2000), nx.balanced_tree(2, 8), nx.cycle_graph(99)]
    graph = nx.disjoint_union_all(graphs)
    return nx.relabel_nodes(graph, dict(enumerate(rng.permutation(len(graph)).tolist())))


def test_components_are_those_of_networkx(spark):
    graph = random_graphs()
    edges = [(int(a), int(b)) for a, b in graph.edges] + [(5, 5)]
    frame = spark.createDataFrame(edges, "id bigint, other bigint")
    found = {r["id"]: r["component"] for r in connected_components(frame).collect()}
    expected = {
        node: min(part) for part in nx.connected_components(graph) if len(part) > 1 for node in part
    }
    assert found == expected


def test_a_path_of_ten_thousand_is_one_component_after_few_rounds(spark, rounds):
    order = np.random.default_rng(1).permutation(10_000)
    edges = [(f"n{a:05d}", f"n{b:05d}") for a, b in pairwise(order)]
    found = connected_components(spark.createDataFrame(edges, "id string, other string")).collect()
    assert len(found) == 10_000
    assert {r["component"] for r in found} == {"n00000"}
    assert len(rounds) <= 2 * np.log2(10_000)


@pytest.mark.parametrize("n_clusters", [1, 3000])
def test_a_chain_of_ten_thousand_reaches_its_survivor_in_log2_rounds(spark, rounds, n_clusters):
    """Row i goes because of row i - 1; with many clusters each step leads to another one."""
    n = 10_000
    removed = spark.createDataFrame(
        [(i, i - 1, 0.99, i % n_clusters) for i in range(1, n + 1)],
        "id bigint, neighbor_id bigint, similarity float, cluster_id int",
    )
    found = with_survivors(removed, across=n_clusters > 1).select("id", "survivor_id").collect()
    assert {r["id"] for r in found} == set(range(1, n + 1))
    assert {r["survivor_id"] for r in found} == {0}
    assert len(rounds) <= np.ceil(np.log2(n)) + 2
