"""How often a run asks Spark, reads the source and commits: what seconds are made of."""

import re
from dataclasses import dataclass

import pytest

from tests.jobs.jobfiles import run, vectors_job
from tests.planted import near_duplicates
from tests.sparkqueries import new_queries

pytestmark = pytest.mark.pyspark


@dataclass
class Work:
    """Spark jobs; queries that scan the source's files; commits to the tables of the output."""

    jobs: int
    scans: int
    commits: int


@pytest.fixture
def counted(spark, tmp_path):
    """Runs something, and counts what Spark and the logs of the tables say of it."""
    source = re.compile(rf"Location: \w+ ?\[file:{re.escape(str(tmp_path))}/source[],]")

    def jobs():
        return spark._jsc.sc().dagScheduler().numTotalJobs()

    def commits():
        return len([*tmp_path.glob("out/*/_delta_log/*.json")])

    def count(work):
        before = jobs(), commits()
        _, new = new_queries(spark, work)
        plans = [query.physicalPlanDescription() for query in new]
        scans = sum(bool(source.search(plan)) for plan in plans)
        return Work(jobs() - before[0], scans, commits() - before[1])

    return count


def write(spark, path, X, first=0, mode="error"):
    rows = [(first + i, x.tolist(), "text of it") for i, x in enumerate(X)]
    frame = spark.createDataFrame(rows, "doc long, v array<double>, note string")
    frame.coalesce(1).write.format("delta").mode(mode).save(str(path))


def test_a_run_asks_no_more_of_spark_than_it_must(spark, tmp_path, counted):
    X = near_duplicates(130)
    write(spark, tmp_path / "source", X[:120])
    config = vectors_job(tmp_path / "out", tmp_path / "source")
    first = counted(lambda: run(spark, config))
    again = counted(lambda: run(spark, config))
    write(spark, tmp_path / "source", X[120:], first=120, mode="append")
    night = counted(lambda: run(spark, config))
    # Of a first run: vectors are looked at, their lengths and the ids counted; then the source is
    # read to embed it, and to write the kept rows. At night only the latter asks for the table:
    # what was appended is read by its file.
    for found, most in (
        (first, Work(73, 5, 11)),
        (again, Work(19, 0, 3)),
        (night, Work(104, 1, 10)),
    ):
        assert found.jobs <= most.jobs
        assert (found.scans, found.commits) == (most.scans, most.commits)
