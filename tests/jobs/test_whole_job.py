"""Whole jobs over ready-made vectors: scores against the oracle, books, repetition, determinism."""

import json
from pathlib import Path

import numpy as np
import pytest

from semdedup_spark.errors import HorizonError, StageOrderError
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import open_job, run_cluster, run_embed, run_score, run_select
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


@pytest.fixture(scope="module")
def done(spark, tmp_path_factory):
    """One finished job: (output, config, summary, X)."""
    root = tmp_path_factory.mktemp("whole")
    X = near_duplicates()
    write_vectors(spark, root / "source", X)
    config = vectors_job(root / "out", root / "source")
    return root / "out", config, run(spark, config), X


def scores_in_rank_order(spark, output, X):
    rows = table(spark, output, "scores").orderBy("batch", "rank_key", "id").collect()
    unit = unit_rows(X.astype(np.float32)).X
    return rows, unit[[int(r["id"].split("-")[1]) for r in rows]]


def test_scores_equal_brute_force_within_clusters(spark, done):
    output, _, _, X = done
    rows, ordered = scores_in_rank_order(spark, output, X)
    assert len({r["cluster_id"] for r in rows}) == 5
    M, neighbor = brute_force(ordered, [r["cluster_id"] for r in rows])
    np.testing.assert_allclose([r["max_similarity"] for r in rows], M, atol=2e-6)
    ids = [r["id"] for r in rows]
    for j, r in enumerate(rows):
        assert r["neighbor_id"] == (ids[neighbor[j]] if neighbor[j] >= 0 else None)


def test_the_rank_order_low_prefers_rows_far_from_their_centroid(spark, done):
    output, _, _, _ = done
    for row in table(spark, output, "scores").collect():
        assert row["rank_key"] == row["centroid_similarity"]


def test_kept_and_duplicates_follow_the_strict_rule(spark, done):
    output, _, summary, X = done
    rows, ordered = scores_in_rank_order(spark, output, X)
    M, neighbor = brute_force(ordered, [r["cluster_id"] for r in rows])
    ids = [r["id"] for r in rows]
    kept = kept_by_m(M, 0.05)
    assert {r["doc"] for r in table(spark, output, "deduplicated").collect()} == {
        ids[j] for j in kept
    }
    duplicates = {r["id"]: r for r in table(spark, output, "duplicates").collect()}
    assert duplicates.keys() == set(ids) - {ids[j] for j in kept}
    for j in set(range(len(ids))) - kept:
        found, end = duplicates[ids[j]], survivor(j, neighbor, M, 0.05)
        assert found["neighbor_id"] == ids[neighbor[j]]
        assert found["survivor_id"] == ids[end]
        direct = ordered[end].astype(float) @ ordered[j].astype(float)
        np.testing.assert_allclose(found["survivor_similarity"], direct, atol=2e-6)
        assert found["covered"] == (direct > 0.95)
    assert summary.kept == len(kept)


def test_kept_removed_and_quarantined_add_up_to_what_was_read(done):
    _, _, summary, X = done
    assert summary.kept + summary.removed + summary.quarantined == summary.read == len(X)


def test_source_columns_come_out_unchanged(spark, done):
    output, _, _, X = done
    frame = table(spark, output, "deduplicated")
    assert frame.dtypes == [("doc", "string"), ("v", "array<double>"), ("note", "string")]
    for row in frame.collect():
        i = int(row["doc"].split("-")[1])
        assert row["v"] == X[i].tolist()
        assert row["note"] == f"note {i}"


def test_every_column_of_every_table_carries_its_comment(spark, done):
    output, *_ = done
    tables = ("embeddings", "centroids", "scores", "duplicates", "quarantine", "runs")
    for name in (*tables, "deduplicated"):
        described = spark.sql(f"DESCRIBE TABLE delta.`{output}/{name}`").collect()
        assert all(row["comment"] for row in described), name


def test_the_tables_are_readable_without_spark(done):
    from deltalake import DeltaTable

    output, _, summary, _ = done
    for name in (
        "embeddings",
        "centroids",
        "scores",
        "deduplicated",
        "duplicates",
        "quarantine",
        "runs",
    ):
        DeltaTable(str(output / name)).to_pyarrow_table()
    scores = DeltaTable(str(output / "scores")).to_pandas()
    assert (~(scores["max_similarity"].astype("float64") > 0.95)).sum() == summary.kept


def test_the_table_clusters_has_exact_statistics(spark, done):
    output, *_ = done
    counted = {
        r["cluster_id"]: r["count"]
        for r in table(spark, output, "scores").groupBy("cluster_id").count().collect()
    }
    for row in table(spark, output, "clusters").collect():
        assert row["n_rows"] == counted[row["cluster_id"]]
        assert 0 < row["min_similarity"] <= row["mean_similarity"] <= 1


def test_a_second_run_reuses_every_stage_appends_nothing_and_reads_no_row(spark, done):
    output, config, first, _ = done
    before = {
        name: rows_of(spark, output, name)
        for name in ("embeddings", "scores", "duplicates", "deduplicated")
    }
    source = Path(config.source.path)
    files = [(file, file.with_suffix(".away")) for file in source.glob("*.parquet")]
    assert files  # Delta's log stays, and says that the version is the same
    for file, away in files:
        file.rename(away)
    try:
        again = run(spark, config)
    finally:
        for file, away in files:
            away.rename(file)
    assert [r.reused for r in again.records] == [True] * 4
    assert (again.read, again.kept, again.removed) == (first.read, first.kept, first.removed)
    for name, rows in before.items():
        assert rows_of(spark, output, name) == rows


def test_named_selections_lie_side_by_side_and_each_is_reused_by_itself(spark, done):
    output, config, first, _ = done
    plain = rows_of(spark, output, "duplicates")

    def named(**select):
        return config.model_copy(update={"select": config.select.model_copy(update=select)})

    strict = named(name="strict", eps=0.01)
    for selection in (strict, named(name="loose", eps=0.2)):
        summary = run(spark, selection)
        assert [r.reused for r in summary.records] == [True, True, True, False]
    assert run(spark, strict).records[3].reused
    again = run(spark, config)
    assert all(r.reused for r in again.records)
    assert rows_of(spark, output, "duplicates") == plain
    counts = {name: table(spark, output, name).count() for name in (
        "deduplicated_strict", "deduplicated", "deduplicated_loose", "duplicates_strict",
        "duplicates_loose")}  # fmt: skip
    assert counts["deduplicated"] == first.kept
    assert counts["deduplicated_strict"] > counts["deduplicated"] > counts["deduplicated_loose"]
    for name in ("strict", "loose"):
        assert counts[f"deduplicated_{name}"] + counts[f"duplicates_{name}"] == first.read
        described = spark.sql(f"DESCRIBE TABLE delta.`{output}/duplicates_{name}`").collect()
        assert all(row["comment"] for row in described)


def test_a_changed_setting_recomputes_from_there_and_says_why(spark, done):
    _, config, _, _ = done
    changed = config.model_copy(update={"select": config.select.model_copy(update={"eps": 0.2})})
    summary = run(spark, changed)
    assert [r.reused for r in summary.records] == [True, True, True, False]
    assert "eps 0.05 -> 0.2" in summary.records[3].why
    back = run(spark, config)  # and back again: the older output is not mistaken for the newer
    assert back.records[3].reused is False
    assert back.kept != summary.kept


def test_the_ledger_names_versions_counts_and_software(spark, done):
    output, *_ = done
    rows = table(spark, output, "runs").filter("not reused").collect()
    embed = next(r for r in rows if r["stage"] == "embed")
    assert embed["outputs"]["embeddings"] >= 0
    assert embed["counts"]["read"] == 400
    assert "pyspark" in embed["software"]
    assert json.loads(embed["config"])["embed"]["encoder"] == "none"
    assert embed["inputs"]["source"].startswith("delta:")


@pytest.mark.long
@pytest.mark.parametrize("rank_by", ["high", "random"])
def test_other_rank_orders_equal_brute_force_too(spark, done, tmp_path, rank_by):
    _, config, _, X = done
    config = config.model_copy(
        update={
            "output": str(tmp_path / "out"),
            "score": config.score.model_copy(update={"rank_by": rank_by}),
        }
    )
    scored(spark, config)
    rows, ordered = scores_in_rank_order(spark, tmp_path / "out", X)
    M, _ = brute_force(ordered, [r["cluster_id"] for r in rows])
    np.testing.assert_allclose([r["max_similarity"] for r in rows], M, atol=2e-6)
    if rank_by == "high":
        assert all(r["rank_key"] == -r["centroid_similarity"] for r in rows)


def test_the_result_does_not_depend_on_files_order_partitions_or_batch_size(spark, done, tmp_path):
    _, config, _, X = done
    run(spark, config)
    expected = {
        name: rows_of(spark, config.output, name)
        for name in ("scores", "duplicates", "deduplicated")
    }
    order = np.random.default_rng(1).permutation(len(X)).tolist()
    write_vectors(spark, tmp_path / "source", X, files=7, order=order)
    other = config.model_copy(
        update={
            "output": str(tmp_path / "out"),
            "source": config.source.model_copy(update={"path": str(tmp_path / "source")}),
        }
    )
    settings = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": "13",
        "spark.sql.shuffle.partitions": "5",
    }
    before = {key: spark.conf.get(key) for key in settings}
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        run(spark, other)
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
    for name, rows in expected.items():
        assert rows_of(spark, tmp_path / "out", name) == rows, name


@pytest.mark.long
def test_clusters_cut_into_tiles_give_the_same_scores(spark, done, tmp_path, monkeypatch):
    from semdedup_spark.pipeline.stages import compare_plan

    _, config, _, _ = done
    run(spark, config)
    expected = rows_of(spark, config.output, "scores")
    whole = compare_plan.plan_units
    monkeypatch.setattr(
        compare_plan, "plan_units", lambda sizes, *, unit_rows, probes: whole(sizes, unit_rows=30)
    )
    scored(spark, config.model_copy(update={"output": str(tmp_path / "out")}))
    found = rows_of(spark, tmp_path / "out", "scores")
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a[5], b[5], atol=2e-6)
        assert a[:5] + a[6:] == b[:5] + b[6:]


def test_keep_selects_the_eps_of_that_quantile(spark, done, tmp_path):
    _, config, _, X = done
    for keep in (0.7, 0.9):
        half = config.model_copy(
            update={
                "select": config.select.model_copy(update={"eps": None, "keep": keep}),
                "score": config.score.model_copy(update={"eps_max": 0.9}),
            }
        )
        summary = run(spark, half)
        assert summary.kept / len(X) >= keep
        assert (summary.kept - 1) / len(X) < keep  # no tie at these quantiles: the least that does


def test_a_kept_fraction_beyond_the_horizon_is_refused_with_the_way_out(spark, done):
    _, config, _, _ = done
    greedy = config.model_copy(
        update={
            "select": config.select.model_copy(update={"eps": None, "keep": 0.05}),
            "score": config.score.model_copy(update={"eps_max": 0.1}),
        }
    )
    with pytest.raises(HorizonError, match=r"set score\.eps_max above"):
        run(spark, greedy)


def test_stages_one_by_one_equal_the_whole_run(spark, done, tmp_path):
    _, config, summary, _ = done
    config = config.model_copy(update={"output": str(tmp_path / "out")})
    with pytest.raises(StageOrderError, match="stage embed must have run"):
        run_cluster(open_job(spark, config))
    for stage in (run_embed, run_cluster, run_score, run_select):
        record = stage(open_job(spark, config))
    assert record.counts["kept"] == summary.kept
    other = config.model_copy(update={"cluster": config.cluster.model_copy(update={"seed": 9})})
    with pytest.raises(StageOrderError, match="seed 0 -> 9"):
        run_score(open_job(spark, other))


def test_a_stage_whose_input_was_made_anew_is_not_worked_on(spark, done, tmp_path):
    _, config, _, X = done
    write_vectors(spark, tmp_path / "source", X[:200])
    config = config.model_copy(
        update={
            "output": str(tmp_path / "out"),
            "source": config.source.model_copy(update={"path": str(tmp_path / "source")}),
        }
    )
    run(spark, config)
    write_vectors(spark, tmp_path / "source", X[:300])
    run_embed(open_job(spark, config))
    with pytest.raises(StageOrderError, match="made from the newest embeddings"):
        run_select(open_job(spark, config))
    run_cluster(open_job(spark, config))
    with pytest.raises(StageOrderError, match="Stage embed has run again since"):
        run_select(open_job(spark, config))


def test_a_table_changed_by_another_hand_is_recomputed(spark, done, tmp_path):
    _, config, summary, _ = done
    config = config.model_copy(update={"output": str(tmp_path / "out")})
    run(spark, config)
    spark.sql(f"OPTIMIZE delta.`{tmp_path}/out/scores`")  # maintenance is no change
    assert all(r.reused for r in run(spark, config).records)
    spark.sql(f"DELETE FROM delta.`{tmp_path}/out/scores` WHERE cluster_id = 0")
    again = run(spark, config)
    assert [r.reused for r in again.records] == [True, True, False, True]
    assert "scores was changed" in again.records[2].why
    assert again.kept == summary.kept
