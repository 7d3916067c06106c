import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semdedup_spark.kernels.score import sketches
from semdedup_spark.kernels.score.routes import route
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.score.unit_plan import plan_units
from semdedup_spark.kernels.select import components
from semdedup_spark.kernels.select.components import first_linked, merge_pairs
from semdedup_spark.kernels.vectors import first_of_equal_rows, float32_threshold, hash_rows
from tests.kernels.score.test_similarity import random_rows
from tests.kernels.score.test_unit import make

fixture_is_the_same_for_all = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=["plain products", "every block is dense", "no block is dense"])
def ways(request, monkeypatch):
    """Products, or sketches also where they save nothing; small blocks."""
    monkeypatch.setattr(components, "PANEL_ROWS", 3)
    monkeypatch.setattr(sketches, "BLOCK", 5)
    monkeypatch.setattr(sketches, "PANEL", 3)
    if request.param != "plain products":
        monkeypatch.setattr(sketches, "DENSE", 0.0 if "every" in request.param else 2.0)

        def any_basis(X, _n_pairs, _above):
            return np.linalg.qr(random_rows(len(X), X.shape[1], 2))[0] if len(X) > 1 else None

        monkeypatch.setattr(components, "choose_basis", any_basis)


def first_of_components(n, edges):
    """By networkx: for each node the least of its component."""
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(edges)
    first = np.empty(n, dtype=int)
    for component in nx.connected_components(graph):
        first[list(component)] = min(component)
    return first


def through_units(X, labels, unit_rows, above, block):
    """Plan and route as the job does; what the units link, merged."""
    plan = plan_units(np.bincount(labels, minlength=int(labels.max()) + 1), unit_rows=unit_rows)
    hashes = hash_rows(X)
    travels = first_of_equal_rows(X, hashes) == np.arange(len(X))
    routes = route(labels.astype(np.int32), hashes, plan, travels=travels)
    edges = []
    for unit in np.unique(routes.unit):
        here = np.flatnonzero(routes.unit == unit)
        here = here[np.argsort(routes.row[here])]
        rows = routes.row[here]
        own = np.arange(len(rows))
        in_order = UnitRowsInOrder(X[rows], hashes[rows], own, routes.tile[here], routes.role[here])
        first = first_linked(in_order, above=above, block=block)
        assert (first <= own).all()
        edges += zip(rows, rows[first], strict=True)
    return first_of_components(len(X), edges)


@fixture_is_the_same_for_all
@given(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 5), st.integers(1, 6)),
    st.integers(2, 50),
    st.integers(1, 9),
    st.sampled_from([0.3, 0.8, 0.95]),
)
def test_units_of_any_size_link_what_networkx_connects(ways, instance, unit_rows, block, above):
    X, labels = make(*instance)
    above = float32_threshold(above)
    products = X.astype(np.float64) @ X.astype(np.float64).T
    equal = (X[:, None] == X[None]).all(axis=2)
    if np.any((np.abs(products - above) < 1e-5) & ~equal):
        return  # rounding would decide
    linked = ((products > above) | equal) & (labels[:, None] == labels[None])
    expected = first_of_components(len(X), np.argwhere(linked))
    assert (through_units(X, labels, unit_rows, above, block) == expected).all()


@given(
    st.integers(1, 60),
    st.lists(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=30), max_size=5),
)
def test_pairs_merged_in_any_portions_give_the_components_of_all(n, portions):
    first = np.arange(n)
    edges = []
    for portion in portions:
        pairs = np.array([p for p in portion if max(p) < n], dtype=np.int64).reshape(-1, 2)
        merge_pairs(first, pairs[:, 0], pairs[:, 1])
        edges += pairs.tolist()
    assert (first == first_of_components(n, edges)).all()


def test_a_long_chain_and_a_hub_are_one_component_each():
    n = 3000
    angle = np.concatenate([0.02 * np.arange(n), np.full(n, 200.0)])
    X = np.stack([np.cos(angle), np.sin(angle), np.zeros(2 * n)], axis=1)
    X[:n, 2], X[n:, 2] = 0.0, 1e3  # a chain winding around a circle; a hub of near copies, far away
    X[n:, :2] = np.random.default_rng(0).standard_normal((n, 2))
    X = (X / np.linalg.norm(X, axis=1)[:, None]).astype(np.float32)
    order = np.random.default_rng(1).permutation(2 * n)
    zeros = np.zeros(2 * n, np.int32)
    rows = UnitRowsInOrder(X[order], hash_rows(X[order]), np.arange(2 * n), zeros, zeros)
    first = first_linked(rows, above=float(np.cos(0.021)))
    chain = order < n
    assert set(first[chain]) == {np.flatnonzero(chain)[0]}
    assert set(first[~chain]) == {np.flatnonzero(~chain)[0]}


@given(st.floats(-1, 1))
def test_a_float32_exceeds_the_threshold_exactly_when_it_exceeds_the_double(value):
    threshold = np.float32(float32_threshold(value))
    near = np.float32(value)
    for x in (near, np.nextafter(near, np.float32(2)), np.nextafter(near, np.float32(-2))):
        assert (x > threshold) == (float(x) > value)
