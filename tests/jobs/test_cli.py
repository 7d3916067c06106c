"""The command line as a person or a scheduler meets it: exit codes, messages, results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
# Six directions, three of them twice, and one row without a vector.
VECTORS = [[float(i == j) for j in range(6)] for i in (0, 1, 2, 3, 4, 5, 1, 3, 5)] + [None]
# On ten rows the compilers cost more than they save.
LIGHT = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
COUNTS = {"read": 10, "kept": 6, "removed": 3, "quarantined": 1}


@pytest.fixture
def job(tmp_path):
    """A job file that works; ``tmp_path`` / "out" is where its tables would be."""
    ids = [f"row-{i}" for i in range(len(VECTORS))]
    rows = pa.table({"doc": ids, "v": pa.array(VECTORS, pa.list_(pa.float32()))})
    pq.write_table(rows, tmp_path / "rows.parquet")
    path = str(tmp_path / "rows.parquet")
    config = {
        "output": str(tmp_path / "out"),
        "source": {
            "kind": "vectors",
            "format": "parquet",
            "path": path,
            "id": "doc",
            "content": "v",
        },
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 2},
    }
    file = tmp_path / "job.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def semdedup(*arguments, cwd):
    program = Path(sys.executable).with_name("semdedup")
    return started([str(program), *map(str, arguments)], cwd)


def started(command, cwd):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYSPARK_", "SPARK_"))
    }
    (cwd / "spark-defaults.conf").write_text("".join(f"{k} {v}\n" for k, v in LIGHT.items()))
    environment |= {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(cwd),
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def refused(done, job, *words):
    """Exit code 2 and one message, nothing else, and nothing written."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""
    messages = [line for line in done.stderr.splitlines() if line.startswith("semdedup: ")]
    assert len(messages) == 1, done.stderr
    for word in words:
        assert word in done.stderr
    assert not (job.parent / "out").exists()


def printed_counts(output):
    return {name: int(n) for name, n in re.findall(r"^rows (\w+) +(\d+)\b", output, re.M)}


def test_help_loads_nothing_heavy(tmp_path):
    done = started([sys.executable, "-X", "importtime", "-m", "semdedup_spark", "--help"], tmp_path)
    assert done.returncode == 0
    for command in ("run", "embed", "cluster", "score", "select", "demo"):
        assert re.search(rf"^  {command} ", done.stdout, re.M)
    loaded = set(re.findall(r"\| +([\w]+)$", done.stderr, re.M))
    assert "click" in loaded
    assert not loaded & {"pyspark", "delta", "torch", "pandas", "pyarrow", "numpy", "matplotlib"}


def test_a_wrong_key_is_refused_before_spark_starts(job):
    done = semdedup("run", "--config", job, "--set", "select.epps=0.1", cwd=job.parent)
    refused(done, job, "select.epps is not a known key", "did you mean 'eps'?")
    assert done.stderr.startswith("semdedup: ")  # nothing before it says that Spark starts


@pytest.mark.parametrize("stage", ["run", "embed", "cluster", "score", "select"])
def test_a_missing_job_file_is_refused_by_every_command(job, stage):
    done = semdedup(stage, "--config", job.parent / "nowhere.yml", cwd=job.parent)
    refused(done, job, "--config must be a readable YAML file", "nowhere.yml", "semdedup init")


@pytest.mark.spark
def test_a_missing_column_is_refused_and_nothing_is_written(job):
    done = semdedup("run", "--config", job, "--set", "source.content=vv", cwd=job.parent)
    refused(done, job, "source.content must name a column", "Got 'vv'", "did you mean 'v'?")


@pytest.mark.long
@pytest.mark.spark
def test_a_missing_path_is_refused_and_nothing_is_written(job):
    done = semdedup("run", "--config", job, "--set", "source.path=nowhere.parquet", cwd=job.parent)
    refused(done, job, "source.path must be readable as parquet", "nowhere.parquet", "Hint: ")


@pytest.mark.spark
def test_a_run_prints_what_became_of_the_rows_and_stands_in_mlflow_as_asked(job, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (job.parent / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = job.parent / "summary.json"
    if sys.version_info >= (3, 11):  # a file that a worker of Spark would take for Python's module
        (job.parent / "copy.py").write_text("raise SystemExit('0 pictures')")
    asked = ("--summary", place, "--mlflow", "lake")
    done = semdedup("run", "--config", job, *asked, cwd=job.parent)
    assert done.returncode == 0, done.stderr
    (tracked,) = job.parent.glob("mlruns/*/*/metrics/select.kept")
    assert float(tracked.read_text().split()[1]) == COUNTS["kept"]
    summary = json.loads(place.read_text())
    assert summary["ok"] is True
    assert {name: summary[name] for name in COUNTS} == COUNTS
    assert printed_counts(done.stdout) == COUNTS
    assert "quarantined as null_vector: 1" in done.stdout
    assert "Traceback" not in done.stderr
    for stage in ("embed", "cluster", "score", "select"):
        assert f"{stage}: done in" in done.stderr
    for name in ("deduplicated", "duplicates", "quarantine", "scores", "runs"):
        assert (job.parent / "out" / name / "_delta_log").is_dir()
        assert f"delta.`{job.parent}/out/{name}`" in done.stdout


@pytest.mark.spark
def test_spark_submit_runs_the_same_job_and_logs_no_more_than_the_command(job):
    from semdedup_spark.session.spark_session import resolved_delta_jars

    jars = resolved_delta_jars()
    delta = (
        ["--jars", ",".join(jars)]
        if jars
        else ["--packages", "io.delta:delta-spark_4.1_2.13:4.3.1"]
    )
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        "--master",
        "local[2]",
        "--properties-file",
        "conf/spark-defaults.conf",
        *(word for key, value in LIGHT.items() for word in ("--conf", f"{key}={value}")),
        "--conf",
        "spark.sql.shuffle.partitions=2",
        *delta,
        str(REPOSITORY / "jobs" / "semdedup.py"),
        *("run", "--config", str(job)),
    ]
    (job.parent / "conf").symlink_to(REPOSITORY / "conf")
    done = started(command, cwd=job.parent)
    assert done.returncode == 0, done.stderr[-5000:] + done.stdout[-5000:]
    assert printed_counts(done.stdout) == COUNTS
    # What is left is said by Java itself. Where spark-submit runs, Ivy adds the list of the jars.
    of_java = re.compile(r"NOTE: Picked up JDK_JAVA_OPTIONS|WARNING: Using incubator modules")
    assert [line for line in done.stderr.splitlines() if not of_java.match(line)] == []
    assert not re.search(r"\b(?:INFO|WARN|ERROR)\b|^\s+at [\w$.]+\(", done.stdout, re.MULTILINE)


def test_a_plan_for_sizes_alone_needs_no_data_and_counts_as_the_paper_does(capsys):
    from semdedup_spark.cli import main

    sizes = ["plan", "--rows", "437444349", "--dimension", "512"]
    main([*sizes, "--n_clusters", "50000"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "3.8e+12 of 1.9e+17" in shown
    assert "50,000 on 2 levels" in shown
    for wrong in (
        sizes[:3],
        ["plan"],
        [*sizes, "--config", "x.yml"],
        [*sizes, "--n_clusters", "0"],
    ):
        with pytest.raises(SystemExit) as refused:
            main(wrong)
        assert refused.value.code == 2
