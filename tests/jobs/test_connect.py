"""Every command, and the Python API, by Spark Connect on a server whose workers have no package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from scripts.package_zip import write_zip
from semdedup_spark.cli import cli
from tests.jobs.clusters import connect_server, python_with_libraries
from tests.jobs.same_tables import JOBS, TABLES, WRITTEN, content, differences

pytest.importorskip("grpc")
pytestmark = [pytest.mark.spark, pytest.mark.cluster]

PLAY = """
import contextlib, io, json, sys, time
from semdedup_spark.cli import main

told = {}
for words in json.load(sys.stdin):
    said, code, begun = io.StringIO(), 0, time.monotonic()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as ended:
            code = ended.code
    told[" ".join(words)] = [code, said.getvalue(), time.monotonic() - begun]
json.dump(told, sys.stdout)
"""
API = """
import json, sys
from pyspark.sql import SparkSession
from semdedup_spark import deduplicate

remote, package, source, *outputs = sys.argv[1:]
spark = SparkSession.builder.remote(remote).getOrCreate()
spark.addArtifacts(package, pyfile=True)
rows = spark.read.parquet(source)
told = []
for output in outputs:
    given = {"output": output} if output else {}
    found = deduplicate(rows, vector="v", id="doc", eps=0.05, **given)
    told.append(sorted(row.doc for row in found.kept.collect()))
    assert found.explain(told[-1][0]).fate == "kept"
json.dump(told, sys.stdout)
"""
# Of the commands that reach Spark. `demo` runs a job as `run` does, on rows of its own.
ELSEWHERE = {"config", "demo", "export", "init", "sweep"}


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    folder = tmp_path_factory.mktemp("connect")
    with connect_server(folder, python_with_libraries(folder / "libraries")) as address:
        yield address


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    (folder / "job.yml").write_text(yaml.safe_dump(JOBS["vectors"](folder)))
    return folder


def python(*words, remote, cwd, given=""):
    environment = {**os.environ, "SPARK_REMOTE": remote}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def played(commands, remote, cwd):
    """Of each command, in one session, its exit code, what it said, and its seconds."""
    done = python("-c", PLAY, remote=remote, cwd=cwd, given=json.dumps(commands))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def after_run(remote, job):
    """The folder of the job, after its run, with a copy of the tables in ``first``."""
    done = python(
        *("-m", "semdedup_spark", "run", "--config", "job.yml", "--run-id", "first"),
        remote=remote,
        cwd=job,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(job / "vectors", job / "first")
    return job


def test_a_run_makes_the_tables_of_a_local_run(spark, after_run):
    found = {name: content(spark, f"{after_run}/first/{name}") for name in TABLES}
    assert differences(found, json.loads(WRITTEN.read_text())["vectors"]) == []


def test_every_command_works(remote, after_run):
    kept, removed = "1152921504606846976", "1152921504606847021"
    settings = ["--config", "job.yml"]
    commands = [
        ["run", *settings, "--run-id", "second"],
        ["run", *settings, "--dry-run"],
        ["status", *settings],
        ["plan", *settings],
        ["tune", *settings],
        ["explain", *settings, "--sample", "3"],
        ["explain", *settings, "--id", kept],
        ["report", *settings, "--out", "report.html"],
        ["audit", *settings, "--sample", "5", "--out", "review.html"],
        ["audit", *settings, "--recall", "--rows", "20"],
        ["sql", *settings, "SELECT count(*) AS n FROM assignment"],
        ["select", *settings, "--set", "select.eps=0.1", "--run-id", "third"],
        ["diff", *settings, "--run", "first", "--run", "third"],
        ["restore", *settings, "--id", removed, "--reason", "another edition"],
        ["remove", *settings, "--id", kept, "--reason", "not ours"],
        ["forget", *settings, "--id", "1152921504606846980"],
        ["embed", *settings],
        ["cluster", *settings],
        ["score", *settings],
        ["select", *settings, "--set", "select.resolution=components"],
        ["prune", *settings],
        ["recluster", *settings],
    ]
    assert {words[0] for words in commands} == set(cli.commands) - ELSEWHERE - {"maintain"}
    told = played(commands, remote, after_run)
    assert {words: said for words, (code, said, _) in told.items() if code} == {}
    assert (after_run / "report.html").stat().st_size > 10_000


def test_maintain_vacuums_every_table_in_minutes(remote, after_run):
    long_ago = time.time() - 9 * 24 * 3600  # Delta takes the time of a commit from its file
    for commit in (after_run / "vectors").glob("*/_delta_log/*.json"):
        os.utime(commit, (long_ago, long_ago))
    ((code, said, seconds),) = played(
        [["maintain", "--config", "job.yml"]], remote, after_run
    ).values()
    assert code == 0, said
    assert "deduplicated" in said
    assert "hours old yet" not in said
    assert seconds < 300  # by Spark's own numbers of tasks it was nine minutes


def test_a_frame_of_spark_connect_is_deduplicated_with_an_output_and_without(remote, job, tmp_path):
    package = tmp_path / "semdedup_spark.zip"
    write_zip(package)
    words = (remote, package, job / "vectors.parquet", "", tmp_path / "out")
    done = python("-c", API, *words, remote=remote, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    without, there = json.loads(done.stdout)
    assert without == there
    assert 30 < len(there) < 58
