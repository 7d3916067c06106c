"""Two sources: what the reference has goes from the source, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark.kernels.vectors import unit_rows
from tests.jobs.jobfiles import near_duplicates, rows_of, run, table, vectors_job, write_vectors

EPS = 0.05
D = 6


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    """Ids collide: both sides count from row-00000. Train rows 0 to 29 are near copies of test
    rows, 30 to 39 exact ones, of which 39 and 38 show the same; rows 40 to 60 copy each other.
    """
    root = tmp_path_factory.mktemp("reference")
    test = near_duplicates(60, D, seed=1)
    rng = np.random.default_rng(2)
    train = rng.standard_normal((150, D))
    train[:30] = test[:30] + 0.05 * rng.standard_normal((30, D))
    train[30:40] = test[30:40]
    train[39] = train[38]
    train[40:60] = train[40]
    write_vectors(spark, root / "train", train)
    write_vectors(spark, root / "test", test)
    config = against(root, recall="exact")
    return root, train, test, config, run(spark, config)


def against(root, output="out", **score):
    config = vectors_job(
        root / output, root / "train", score={"eps_max": 0.2, **score}, select={"eps": EPS}
    )
    reference = config.source.model_copy(update={"path": str(root / "test")})
    return config.model_copy(update={"reference": reference})


def check(spark, config, train, test):
    A, B = (unit_rows(X.astype(np.float32)).X.astype(np.float64) for X in (train, test))
    products = np.minimum(A @ B.T, 1.0)
    M = products.max(axis=1)
    assert not np.any(np.abs(M - (1 - EPS)) < 1e-5)
    removed = np.flatnonzero(M > 1 - EPS)
    assert 20 < len(removed) < len(train)
    found = {r["id"]: r for r in table(spark, config.output, "duplicates").collect()}
    assert sorted(found) == [f"row-{i:05d}" for i in removed]
    for i in removed:
        row = found[f"row-{i:05d}"]
        assert abs(row["similarity"] - M[i]) < 2e-6
        assert row["survivor_id"] == row["neighbor_id"]
        assert abs(products[i, int(row["neighbor_id"].split("-")[1])] - M[i]) < 2e-6
    kept = [row[0] for row in rows_of(spark, config.output, "deduplicated", "doc")]
    assert sorted([*kept, *found]) == [f"row-{i:05d}" for i in range(len(train))]


def test_what_the_reference_has_is_removed_whatever_the_ids_and_copies_within_stay(spark, done):
    _, train, test, config, summary = done
    check(spark, config, train, test)
    assert (summary.read, summary.kept + summary.removed) == (150, 150)
    assert summary.records[4].counts["read"] == 60
    kept = {row[0] for row in rows_of(spark, config.output, "deduplicated", "doc")}
    assert {f"row-{i:05d}" for i in range(40, 60)} <= kept
    assert all(record.reused for record in run(spark, config).records)


def test_new_rows_of_the_source_cost_themselves_and_a_new_reference_costs_all(spark, done):
    root, train, test, config, _ = done
    config = against(root, "nights", recall="exact")
    run(spark, config)
    more = np.concatenate([train[5:], test[50:] + 0.01])  # ids move: most rows are changed ones
    write_vectors(spark, root / "train", more)
    run(spark, config)
    check(spark, config, more, test)
    write_vectors(spark, root / "test", test[:40])
    summary = run(spark, config)
    assert "reference" in summary.records[2].why
    check(spark, config, more, test[:40])
    write_vectors(spark, root / "train", train)
    write_vectors(spark, root / "test", test)
