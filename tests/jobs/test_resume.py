"""Interrupted runs continue; what they leave equals an undisturbed run."""

import shutil
from dataclasses import replace

import pytest

import semdedup_spark.pipeline.stages.embed.embed_side as embed_stage
import semdedup_spark.pipeline.stages.score as score_stage
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.pipeline import Listener, open_job, run_embed, run_job
from semdedup_spark.pipeline.stages.embed import embed_commits
from semdedup_spark.sources import open_raw
from tests.jobs.jobfiles import near_duplicates, rows_of, run, table, vectors_job, write_vectors


@pytest.mark.long
def test_a_killed_embedding_continues_where_it_stopped(spark, tmp_path, monkeypatch):
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 50)
    X = near_duplicates(300)
    X[2] = 0.0
    write_vectors(spark, tmp_path / "source", X)
    config = vectors_job(tmp_path / "out", tmp_path / "source")

    class Killed(Exception):
        pass

    def die(progress):
        raise Killed

    with pytest.raises(Killed):
        run_embed(open_job(spark, config, listener=Listener(progress=die)))
    seen = []
    summary = run_job(open_job(spark, config, listener=Listener(progress=seen.append)))
    assert seen[0].rows > 60  # what was there is counted, not embedded again
    assert (summary.read, summary.quarantined) == (300, 1)
    calm = config.model_copy(update={"output": str(tmp_path / "calm")})
    run(spark, calm)
    for name in ("embeddings", "scores", "duplicates", "deduplicated", "quarantine"):
        assert rows_of(spark, tmp_path / "out", name) == rows_of(spark, tmp_path / "calm", name)


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    """(folder, summary) of a run on sixty rows."""
    folder = tmp_path_factory.mktemp("resume")
    write_vectors(spark, folder / "source", near_duplicates(60))
    config = vectors_job(folder / "out", folder / "source")
    return folder, run(spark, config, run_id="nightly-1")


@pytest.fixture
def copied(made, tmp_path):
    """(job on a copy of the output, summary of the run that made it)."""
    folder, summary = made
    shutil.copytree(folder / "out", tmp_path / "out")
    return vectors_job(tmp_path / "out", folder / "source"), summary


@pytest.mark.long
def test_changed_content_is_embedded_afresh(spark, copied, tmp_path):
    write_vectors(spark, tmp_path / "source", near_duplicates(60)[:50])
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    summary = run(spark, config)
    assert summary.read == 50
    assert not summary.records[0].reused
    assert summary.records[1].reused  # old centroids only cost time


def test_files_that_change_while_they_are_read_stop_the_run(spark, tmp_path, monkeypatch):
    source = tmp_path / "source"
    spark.createDataFrame([("a", [1.0, 0.0])], "doc string, v array<float>").write.parquet(
        str(source)
    )
    config = vectors_job(tmp_path / "out", source)
    config = config.model_copy(
        update={"source": config.source.model_copy(update={"format": "parquet"})}
    )
    seen = iter(["files:1:0:0", "files:2:0:0"])
    monkeypatch.setattr(open_raw, "file_fingerprint", lambda *_: next(seen))
    with pytest.raises(SourceChangedError) as caught:
        run(spark, config)
    assert caught.value.retryable


def test_a_run_that_is_tried_again_keeps_its_name_and_its_rows(spark, copied, tmp_path):
    config, first = copied
    spark.sql(f"DELETE FROM delta.`{tmp_path}/out/deduplicated`")
    again = run(spark, config, run_id="nightly-1")
    assert again.records[3].reused is False
    assert len(rows_of(spark, tmp_path / "out", "deduplicated")) == first.kept


@pytest.mark.long
def test_a_removed_table_is_made_anew_also_when_killed_in_between(
    spark, copied, tmp_path, monkeypatch
):
    config, first = copied
    shutil.rmtree(tmp_path / "out" / "embeddings")
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 20)

    def die(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_embed(open_job(spark, config, listener=Listener(progress=die)))
    again = run(spark, config)  # the table has the recorded version again, yet not its rows
    assert again.records[0].reused is False
    assert (again.read, again.kept) == (first.read, first.kept)


@pytest.mark.long
def test_another_writer_of_the_same_output_is_noticed(spark, tmp_path, monkeypatch):
    write_vectors(spark, tmp_path / "source", near_duplicates(60))
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 20)
    place = f"delta.`{tmp_path}/out/embeddings`"

    def intrude(progress):
        spark.sql(f"INSERT INTO {place} SELECT * FROM {place} LIMIT 1")

    with pytest.raises(ReconciliationError, match="another run writes"):
        run_embed(open_job(spark, config, listener=Listener(progress=intrude)))
    record = run_embed(open_job(spark, config))  # and what it left does no harm
    assert record.counts["embedded"] == table(spark, tmp_path / "out", "embeddings").count() == 60


@pytest.mark.long
def test_an_embedding_killed_after_its_last_commit_is_not_done_again(spark, tmp_path, monkeypatch):
    write_vectors(spark, tmp_path / "source", near_duplicates(60))
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    monkeypatch.setattr(embed_stage, "quarantine_rows", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_embed(open_job(spark, config))
    monkeypatch.undo()
    seen = []
    record = run_embed(open_job(spark, config, listener=Listener(progress=seen.append)))
    assert seen == []
    assert record.counts["embedded"] == 60


@pytest.mark.long
def test_a_row_that_is_not_scored_stops_the_run_and_the_next_one_scores_it(
    spark, tmp_path, monkeypatch
):
    write_vectors(spark, tmp_path / "source", near_duplicates(60))
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    found = score_stage.scored

    def one_less(job, rows, comparison, scope, carrier):
        scores = found(job, rows, comparison, scope, carrier)
        return replace(scores, rows=scores.rows.filter("id != 'row-00007'"))

    monkeypatch.setattr(score_stage, "scored", one_less)
    with pytest.raises(ReconciliationError, match="60 became 59"):
        run_job(open_job(spark, config))
    monkeypatch.undo()
    assert run_job(open_job(spark, config)).read == 60
    assert table(spark, tmp_path / "out", "scores").count() == 60
