"""The earlier row that a row may go for, where rows must agree: that of brute force."""

from collections import Counter

import numpy as np
import pytest
from pyspark.sql import functions as F

from semdedup_spark.kernels.vectors import paired_similarity, unit_rows
from semdedup_spark.transforms.select.nearest import Agreeing, nearest_rows
from semdedup_spark.transforms.select.nearest_agreeing import Effort

N, EPS = 300, 0.1


@pytest.fixture(scope="module")
def rows(spark):
    """(vectors in rank order, values, clusters, scores, values and embeddings as frames)."""
    rng = np.random.default_rng(2)
    base = rng.normal(size=(20, 5))
    X = unit_rows((base[rng.integers(0, 20, N)] + 0.2 * rng.normal(size=(N, 5))).astype("f4")).X
    X[100:110] = X[50]
    values = [None if v == 3 else f"v{v}" for v in rng.integers(0, 4, N)]
    clusters = (X[:, 0] > 0).astype(int)
    names = [f"r{(7 * i) % N:03d}" for i in range(N)]  # no order of ids is the rank order
    lines = []
    for i in range(N):
        same = np.flatnonzero(clusters[:i] == clusters[i])
        similarity = paired_similarity(X[same], X[i : i + 1]) if len(same) else np.zeros(1)
        j = int(similarity.argmax())
        neighbor = names[same[j]] if len(same) and similarity[j] > 0 else None
        lines.append((names[i], 0, int(clusters[i]), i, float(similarity.max()), neighbor))
    ddl = "id string, batch int, cluster_id int, rank_key int, max_similarity float,"
    scores = spark.createDataFrame(lines, f"{ddl} neighbor_id string").repartition(5).cache()
    value = spark.createDataFrame(list(zip(names, values, strict=True)), "id string, v string")
    value = value.select("id", F.struct("v").alias("value")).cache()
    vectors = [(name, x.tolist()) for name, x in zip(names, X, strict=True)]
    embeddings = spark.createDataFrame(vectors, "id string, embedding array<float>").cache()
    return X, values, clusters, names, scores, value, embeddings


def by_brute_force(X, values, clusters, names):
    found = {}
    for i in range(N):
        same = [j for j in range(i) if (values[j], clusters[j]) == (values[i], clusters[i])]
        if same:
            similarity = paired_similarity(X[same], X[i : i + 1])
            if similarity.max() > 1 - EPS:
                found[names[i]] = (names[same[int(similarity.argmax())]], similarity.max())
    return found


@pytest.mark.parametrize("effort", [Effort(), Effort(held_rows=3, unit_products=20)])
def test_it_is_the_nearest_earlier_row_that_agrees_however_the_search_is_cut(rows, effort):
    X, values, clusters, names, scores, value, embeddings = rows
    near = nearest_rows(scores, Agreeing(value, embeddings, False, effort), EPS)
    found = {r["id"]: (r["neighbor_id"], r["similarity"]) for r in near.rows.collect()}
    assert found == by_brute_force(X, values, clusters, names)
    differing = {r["id"] for r in near.differing.collect()}
    assert len(differing & found.keys()) > 20 < len(differing - found.keys())
    assert near.unsearched == 0


def test_a_search_that_would_cost_too_much_is_counted_and_leaves_rows_as_they_are(rows):
    *_, scores, value, embeddings = rows
    agreeing = Agreeing(value, embeddings, False, Effort(most_products=10))
    near = nearest_rows(scores, agreeing, EPS)
    assert near.unsearched == near.differing.count() > 0
    assert near.rows.join(near.differing, "id").count() == 0


def test_a_second_threshold_changes_nothing_above_the_first_where_it_would_cost_too_much(rows):
    X, values, clusters, names, scores, value, embeddings = rows
    alone = nearest_rows(scores, Agreeing(value, embeddings, False), EPS)
    wanted = {r["id"] for r in alone.differing.collect()}
    groups = list(zip(values, clusters, strict=True))
    sizes = Counter(groups)
    cost = sum(sizes[group] for name, group in zip(names, groups, strict=True) if name in wanted)
    agreeing = Agreeing(value, embeddings, False, Effort(most_products=cost))
    near = nearest_rows(scores, agreeing, EPS, review=0.4)
    found = {r["id"]: (r["neighbor_id"], r["similarity"]) for r in near.rows.collect()}
    above = {name: to for name, to in found.items() if to[1] > 1 - EPS}
    assert above == by_brute_force(X, values, clusters, names)
    left = {r["id"] for r in near.differing.collect()} - wanted
    assert near.unsearched == len(left) > 0
    assert not left & found.keys()
    assert found.keys() > above.keys()  # rows of the band that agree need no search
