"""spark-submit to a cluster whose workers have nothing of ours, as docs/how-to/clusters.md says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
import yaml

from scripts.package_zip import write_zip
from tests.jobs.clusters import REPOSITORY, python_with_libraries, standalone, submitted
from tests.jobs.same_tables import JOBS, TABLES, WRITTEN, content, differences

pytestmark = [pytest.mark.spark, pytest.mark.cluster]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def python_alone(tmp_path_factory):
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def with_libraries(tmp_path_factory):
    return python_with_libraries(tmp_path_factory.mktemp("libraries"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """An environment with the package, and the file that it is packed into as the page says."""
    folder = tmp_path_factory.mktemp("packed")
    venv.create(folder / "env", with_pip=True, symlinks=True)
    python, file = folder / "env" / "bin" / "python", folder / "env.tar.gz"
    constraints = ["--constraint", str(REPOSITORY / "constraints.txt")]
    for command in (
        [python, "-m", "pip", "install", "--quiet", *constraints, REPOSITORY, "venv-pack2"],
        [python.with_name("venv-pack"), "--prefix", folder / "env", "--output", file],
    ):
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return python, file


def job_of(kind, folder, **stages):
    settings = JOBS[kind](folder) | stages
    (folder / "job.yml").write_text(yaml.safe_dump(settings))
    return Path(settings["output"]), ["--config", str(folder / "job.yml")]


def ended(process, log):
    process.wait(timeout=900)
    return process.returncode, log.read_text()


def other_than_of_a_local_run(spark, kind, output, tables=TABLES):
    written = json.loads(WRITTEN.read_text())[kind]
    found = {name: content(spark, f"{output}/{name}") for name in tables}
    return differences(found, {name: written[name] for name in tables})


def test_workers_without_packages_are_told_how_to_get_them(cluster, python_alone, tmp_path):
    _, config = job_of("vectors", tmp_path)
    log, words = tmp_path / "log", ("jobs/semdedup.py", "run", *config)
    code, said = ended(submitted(cluster.master, *words, python=python_alone, log=log), log)
    assert code == 1, said
    last = said[said.rindex("semdedup: ") :]
    assert "No module named" in last
    for way in ("--py-files", "--archives", "docs/how-to/clusters.md", "fails again"):
        assert way in last


def test_workers_that_have_nothing_run_a_packed_environment(spark, cluster, packed, tmp_path):
    output, config = job_of("vectors", tmp_path)
    driver, file = packed
    words = [
        *("--archives", f"{file}#environment"),
        *("--conf", f"spark.pyspark.driver.python={driver}"),
        *("jobs/semdedup.py", "run", *config),
    ]
    log, python = tmp_path / "log", "./environment/bin/python"
    code, said = ended(submitted(cluster.master, *words, python=python, log=log, path=""), log)
    assert code == 0, said
    assert other_than_of_a_local_run(spark, "vectors", output) == []


def test_a_job_from_the_zip_survives_an_executor(spark, cluster, with_libraries, tmp_path):
    write_zip(tmp_path / "semdedup_spark.zip")
    output, config = job_of("vectors", tmp_path)
    log, python = tmp_path / "log", with_libraries
    words = ("--py-files", str(tmp_path / "semdedup_spark.zip"), "jobs/semdedup.py", "run", *config)
    running = submitted(cluster.master, *words, python=python, log=log)
    while running.poll() is None and not list(output.glob("centroids/_delta_log/*.json")):
        time.sleep(0.1)
    assert running.poll() is None, log.read_text()
    cluster.kill_an_executor()
    code, said = ended(running, log)
    assert code == 0, said
    assert other_than_of_a_local_run(spark, "vectors", output) == []


@pytest.fixture
def with_gpus(tmp_path):
    """Settings of a cluster in one process whose only worker says that it has two GPUs."""
    script = tmp_path / "gpus.sh"
    told = {"name": "gpu", "addresses": ["0", "1"]}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(told)}'\n")
    script.chmod(0o755)
    settings = {
        "spark.worker.resource.gpu.amount": "2",
        "spark.worker.resource.gpu.discoveryScript": str(script),
        "spark.executor.resource.gpu.amount": "2",
        "spark.task.resource.gpu.amount": "1",
    }
    return [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_the_stage_embed_takes_the_gpu_that_spark_gives(spark, with_gpus, device, tmp_path):
    pytest.importorskip("torch")
    output, config = job_of("texts", tmp_path, embed={"encoder": "minilm", "device": device})
    log, master = tmp_path / "log", "local-cluster[1,2,1024]"
    words = (*with_gpus, "jobs/embed.py", *config)
    code, said = ended(submitted(master, *words, python=sys.executable, log=log), log)
    if device == "cpu":
        assert code == 0, said
        assert other_than_of_a_local_run(spark, "texts", output, ["embeddings"]) == []
    else:
        assert code == 1, said
        assert re.search("semdedup: .*the GPU cuda:[01] on this worker", said)
        assert "set embed.device to cpu" in said
