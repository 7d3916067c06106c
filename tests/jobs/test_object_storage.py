"""A whole job on ``s3a://``, input and output, by the command line, on a server on loopback."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import pyarrow as pa
import pyspark
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from moto.server import ThreadedMotoServer

from semdedup_spark.torch import DeduplicatedDataset

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = {"AWS_ACCESS_KEY_ID": "made", "AWS_SECRET_ACCESS_KEY": "up", "AWS_REGION": "us-east-1"}
# Six directions, three of them twice, and one row without a vector.
VECTORS = [[float(i == j) for j in range(6)] for i in (0, 1, 2, 3, 4, 5, 1, 3, 5)] + [None]
ROWS = pa.table(
    {
        "doc": [f"row-{i}" for i in range(len(VECTORS))],
        "v": pa.array(VECTORS, pa.list_(pa.float32())),
    }
)
# Three commands in one session: each would start a JVM of its own.
AFTERWARDS = """
import sys
from semdedup_spark.cli import cli
from semdedup_spark.tables import leases
leases.SETTLE_SECONDS = 0.1
for command in ("run --summary 2.json", "run --summary 3.json", "status --json"):
    cli.main(args=[*command.split(), "--config", "job.yml"], standalone_mode=False)
"""


pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def server():
    """Where the storage listens, with an empty bucket ``lake``."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    place = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=place,
        aws_access_key_id=KEY["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEY["AWS_SECRET_ACCESS_KEY"],
        region_name=KEY["AWS_REGION"],
    )
    client.create_bucket(Bucket="lake")
    yield place
    running.stop()


@pytest.fixture(scope="module")
def storage(server):
    """What delta-rs must be told to reach it."""
    return KEY | {"AWS_ENDPOINT_URL": server, "AWS_ALLOW_HTTP": "true"}


@pytest.fixture(scope="module")
def done(server, storage, tmp_path_factory):
    """The folder of a job that was killed after its first stage, run again, and run once more."""
    folder = tmp_path_factory.mktemp("s3a")
    write_deltalake("s3://lake/docs", ROWS, storage_options=storage)
    source = {"kind": "vectors", "format": "delta", "path": "s3a://lake/docs"}
    job = {
        "output": "s3a://lake/dedup",
        "source": source | {"id": "doc", "content": "v"},
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 2},
    }
    (folder / "job.yml").write_text(yaml.safe_dump(job))
    (folder / "spark-defaults.conf").write_text(settings(server))
    killed_after_embed(folder)
    script = [sys.executable, "-c", AFTERWARDS]
    ended = subprocess.run(
        script, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (folder / "status.json").write_text(ended.stdout[ended.stdout.rindex("\n{") :])
    return folder


def settings(server):
    """As docs/how-to/object-storage.md has them, and what makes Spark light."""
    [jar] = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    hadoop = jar.stem.removeprefix("hadoop-client-api-")
    return f"""
spark.jars.packages                 org.apache.hadoop:hadoop-aws:{hadoop}
spark.hadoop.fs.s3a.endpoint        {server}
spark.hadoop.fs.s3a.path.style.access = true
spark.sql.codegen.wholeStage        false
spark.sql.codegen.factoryMode       NO_CODEGEN
spark.sql.adaptive.enabled          false
spark.sql.shuffle.partitions        2
"""


def environment(folder):
    """Credentials by the usual chain; Spark's settings from the folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYSPARK_", "SPARK_", "AWS_"))
    }
    return (
        kept
        | KEY
        | {
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": str(REPOSITORY),
            "SPARK_CONF_DIR": str(folder),
            "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
            "-XX:ReservedCodeCacheSize=256m",
        }
    )


def killed_after_embed(folder):
    command = [sys.executable, "-m", "semdedup_spark", "run", "--config", "job.yml"]
    log = (folder / "killed.log").open("w+")
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=log, stderr=subprocess.PIPE, text=True
    ) as running:
        said = ""
        for line in running.stderr:
            said += line
            if line.startswith("cluster: computing"):
                running.kill()
                break
        else:
            if re.search("unresolved dependency|download failed", said, re.IGNORECASE):
                pytest.skip("hadoop-aws and the AWS SDK could not be downloaded from Maven Central")
            raise AssertionError(said)


def table(storage, name):
    return DeltaTable(f"s3://lake/dedup/{name}", storage_options=storage).to_pyarrow_table()


@pytest.mark.long
def test_a_killed_run_on_s3_is_continued_and_leaves_every_row_in_one_table(done, storage):
    second = json.loads((done / "2.json").read_text())
    found = {stage["stage"]: stage["reused"] for stage in second["stages"]}
    found.pop("embed")  # reused where it took long enough to be recorded at once
    assert found == {"cluster": False, "score": False, "select": False}
    assert sorted(table(storage, "embeddings")["id"].to_pylist()) == ROWS["doc"].to_pylist()[:9]
    removed = dict(zip(*table(storage, "duplicates").select(["id", "survivor_id"]), strict=True))
    kept = table(storage, "deduplicated")
    assert kept.schema.names == ["doc", "v"]
    rejected = table(storage, "quarantine").column("id").to_pylist()
    ids = [*kept.column("doc").to_pylist(), *map(str, removed), *rejected]
    assert sorted(ids) == ROWS.column("doc").to_pylist()
    assert (kept.num_rows, rejected) == (6, ["row-9"])
    vectors = dict(zip(ROWS.column("doc").to_pylist(), VECTORS, strict=True))
    assert all(vectors[str(gone)] == vectors[str(left)] for gone, left in removed.items())


@pytest.mark.long
def test_the_same_run_once_more_reuses_every_stage_on_s3(done):
    third = json.loads((done / "3.json").read_text())
    assert [stage["reused"] for stage in third["stages"]] == [True] * 4
    status = json.loads((done / "status.json").read_text())
    assert {stage["stage"] for stage in status["stages"]} == {"embed", "cluster", "score", "select"}


@pytest.mark.long
def test_the_lease_of_a_killed_run_on_s3_ends_and_the_others_are_released(done, storage):
    leases = table(storage, "leases").to_pylist()
    told = [(row["run_id"], row["event"]) for row in sorted(leases, key=lambda r: r["happened_at"])]
    killed, second, third = dict.fromkeys(run for run, _ in told)
    assert told == [
        (killed, "claimed"),
        *((run, event) for run in (second, third) for event in ("claimed", "released")),
    ]
    assert json.loads((done / "status.json").read_text())["working"] is None


@pytest.mark.long
def test_training_reads_the_table_from_s3_without_spark(done, storage, monkeypatch):
    for name, value in storage.items():
        monkeypatch.setenv(name, value)
    rows = DeduplicatedDataset("s3://lake/dedup/deduplicated")
    assert sorted(row["doc"] for row in (rows[i] for i in range(len(rows)))) == [
        f"row-{i}" for i in sorted(kept_ids(storage))
    ]


def kept_ids(storage):
    return [
        int(doc.removeprefix("row-")) for doc in table(storage, "deduplicated")["doc"].to_pylist()
    ]
