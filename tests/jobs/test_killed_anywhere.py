"""A job that dies after a write, or finds no room, no source, no output: the next run
leaves what an undisturbed one leaves.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from semdedup_spark.errors import OutputError, SourceError
from semdedup_spark.failures import explained
from semdedup_spark.pipeline import Listener, held_output, open_job, run_job
from semdedup_spark.pipeline.stages.embed import embed_commits
from semdedup_spark.tables import runs
from tests.jobs.jobfiles import near_duplicates, run, table, vectors_job, write_vectors
from tests.jobs.killing import Killed, killed_after

TABLES = (
    *("embeddings", "quarantine", "centroids", "scores"),
    *("duplicates", "deduplicated", "assignment"),
)
N = 160


def nightly(base, output):
    return vectors_job(
        base / output,
        base / "source",
        score={"recall": "exact", "eps_max": 0.1, "rank_by": "random"},
        select={"eps": 0.05},
    )


def show(spark, base, night):
    """The source: in the second night rows are new, gone, changed, and bad."""
    X = near_duplicates(N, seed=2)
    X[[4, 130]] = 0.0
    ids = [f"row-{i:05d}" for i in range(N)]
    if night == 1:
        write_vectors(spark, base / "source", X[:110], ids=ids[:110])
    else:
        X[20:25] = X[40:45]
        write_vectors(spark, base / "source", X[10:], ids=ids[10:])


def same_tables(spark, one, other):
    for name in TABLES:
        mine, theirs = (content(spark, output, name) for output in (one, other))
        assert mine == theirs, name


def content(spark, output, name):
    # The identity of centroids is that of the source, place and version.
    rows = table(spark, output, name).drop("model_version")
    return sorted((tuple(row) for row in rows.collect()), key=str)


def killed(seen, stages, config, spark):
    """Run until one of the stages has made a commit that no run before was killed after; whether it
    was killed.
    """

    def is_new(table, mark):
        commit = (mark.get("stage"), table, str(mark.get("progress")))
        if commit[0] not in stages or commit in seen:
            return False
        seen.append(commit)
        return True

    try:
        with killed_after(is_new):
            run(spark, config)
    except Killed:
        return True
    return False


@pytest.fixture(scope="module")
def base(spark, tmp_path_factory):
    """The source in the first night, and ``calm-1``: what a run leaves that nobody disturbs."""
    folder = tmp_path_factory.mktemp("killed")
    show(spark, folder, 1)
    run(spark, nightly(folder, "calm"))
    shutil.copytree(folder / "calm", folder / "calm-1")
    return folder


def first_night(base, output, **source):
    config = nightly(base, "calm")
    pinned = config.source.model_copy(update={"version": 0, **source})
    return config.model_copy(update={"source": pinned, "output": str(output)})


@pytest.mark.long
def test_a_full_disk_stops_the_run_and_the_next_one_repairs(spark, base, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, "size=120k", "tmpfs", disk], check=False).returncode != 0:
        pytest.skip("a small file system can not be mounted here")
    try:
        config = first_night(base, disk / "out")
        with pytest.raises(Exception, match=r".") as caught:
            run(spark, config)
        failure = explained(caught.value)
        assert "No space left on device" in failure.cause
        assert failure.retryable
        assert "make room" in failure.hint
        subprocess.run([*mount, "remount,size=20m", disk], check=True)
        run(spark, config)
        same_tables(spark, config.output, base / "calm-1")
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.long
def test_a_source_removed_while_it_is_read_stops_the_run_and_the_next_one_repairs(
    spark, base, tmp_path, monkeypatch
):
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 60)
    source, aside = tmp_path / "source", tmp_path / "aside"
    whole = spark.read.format("delta").option("versionAsOf", 0).load(str(base / "source"))
    whole.coalesce(1).write.parquet(str(source))
    config = first_night(base, tmp_path / "out", format="parquet", path=str(source), version=None)
    with pytest.raises(Exception, match=r".") as caught:
        run_job(open_job(spark, config, listener=Listener(progress=lambda _: source.rename(aside))))
    failure = explained(caught.value)
    assert str(source) in failure.cause
    assert failure.retryable
    assert 0 < table(spark, config.output, "embeddings").count() < 109
    with pytest.raises(SourceError, match=str(source)):
        run(spark, config)
    aside.rename(source)
    run(spark, config)
    same_tables(spark, config.output, base / "calm-1")


def test_an_output_that_cannot_be_written_is_refused_with_its_cause(spark, base, tmp_path):
    (tmp_path / "file").write_text("")
    config = first_night(base, tmp_path / "file" / "out")
    job = open_job(spark, config)
    with pytest.raises(OutputError, match="must be writable") as caught, held_output(job):
        raise AssertionError("must not get here")
    assert caught.value.exit_code == 2
    assert str(tmp_path / "file" / "out") in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("at_risk", [0.0, float("inf")])
def test_a_job_killed_after_each_kind_of_write_leaves_what_an_undisturbed_one_leaves(
    spark, tmp_path, monkeypatch, at_risk
):
    """Whether each stage is recorded at once, or all of them at the end."""
    monkeypatch.setattr(runs, "AT_RISK_SECONDS", at_risk)
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "none", 60)
    config, calm = nightly(tmp_path, "out"), nightly(tmp_path, "calm")
    recorded = {"runs"} if at_risk == 0 else set()
    embed = {"embeddings", "quarantine"} | recorded
    score = {"scores", "clusters"} | recorded
    select = {"duplicates", "deduplicated", "assignment", "runs"}
    made = {
        1: {"embed": embed, "cluster": {"centroids"} | recorded},
        2: {"embed": embed, "score": score, "select": select},
    }
    for night in (1, 2):
        show(spark, tmp_path, night)
        run(spark, calm)
        seen = []
        while killed(seen, made[night], config, spark):
            pass
        same_tables(spark, config.output, calm.output)
        expected = {(stage, name) for stage, names in made[night].items() for name in names}
        assert {(stage, name) for stage, name, _ in seen} == expected
    assert all(record.reused for record in run(spark, config).records)
