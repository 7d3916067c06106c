"""A source that is another one, or empty, replaces what an output holds only if told to."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from semdedup_spark import open_job, run_job
from semdedup_spark.errors import OtherSourceError, SourceError
from semdedup_spark.pipeline import Listener, run_embed, run_forget, run_pruning_job, run_select
from tests.jobs.jobfiles import near_duplicates, table, vectors_job, write_vectors
from tests.jobs.killing import Killed, killed_after

N = 30
TABLES = ("embeddings", "quarantine", "centroids", "clusters", "scores", "duplicates")
X = near_duplicates(N, 6, seed=4)


def versions(spark, config):
    return {
        name: spark.sql(f"DESCRIBE HISTORY delta.`{config.output}/{name}`").count()
        for name in (*TABLES, "deduplicated")
    }


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """(folder, job) of an output with rows; tests leave its rows as they are."""
    folder = tmp_path_factory.mktemp("exchanged")
    write_vectors(spark, folder / "one", X)
    write_vectors(spark, folder / "two", X[:8] + 5.0, ids=[f"b{i}" for i in range(8)])
    config = vectors_job(folder / "out", folder / "one", cluster={"n_clusters": 2})
    run_job(open_job(spark, config))
    return folder, config


def test_another_source_without_a_common_row_is_refused_and_nothing_is_written(spark, made):
    folder, config = made
    before = versions(spark, config)
    other = vectors_job(folder / "out", folder / "two", cluster={"n_clusters": 2})
    with pytest.raises(OtherSourceError, match=r"30 rows of .*/one; none of them is in .*/two"):
        run_job(open_job(spark, other))
    assert versions(spark, config) == before


def test_an_empty_source_is_refused_and_nothing_is_written(spark, made):
    folder, config = made
    before = versions(spark, config)
    write_vectors(spark, folder / "none", X[:1])
    spark.sql(f"DELETE FROM delta.`{folder}/none`")
    empty = vectors_job(folder / "out", folder / "none", cluster={"n_clusters": 2})
    with pytest.raises(SourceError, match=r"(?s)at least one row.*--allow-empty"):
        run_job(open_job(spark, empty))
    write_vectors(spark, folder / "bad", np.zeros((3, 6)))
    bad = vectors_job(folder / "out", folder / "bad", cluster={"n_clusters": 2})
    with pytest.raises(SourceError, match=r"fit to be embedded.*30 rows.*zero_vector: 3"):
        run_job(open_job(spark, bad))
    assert versions(spark, config) == before


@pytest.mark.long
def test_a_relative_path_named_from_another_folder_is_another_source(
    spark, copied, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    write_vectors(spark, tmp_path / "here" / "rows", X)
    write_vectors(spark, tmp_path / "there" / "rows", X[:8] + 5.0, ids=[f"b{i}" for i in range(8)])
    named = vectors_job(copied.output, "rows", cluster={"n_clusters": 2})
    monkeypatch.chdir(tmp_path / "here")
    run_embed(open_job(spark, named))
    before = versions(spark, named)
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(OtherSourceError, match=r"of .*/here/rows; none .* in .*/there/rows"):
        run_embed(open_job(spark, named))
    assert versions(spark, named) == before


@pytest.mark.long
def test_what_a_killed_first_run_left_is_not_replaced_by_another_source(spark, made, tmp_path):
    folder, _ = made
    first = vectors_job(tmp_path / "out", folder / "one")
    with killed_after(lambda table, _: table == "embeddings"), pytest.raises(Killed):
        run_embed(open_job(spark, first))
    other = vectors_job(tmp_path / "out", folder / "two")
    with pytest.raises(OtherSourceError, match=r"rows of .*/one; none of them is in .*/two"):
        run_embed(open_job(spark, other))
    assert run_embed(open_job(spark, first)).counts["embedded"] == N


@pytest.fixture
def copied(made, tmp_path):
    """The same job on a copy of the output."""
    folder, config = made
    shutil.copytree(folder / "out", tmp_path / "out")
    return config.model_copy(update={"output": str(tmp_path / "out")})


@pytest.mark.long
def test_replace_and_allow_empty_do_what_is_else_refused_and_say_what_it_costs(
    spark, copied, tmp_path
):
    write_vectors(spark, tmp_path / "two", X[:8], ids=[f"b{i}" for i in range(8)])
    run_pruning_job(open_job(spark, copied))
    said = []
    other = vectors_job(tmp_path / "out", tmp_path / "two", cluster={"n_clusters": 2})
    job = open_job(spark, other, replace=True, listener=Listener(noticed=said.append))
    assert run_job(job).read == 8
    assert "none of the 30 vectors" in said[0]
    spark.sql(f"DELETE FROM delta.`{tmp_path}/two`")
    summary = run_job(open_job(spark, other, allow_empty=True))
    assert (summary.read, summary.kept, summary.removed, summary.quarantined) == (0, 0, 0, 0)
    for name in (*TABLES, "deduplicated", "pruning", "pruned"):
        assert table(spark, other.output, name).count() == 0, name
    again = run_job(open_job(spark, other, allow_empty=True))
    assert again.read == 0
    write_vectors(spark, tmp_path / "two", X[:12], ids=[f"b{i}" for i in range(12)])
    back = run_job(open_job(spark, other))
    assert back.read == 12
    assert table(spark, other.output, "clusters").groupBy().sum("n_rows").first()[0] == 12


@pytest.mark.long
def test_an_erasure_keeps_every_selection_as_it_was_last_made(spark, copied):
    config = copied
    strict = config.model_copy(update={"select": config.select.model_copy(update={"eps": 1e-5})})
    loose = table(spark, config.output, "deduplicated").count()
    kept = run_select(open_job(spark, strict)).counts["kept"]
    assert loose < kept
    # A row that hides no other.
    one = table(spark, config.output, "deduplicated").select("doc").toPandas()["doc"]
    heads = table(spark, config.output, "scores").select("neighbor_id").toPandas()["neighbor_id"]
    alone = next(i for i in one if i not in set(heads))
    run_forget(open_job(spark, config), [alone])
    assert table(spark, config.output, "deduplicated").count() == kept - 1
