"""Whole jobs, night after night: what they leave is what one run in the same batch order leaves."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F

import semdedup_spark.pipeline.stages.cluster as cluster_stage
from semdedup_spark.config import SelectConfig
from semdedup_spark.errors import ConfigError, GuardError, StageOrderError
from semdedup_spark.kernels.cluster.lloyd import Clustering
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import (
    DRIFT_BOUND,
    open_job,
    run_forget,
    run_prune,
    run_recluster,
    run_select,
)
from semdedup_spark.pipeline.stages.embed import source_changes
from semdedup_spark.tables import catalog
from semdedup_spark.transforms.score import compare_broadcast
from tests.jobs.jobfiles import near_duplicates, rows_of, run, scored, table, vectors_job
from tests.oracle import brute_force

N, D = 240, 6
ALL = near_duplicates(N, D, seed=3)


def write_source(spark, path, rows):
    """``rows``: id to (vector, quality, batch); of an id U+FFFD is written as a byte that is no
    UTF-8, as which it comes back.
    """
    lines = [(i, [float(v) for v in x], q, b) for i, (x, q, b) in sorted(rows.items())]
    frame = spark.createDataFrame(lines, "doc string, v array<double>, quality int, night int")
    raw = F.unhex(F.regexp_replace(F.hex("doc"), "EFBFBD", "FF")).cast("string")
    frame.withColumn("doc", raw).coalesce(1).write.format("delta").mode("overwrite").save(str(path))


def job(output, source, *, recall="exact", rank_by="low", batch=None, eps_max=0.1):
    config = vectors_job(
        output,
        source,
        cluster={"n_clusters": 9},
        score={"recall": recall, "rank_by": rank_by, "eps_max": eps_max},
        select={"eps": 0.05},
    )
    return config.model_copy(update={"source": config.source.model_copy(update={"batch": batch})})


def other_centroids(_sample, k, _training, *, levels, seed=2):
    centroids = unit_rows(np.random.default_rng(seed).standard_normal((k, D))).X
    return Clustering(centroids, np.full(k, N // k), [0.0])


@pytest.fixture(autouse=True)
def same_centroids(monkeypatch):
    """A clean run would train on all rows; here both runs have the same centroids."""
    monkeypatch.setattr(cluster_stage, "fit_centroids", partial(other_centroids, seed=1))


def name(i):
    """What SQL text and patterns would change on the way."""
    return f"it's ${{env:HOME}} {{}} %s `{i:04d}\\"


def malformed(i):
    """Every tenth is no UTF-8, too."""
    return name(i) + ("" if i % 10 else "\ufffd")


def nights(seed):
    """Two states of the source: it grows, loses rows, and some come back with another vector."""
    rng = np.random.default_rng(seed)
    rows, states = {}, []
    for part in np.array_split(rng.permutation(N), [160]):
        there = sorted(rows)
        if there:
            for i in rng.choice(there, 12, replace=False):
                rows.pop(i)
            for i in rng.choice(sorted(rows), 6, replace=False):
                rows[i] = (ALL[rng.integers(N)], rows[i][1], 0)
            for i in rng.choice(sorted(rows), 4, replace=False):
                rows[i] = (rows[i][0], rows[i][1] + 1, 0)
        rows |= {malformed(i): (ALL[i], int(rng.integers(0, 5)), 0) for i in part}
        states.append(dict(rows))
    return states


def scores_of(spark, output):
    rows = table(spark, output, "scores").collect()
    return {r["id"]: r for r in rows}


def same_scores(spark, one, other):
    """Similarities to rounding."""
    a, b = scores_of(spark, one), scores_of(spark, other)
    assert a.keys() == b.keys()
    for i, row in a.items():
        twin = b[i]
        assert row["neighbor_id"] == twin["neighbor_id"], i
        assert abs(row["max_similarity"] - twin["max_similarity"]) < 2e-6
        for column in ("batch", "cluster_id", "rank_key", "exhaustive", "centroid_similarity"):
            assert row[column] == twin[column], (i, column)


def same_result(spark, one, other):
    """Equal tables; similarities, and what follows from them, to rounding."""
    same_scores(spark, one, other)
    for each in ("deduplicated", "quarantine"):
        assert sorted(map(str, rows_of(spark, one, each))) == sorted(
            map(str, rows_of(spark, other, each))
        )
    for each, keys in (
        ("duplicates", ("id", "neighbor_id", "survivor_id", "covered", "cluster_id")),
        ("clusters", ("cluster_id", "n_rows")),
    ):
        both = [table(spark, output, each).select(*keys).collect() for output in (one, other)]
        assert both[0]
        assert sorted(both[0]) == sorted(both[1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("recall", "rank_by", "few", "targets_travel"),
    [
        ("exact", "low", 1000, True),
        ("cluster", "quality DESC", 0, False),
    ],
)
def test_nights_leave_what_one_run_leaves(
    spark, tmp_path, monkeypatch, recall, rank_by, few, targets_travel
):
    if not targets_travel:
        monkeypatch.setattr(compare_broadcast, "MOST_BYTES", 0)
    monkeypatch.setattr(source_changes, "FEW", few)
    monkeypatch.setattr("semdedup_spark.pipeline.stages.score_changes.FEW", few)
    settings = {"recall": recall, "rank_by": rank_by}
    config = job(tmp_path / "nights", tmp_path / "source", **settings)
    states = nights(len(recall) + len(rank_by))
    for turn, state in enumerate(states):
        write_source(spark, tmp_path / "source", state)
        summary = run(spark, config)
        assert summary.read == len(state)
        score = summary.records[2]
        if turn:
            assert score.counts["targets"] < len(state)
            assert (score.counts["units"] == 0) == targets_travel
            assert summary.records[1].reused
        if few and not turn:
            select_otherwise(spark, config)
    clean = job(tmp_path / "clean", tmp_path / "once", batch="night", **settings)
    batch = {r["id"]: r["batch"] for r in table(spark, config.output, "embeddings").collect()}
    assert sorted(set(batch.values())) == [0, 1]
    once = {i: (x, q, batch[i]) for i, (x, q, _) in states[-1].items()}
    write_source(spark, tmp_path / "once", once)
    run(spark, clean)
    if few:  # the last night made it again
        select_otherwise(spark, clean)
        both = [
            table(spark, output, "duplicates_cover").select("id", "survivor_id")
            for output in (config.output, clean.output)
        ]
        assert sorted(both[0].collect()) == sorted(both[1].collect())
    for output in (config.output, clean.output):  # the column of batches differs by design
        place = f"delta.`{output}/deduplicated`"
        spark.sql(f"UPDATE {place} SET night = 0")
    same_result(spark, config.output, clean.output)


def same_as_brute_force(spark, config, rows):
    """Scores, duplicates and what is kept, of these rows in the order that the scores say."""
    scores = table(spark, config.output, "scores").orderBy("batch", "rank_key", "id").collect()
    ids = [row["id"] for row in scores]
    assert sorted(ids) == sorted(rows)
    X = unit_rows(np.array([rows[i][0] for i in ids], np.float32)).X
    M, neighbor = brute_force(X)
    horizon, eps = 1 - config.score.eps_max, config.select.eps
    for row, m, j in zip(scores, M, neighbor, strict=True):
        assert row["exhaustive"]
        assert abs(row["max_similarity"] - (m if m > horizon else 0.0)) < 2e-6
        assert row["neighbor_id"] == (ids[j] if m > horizon else None)
    removed = {i for i, m in zip(ids, M, strict=True) if m > 1 - eps}
    assert removed
    found = table(spark, config.output, "duplicates").collect()
    assert {row["id"] for row in found} == removed
    assert all(row["survivor_id"] not in removed for row in found)
    kept = table(spark, config.output, "deduplicated").collect()
    assert {row["doc"] for row in kept} == set(rows) - removed


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """A source of a hundred rows and one that is no vector, and the output of a run on it."""
    folder = tmp_path_factory.mktemp("batches")
    rows = {name(i): (ALL[i], 0, 0) for i in range(100)}
    write_source(spark, folder / "source", rows | {"bad": (np.zeros_like(ALL[0]), 0, 0)})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cluster_stage, "fit_centroids", partial(other_centroids, seed=1))
        run(spark, job(folder / "out", folder / "source", rank_by="random"))
    return folder, rows


@pytest.fixture
def copied(made, tmp_path):
    """The job on a copy of the output, and its good rows; the source is only read."""
    folder, rows = made
    shutil.copytree(folder / "out", tmp_path / "out")
    return job(tmp_path / "out", folder / "source", rank_by="random"), dict(rows)


@pytest.mark.long
def test_a_forgotten_row_leaves_every_table_and_what_it_hid_comes_back(spark, copied):
    config, rows = copied
    removed = table(spark, config.output, "duplicates").count()
    # The guard lets this selection through now; with sixty rows less to keep it would not.
    guarded = {"max_removed_fraction": (removed + 0.5) / 101}
    strict = with_select(config, name="strict", eps=0.05, **guarded)
    run_select(open_job(spark, strict))
    run_prune(open_job(spark, config))
    hidden = table(spark, config.output, "duplicates").collect()
    neighbors = {r["neighbor_id"] for r in hidden}
    kept = {r["doc"] for r in table(spark, config.output, "deduplicated").collect()}
    gone = [max(neighbors), *sorted(kept - neighbors)[:60]]
    done = run_forget(open_job(spark, config), [*gone, "nobody"])
    assert done.unknown == ("nobody",)
    assert [record.stage for record in done.records] == [
        "score",
        "select",
        "select:strict",
        "prune",
    ]
    assert done.stale == ()
    for each in ("embeddings", "scores", "duplicates", "duplicates_strict", "pruning"):
        assert table(spark, config.output, each).filter(F.col("id").isin(gone)).count() == 0, each
    for each in ("deduplicated", "deduplicated_strict", "pruned"):
        assert table(spark, config.output, each).filter(F.col("doc").isin(gone)).count() == 0, each
    assert not [i for i in gone if i in told_to_delta(config.output)]
    again = run(spark, config)  # the source has not changed: nothing brings it back
    assert all(record.reused for record in again.records)
    assert again.read == 40
    with pytest.raises(GuardError):
        run_select(open_job(spark, strict))
    record = open_job(spark, strict).ledger.last("select:strict")  # its guard is waived, not gone
    assert json.loads(record.config)["max_removed_fraction"] == guarded["max_removed_fraction"]
    same_as_brute_force(spark, config, {i: row for i, row in rows.items() if i not in gone})
    mine = {row["doc"] for row in table(spark, config.output, "deduplicated_strict").collect()}
    assert mine == {row["doc"] for row in table(spark, config.output, "deduplicated").collect()}
    with pytest.raises(ConfigError, match="1 to 10,000 ids"):
        run_forget(open_job(spark, config), [])


def told_to_delta(output):
    """What the logs keep of each commit, but for the least and greatest values of files."""
    logs = Path(output).glob("*/_delta_log/*.json")
    actions = (json.loads(line) for log in logs for line in log.read_text().splitlines())
    return str([action["commitInfo"] for action in actions if "commitInfo" in action])


@pytest.mark.long
def test_a_rejected_row_makes_no_night_score_everything_and_a_mended_one_does(spark, tmp_path):
    rows = {name(i): (ALL[i], 0, 0) for i in range(60)}
    rows["bad"] = (np.zeros_like(ALL[0]), 0, 0)
    write_source(spark, tmp_path / "source", rows)
    config = job(tmp_path / "out", tmp_path / "source", batch="night")
    assert scored(spark, config)[0].counts["quarantined"] == 1
    rows |= {name(i): (ALL[i], 0, 1) for i in range(60, 80)}
    del rows[name(7)]
    write_source(spark, tmp_path / "source", rows)
    assert scored(spark, config)[2].counts["targets"] < 40
    rows["bad"] = (ALL[5], 0, 0)  # it ranks before most, and its copy may stand behind it
    write_source(spark, tmp_path / "source", rows)
    assert scored(spark, config)[0].counts["quarantined"] == 0
    run(spark, config)
    same_as_brute_force(spark, config, rows)


@pytest.mark.long
def test_a_run_goes_on_where_a_command_that_forgets_rows_was_killed(spark, copied, monkeypatch):
    config, rows = copied
    named = with_select(config, name="other", eps=0.05)
    run_select(open_job(spark, named))

    def killed(*_):  # rows are erased, and nothing says so
        raise KeyboardInterrupt

    monkeypatch.setattr("semdedup_spark.pipeline.operations.forget.note_erasure", killed)
    with pytest.raises(KeyboardInterrupt):
        run_forget(open_job(spark, config), [name(3), "bad"])
    with pytest.raises(StageOrderError, match="forgotten since"):
        run_select(open_job(spark, config))  # of scores that name what is gone
    after = run(spark, config)
    assert (after.read, after.quarantined) == (99, 0)
    books = {record.stage: record.counts for record in after.records}
    assert books["select:other"]["quarantined"] == 0
    assert all(record.reused for record in run(spark, config).records)
    for each in ("embeddings", "quarantine", "scores", "duplicates", "duplicates_other"):
        ids = table(spark, config.output, each)
        assert ids.filter(F.col("id").isin([name(3), "bad"])).count() == 0, each
    del rows[name(3)]
    same_as_brute_force(spark, config, rows)


def select_otherwise(spark, config):
    chosen = with_select(config, name="cover", eps=0.05, resolution="cover")
    run_select(open_job(spark, chosen))


@pytest.mark.long
def test_what_leaves_the_source_leaves_named_selections_and_a_pruning(spark, copied, tmp_path):
    config, rows = copied
    config = job(config.output, config.source.path, rank_by="random", eps_max=0.3)
    run(spark, config)
    for chosen, eps in (("strict", 0.02), ("wide", 0.2)):
        run_select(open_job(spark, with_select(config, name=chosen, eps=eps)))
    run_prune(open_job(spark, config))
    for i in range(0, 40, 2):
        rows.pop(name(i))
    write_source(spark, tmp_path / "source", rows)
    narrow = job(config.output, tmp_path / "source", rank_by="random", eps_max=0.1)
    summary = run(spark, narrow)
    made = [record.stage for record in summary.records[4:]]
    assert sorted(made) == ["prune", "select:strict"]
    tables = {place.rsplit("/", 1)[-1].strip("`") for place in summary.stale}
    wide = {"duplicates_wide", "deduplicated_wide", "assignment_wide"}
    assert tables == wide  # beyond the new horizon
    for each, key in (
        ("duplicates_strict", "id"),
        ("deduplicated_strict", "doc"),
        ("pruned", "doc"),
    ):
        assert {row[key] for row in table(spark, config.output, each).collect()} <= set(rows), each
    strict = table(spark, config.output, "duplicates_strict").count()
    assert table(spark, config.output, "deduplicated_strict").count() == len(rows) - strict


@pytest.mark.long
def test_centroids_are_known_by_their_newest_commit_and_never_mixed(
    spark, copied, tmp_path, monkeypatch
):
    """Delta's log forgets older commits in time; another hand may change the table."""
    before, rows = copied
    config = job(before.output, tmp_path / "source", rank_by="random")
    rows |= {name(i): (ALL[i], 0, 0) for i in range(100, 130)}
    write_source(spark, tmp_path / "source", rows)
    with monkeypatch.context() as forgetful:
        for limit in ("NEAR", "FAR"):
            forgetful.setattr(catalog, limit, 1)
        grown = run(spark, config)
    assert grown.records[1].reused
    assert grown.records[2].counts["targets"] == 30
    spark.sql(f"UPDATE delta.`{config.output}/centroids` SET sample_rows = sample_rows")
    monkeypatch.setattr(cluster_stage, "fit_centroids", other_centroids)
    rows |= {name(i): (ALL[i], 0, 0) for i in range(130, 140)}
    write_source(spark, tmp_path / "source", rows)
    anew = run(spark, config)
    assert not anew.records[1].reused
    assert "targets" not in anew.records[2].counts  # old and new labels do not meet


def with_select(config, **settings):
    return config.model_copy(update={"select": SelectConfig(**settings)})


@pytest.mark.long
def test_new_centroids_keep_the_same_rows_and_a_run_says_when_they_are_due(
    spark, copied, tmp_path, monkeypatch
):
    before, rows = copied
    config = job(before.output, tmp_path / "source", rank_by="random")
    near = {f"n{i}": (ALL[0] + 0.3 * ALL[i], 1, 0) for i in range(240)}  # in few clusters
    write_source(spark, tmp_path / "source", rows | near)
    drifted = run(spark, config)
    assert drifted.records[1].reused
    before = rows_of(spark, config.output, "deduplicated", "doc")
    monkeypatch.undo()  # k-means itself
    after = run_recluster(open_job(spark, config))
    assert not after.records[1].reused
    assert rows_of(spark, config.output, "deduplicated", "doc") == before
    assert after.cost_drift < drifted.cost_drift
    assert drifted.cost_drift > DRIFT_BOUND
    assert all(record.reused for record in run(spark, config).records)
