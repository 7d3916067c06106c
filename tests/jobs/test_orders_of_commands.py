"""Orders of commands in which one command once left another's tables wrong, or stopped for good."""

from __future__ import annotations

import shutil

import pytest

from semdedup_spark import open_job
from semdedup_spark.pipeline import (
    run_cluster,
    run_embed,
    run_forget,
    run_prune,
    run_recluster,
    run_select,
)
from semdedup_spark.pipeline.operations.override import Rows, override_rows
from tests.jobs.jobfiles import run, table, vectors_job
from tests.jobs.killing import Killed, killed_after

DDL = "doc string, v array<float>, quality int, night int"
# b is near a, c nearer to it; d is alone; bad has no direction.
ROWS = [
    ("a", [1.0, 0.0, 0.0], 3, 0),
    ("b", [1.0, 0.3, 0.0], 2, 0),
    ("c", [1.0, 0.01, 0.0], 1, 0),
    ("d", [0.0, 0.0, 1.0], 0, 0),
    ("bad", [0.0, 0.0, 0.0], 0, 0),
]
TABLES = ("embeddings", "scores", "duplicates", "deduplicated", "assignment", "overrides")


def write(spark, path, rows):
    frame = spark.createDataFrame(rows, DDL).coalesce(1)
    frame.write.format("delta").mode("overwrite").save(str(path))


def nightly(output, source, **stages):
    settings = {
        "cluster": {"n_clusters": 1},
        "score": {"recall": "exact", "eps_max": 0.1, "rank_by": "quality DESC"},
        "select": {"eps": 0.001},
    }
    for stage, other in stages.items():
        settings[stage] = {**settings.get(stage, {}), **other}
    return vectors_job(output, source, **settings)


def job(spark, output, source, **stages):
    return open_job(spark, nightly(output, source, **stages))


def ids(spark, output, name):
    rows = table(spark, output, name)
    return sorted(row[0] for row in rows.select("id" if "id" in rows.columns else "doc").collect())


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """An output with a selection beside the unnamed one, and its source."""
    root = tmp_path_factory.mktemp("orders")
    write(spark, root / "src", ROWS)
    run(spark, nightly(root / "out", root / "src"))
    linked = {"eps": 0.09, "name": "linked", "resolution": "components"}
    run_select(job(spark, root / "out", root / "src", select=linked))
    return root


@pytest.fixture
def output(made, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.long
def test_the_last_good_rows_can_be_forgotten_whoever_wrote_about_them(spark, made, output):
    source = made / "src"
    override_rows(job(spark, output, source), Rows(["c"]), "keep", "it is the better one")
    spark.sql(f"UPDATE delta.`{output}/overrides` SET reason = 'by hand'")
    run_forget(job(spark, output, source), ["a", "b", "c", "d"])
    for name in (*TABLES, "duplicates_linked", "deduplicated_linked"):
        assert ids(spark, output, name) == (["bad"] if name == "assignment" else []), name
    assert ids(spark, output, "quarantine") == ["bad"]


@pytest.mark.long
def test_a_selection_killed_between_its_tables_is_made_again_by_the_next_run(spark, made, output):
    source = made / "src"
    wide = {"eps": 0.05, "name": "linked", "resolution": "components"}
    with pytest.raises(Killed), killed_after(lambda name, _: name == "duplicates_linked"):
        run_select(job(spark, output, source, select=wide))
    run(spark, nightly(output, source))
    removed, kept = (ids(spark, output, f"{t}_linked") for t in ("duplicates", "deduplicated"))
    assert sorted([*removed, *kept]) == ["a", "b", "c", "d"]


@pytest.mark.long
def test_new_centroids_and_an_erasure_keep_the_threshold_that_was_published(spark, made, output):
    source = made / "src"
    narrow = {"score": {"eps_max": 0.06}, "select": {"eps": 0.05}}
    run(spark, nightly(output, source, **narrow))
    assert ids(spark, output, "duplicates") == ["b", "c"]
    run_recluster(job(spark, output, source))
    assert ids(spark, output, "duplicates") == ["b", "c"]
    run_forget(job(spark, output, source, select={"eps": 0.09}), ["d"])
    assert ids(spark, output, "duplicates") == ["b", "c"]
    assert ids(spark, output, "deduplicated") == ["a"]


@pytest.mark.long
def test_rows_can_be_forgotten_again_where_every_change_trains_anew(spark, made, output):
    source, anew = made / "src", {"cluster": {"retrain": "on_change"}}
    run(spark, nightly(output, source, **anew))
    run_forget(job(spark, output, source, **anew), ["d"])
    run_forget(job(spark, output, source, **anew), ["c"])
    assert ids(spark, output, "scores") == ["a", "b"]


@pytest.mark.long
def test_a_pruning_killed_between_its_tables_is_made_again_by_the_next_run(spark, made, output):
    def prune(ratio):
        one = job(spark, output, made / "src", prune={"ratio": ratio})
        embed = run_embed(one)
        run_prune(one, embed, run_cluster(one, embed))
        one.ledger.flush()

    prune(100)
    with pytest.raises(Killed), killed_after(lambda name, _: name == "pruning"):
        prune(25)
    run(spark, nightly(output, made / "src"))
    kept = table(spark, output, "pruning").filter("kept").select("id").collect()
    assert sorted(row[0] for row in kept) == ids(spark, output, "pruned")


@pytest.mark.long
def test_a_row_with_a_twin_in_quarantine_is_ranked_anew_when_it_changes(spark, tmp_path):
    rows = [
        ("a", [1.0, 0.0, 0.0], 5, 1),
        ("x", [1.0, 0.01, 0.0], 1, 1),
        ("x", [0.0, 1.0, 0.0], 0, 2),
    ]
    config = nightly(tmp_path / "out", tmp_path / "src")
    config = config.model_copy(
        update={"source": config.source.model_copy(update={"batch": "night"})}
    )
    for quality, removed in ((1, ["x"]), (9, ["a"])):
        rows[1] = (*rows[1][:2], quality, 1)
        write(spark, tmp_path / "src", rows)
        run(spark, config)
        assert ids(spark, tmp_path / "out", "duplicates") == removed
        assert ids(spark, tmp_path / "out", "quarantine") == ["x"]
