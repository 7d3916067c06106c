"""One finished job, selected twice, that all tests of the reading commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import semdedup_spark
from semdedup_spark.config import load_config
from tests.planted import near_duplicates

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job

SITES = ("a.example", "b.example", "c.example")


@dataclass(frozen=True)
class Finished:
    """A job whose rows were selected at eps 0.02, then at 0.05.

    Attributes
    ----------
    spark
        The session.
    job_file
        The job file.
    output
        The directory of the tables.
    """

    spark: Any
    job_file: Path
    output: Path

    def job(self, *overrides) -> Job:
        return semdedup_spark.open_job(self.spark, load_config(self.job_file, overrides))

    def table(self, name, version=None):
        reader = self.spark.read.format("delta")
        reader = reader if version is None else reader.option("versionAsOf", version)
        return reader.load(str(self.output / name))


def _rows():
    """Make 240 rows with whole numbers as ids, and two rows that cannot be embedded."""
    X = near_duplicates(240)
    rows = [
        (
            1000 + i,
            [float(v) for v in x],
            f"note {i}",
            SITES[i * i % 3],
            "test" if i % 5 == 0 else "train",
        )
        for i, x in enumerate(X)
    ]
    return [*rows, (7, None, "no vector", SITES[0], "train"), (8, [1.0], "short", None, "test")]


@pytest.fixture(scope="session")
def finished(spark, tmp_path_factory):
    root = tmp_path_factory.mktemp("reading")
    columns = "doc long, v array<double>, note string, site string, split string"
    df = spark.createDataFrame(_rows(), columns)
    df.repartition(1).write.format("delta").save(str(root / "source"))
    job_file = root / "job.yml"
    config = {
        "output": str(root / "out"),
        "source": {
            "kind": "vectors",
            "format": "delta",
            "path": str(root / "source"),
            "id": "doc",
            "content": "v",
        },
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 3},
    }
    job_file.write_text(yaml.safe_dump(config))
    done = Finished(spark, job_file, root / "out")
    for run_id, eps in (("strict", 0.02), ("loose", 0.05)):
        chosen = load_config(job_file, [f"select.eps={eps}"])
        semdedup_spark.run_job(semdedup_spark.open_job(spark, chosen, run_id=run_id))
    return done
