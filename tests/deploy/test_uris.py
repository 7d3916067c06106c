"""Files of the command line that lie in an object storage, on a server on loopback."""

import json
import logging
from pathlib import Path

import boto3
import pyarrow.fs
import pytest
import yaml
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from semdedup_spark.cli import cli
from semdedup_spark.config import load_config
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.paths import local
from semdedup_spark.report.files import check_writable, replace_file

JOB = {
    "output": "s3://lake/dedup",
    "source": {"kind": "text", "format": "jsonl", "path": "s3://lake/x", "id": "i", "content": "t"},
}
NIGHT = "nights/2026-11-28T03:00:00+00:00.json"  # as a scheduler writes the name of a run


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "made",
        "AWS_SECRET_ACCESS_KEY": "up",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="lake")
    return client


def content(bucket, key):
    return bucket.get_object(Bucket="lake", Key=key)["Body"].read()


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_a_job_file_is_read_from_an_object_storage(bucket, scheme):
    bucket.put_object(Bucket="lake", Key="jobs/a b.yml", Body=yaml.safe_dump(JOB).encode())
    loaded = load_config(f"{scheme}://lake/jobs/a b.yml", ["source.path=abfss://c@a.example/y"])
    assert (loaded.output, loaded.source.path) == ("s3://lake/dedup", "abfss://c@a.example/y")
    with pytest.raises(ConfigError, match="--config must be a readable YAML file"):
        load_config("s3://lake/jobs/nosuch.yml")


def test_a_storage_that_does_not_answer_is_no_mistake_of_the_configuration(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OSError, match="NETWORK_CONNECTION") as caught:
        load_config("s3://lake/job.yml")
    assert not isinstance(caught.value, ConfigError)


@pytest.mark.pyspark
def test_a_failed_run_leaves_its_summary_there(bucket):
    place = f"s3://lake/{NIGHT}"
    words = ["run", "--config", "s3://lake/nosuch.yml", "--summary", place]
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, ConfigError)
    told = json.loads(content(bucket, NIGHT))
    assert (told["ok"], told["retryable"]) == (False, False)


@pytest.mark.pyspark
def test_ids_are_read_from_there(bucket, tmp_path):
    from semdedup_spark.pipeline.ids import read_ids

    bucket.put_object(Bucket="lake", Key="ids.txt", Body="\ufeffa\r\n\r\nb c\r\n".encode())
    assert read_ids(Path("s3://lake/ids.txt")) == ["a", "b c"]


def test_a_file_is_written_there_although_a_path_has_lost_a_slash(bucket):
    place = Path("s3://lake/reports/1.html")
    check_writable("--out", place)
    replace_file(place, b"new")
    assert content(bucket, "reports/1.html") == b"new"


@pytest.mark.parametrize("option", ["--summary", "--out"])
def test_a_scheme_that_nothing_writes_is_refused_before_work(option):
    with pytest.raises(SourceError, match=f"{option} must lie where Python can open it"):
        check_writable(option, Path("nosuch://bucket/a.json"))


@pytest.mark.parametrize("scheme", ["abfss://box@account.dfs.core.windows.net", "gs://box"])
def test_other_object_storages_are_known(scheme):
    if scheme.startswith("abfss") and not hasattr(pyarrow.fs, "AzureFileSystem"):
        pytest.skip("this pyarrow does not know Azure: there the package adlfs opens it")
    check_writable("--summary", Path(f"{scheme}/a.json"))


def test_a_log_of_lines_is_refused_there_as_nothing_can_be_appended():
    result = CliRunner().invoke(cli, ["--log-json", "s3://lake/log.jsonl", "config"])
    assert isinstance(result.exception, ConfigError)
    assert "--log-json must be a file on this machine" in str(result.exception)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("dbfs:/Volumes/main/dedup/models/a", "/Volumes/main/dedup/models/a"),
        ("dbfs:/lake/a", "/dbfs/lake/a"),
    ],
)
def test_a_volume_of_databricks_is_a_folder_there(uri, place):
    assert local(uri) == place
