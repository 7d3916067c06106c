"""Whole jobs: how embeddings are stored changes no result, and a table keeps its way."""

import numpy as np
import pytest

from tests.jobs.jobfiles import near_duplicates, rows_of, run, table, vectors_job, write_vectors

SCORES = ("id", "batch", "cluster_id", "rank_key", "max_similarity", "neighbor_id")


@pytest.fixture(scope="module")
def sources(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("storage")
    X = near_duplicates(300, 8)
    write_vectors(spark, root / "source", X)
    write_vectors(spark, root / "other", X[:40] + 0.01)
    return root, X


def job(root, storage, *, output=None, reference=None):
    config = vectors_job(
        root / (output or storage),
        root / "source",
        embed={"encoder": "none", "storage": storage},
        cluster={"n_clusters": 5, "seeding": "mllib"},
        score={"recall": "exact", "eps_max": 0.2},
        select={"resolution": "paper" if reference else "cover"},
    )
    path = {"path": str(root / reference)} if reference else None
    other = config.source.model_copy(update=path) if path else None
    return config.model_copy(update={"reference": other})


def results(spark, config):
    scores = table(spark, config.output, "scores").select(*SCORES)
    found = sorted(tuple(row) for row in scores.collect())
    return found, rows_of(spark, config.output, "duplicates")


@pytest.mark.long
def test_packed_embeddings_give_the_same_scores_and_the_same_duplicates(spark, sources):
    root, X = sources
    lists, packed = job(root, "array"), job(root, "binary")
    for config in (lists, packed):
        run(spark, config)
    assert results(spark, lists) == results(spark, packed)
    kinds = [dict(table(spark, c.output, "embeddings").dtypes) for c in (lists, packed)]
    assert [kind["embedding"] for kind in kinds] == ["array<float>", "binary"]
    stored = table(spark, packed.output, "embeddings").orderBy("id").collect()
    first = np.frombuffer(stored[0]["embedding"], "<f4")
    np.testing.assert_allclose(first, X[0] / np.linalg.norm(X[0]), atol=1e-6)


@pytest.mark.long
def test_a_table_keeps_the_way_it_is_stored_in_when_rows_are_added(spark, sources):
    root, X = sources
    run(spark, job(root, "binary", output="grown"))
    write_vectors(spark, root / "source", np.concatenate([X, X[:9] + 0.01]))
    run(spark, job(root, "array", output="grown"))
    write_vectors(spark, root / "source", X)
    embeddings = table(spark, root / "grown", "embeddings")
    assert embeddings.filter("batch = 1").count() == 9
    assert dict(embeddings.dtypes)["embedding"] == "binary"
    assert embeddings.filter("octet_length(embedding) = 32").count() == 309


@pytest.mark.long
def test_a_reference_may_be_stored_in_another_way_than_what_is_compared_with_it(spark, sources):
    root, _ = sources
    run(spark, job(root, "binary", output="mixed"))
    run(spark, job(root, "array", output="mixed", reference="other"))
    kinds = [
        dict(table(spark, root / "mixed", name).dtypes)["embedding"]
        for name in ("embeddings", "reference")
    ]
    assert kinds == ["binary", "array<float>"]
    assert table(spark, root / "mixed", "duplicates").count() >= 40
