"""A run of a job stands in MLflow as it was and as it ended; a server that is away costs a line."""

import json
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from semdedup_spark import __version__, parse_config
from semdedup_spark.cli import main
from semdedup_spark.config import JobConfig
from semdedup_spark.errors import SourceError
from semdedup_spark.pipeline import JobSummary, open_job
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tracking.mlflow_run import metrics, parameters, tracked

mlflow = pytest.importorskip("mlflow")
SECRET = "hunter2-of-the-lake"
TREE = {
    "output": f"s3://reader:{SECRET}@bucket/out",
    "source": {
        "kind": "text",
        "format": "csv",
        "path": f"s3://reader:{SECRET}@bucket/in.csv",
        "id": "key",
        "content": "text",
        "options": {"header": "true", "password": SECRET, "of_someone": SECRET},
    },
    "score": {"rank_by": f"text = '{SECRET}' DESC"},
}


def record(stage, *, reused=False, counts=None, **numbers):
    began = datetime(2026, 11, 28, tzinfo=timezone.utc)
    ran = (stage, began, 1.5, reused, "", "{}", "", "")
    return StageRecord("nightly", *ran, counts=counts or {}, metrics=numbers)


EMBED = record("embed", reused=True, counts={"read": 10})
SELECT = record("select", counts={"read": 10, "kept": 6, "removed": 4, "quarantined": 0}, eps=0.05)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A client of a store in files, which takes what a server takes."""
    place = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("TIMEOUT", "MAX_RETRIES"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "1")
    return mlflow.MlflowClient()


def runs(server, experiment="lake"):
    there = server.get_experiment_by_name(experiment)
    return [] if there is None else server.search_runs([there.experiment_id])


def played(experiment="lake", error=None, tree=TREE):
    with tracked(experiment) as watched:
        job = watched(open_job(None, parse_config(tree), run_id="nightly"))
        job.listener.finished(EMBED)
        if error is not None:
            raise error
        job.listener.finished(SELECT)


def test_a_run_has_the_settings_and_the_numbers_of_each_stage(server):
    played()
    (run,) = runs(server)
    assert (run.info.run_name, run.info.status) == ("nightly", "FINISHED")
    assert run.info.start_time <= run.info.end_time
    assert run.data.params["select.eps"] == "0.05"
    assert run.data.params["source.kind"] == "text"
    assert run.data.params["source.options.header"] == "true"
    assert run.data.metrics == {
        "embed.read": 10,
        "embed.seconds": 1.5,
        "embed.reused": 1,
        "select.read": 10,
        "select.kept": 6,
        "select.removed": 4,
        "select.quarantined": 0,
        "select.eps": 0.05,
        "select.seconds": 1.5,
        "select.reused": 0,
    }
    assert run.data.tags["semdedup.version"] == __version__
    assert run.data.tags["semdedup.output"] == "s3://***@bucket/out"


def test_each_invocation_is_a_run_of_the_same_experiment(server):
    played()
    played()
    assert [run.info.run_name for run in runs(server)] == ["nightly", "nightly"]


def test_a_failed_run_is_logged_as_failed_with_its_errors_class_and_what_it_did(server):
    with pytest.raises(SourceError, match="must be readable"):
        played(error=SourceError(f"source.path must be readable with {SECRET}"))
    (run,) = runs(server)
    assert run.info.status == "FAILED"
    assert run.data.tags["semdedup.error"] == "SourceError"
    assert run.data.metrics["embed.read"] == 10
    assert "select.kept" not in run.data.metrics


def test_no_secret_of_a_job_file_comes_to_mlflow(server, tmp_path):
    played()
    kept = [path for path in (tmp_path / "mlruns").rglob("*") if path.is_file()]
    assert len(kept) > 50
    assert not [path for path in kept if SECRET in path.read_text() or SECRET in path.name]


def test_every_setting_of_a_job_file_is_a_parameter_and_none_is_taken_for_a_secret():
    tree = {"output": "out", "source": {"kind": "text", "id": "key", "content": "text"}}
    tree["source"] |= {"format": "delta", "path": "docs"}
    found = parameters(parse_config(tree).model_dump())
    assert {name.partition(".")[0] for name in found} == {*JobConfig.model_fields}
    assert "***" not in found.values()
    assert found["select.must_agree"] == "[]"
    assert found["select.name"] == "null"


def test_names_and_values_are_those_that_mlflow_takes(server, caplog):
    options = {"a key/with: signs\n": "x", "../up": "y", "k" * 300: "z"}
    agree = [{"column": "text", "pattern": "y" * 7000}]
    source = {**TREE["source"], "options": options}
    played(tree={**TREE, "source": source, "select": {"must_agree": agree}})
    (run,) = runs(server)
    assert run.info.status == "FINISHED"
    assert "source.options.a_key_with__signs_" in run.data.params
    assert len(run.data.params["select.must_agree"]) == 6000
    assert caplog.records == []
    assert metrics([record("select:strict", counts={"kept": 1})])["select.strict.kept"] == 1


def test_a_number_that_is_none_does_not_keep_a_run_from_its_end(server, capsys):
    with tracked("lake") as watched:
        job = watched(open_job(None, parse_config(TREE), run_id="nightly"))
        job.listener.finished(record("score", worst=float("nan"), most=float("inf")))
    (run,) = runs(server)
    assert (run.info.status, capsys.readouterr()) == ("FINISHED", ("", ""))


def test_a_server_that_does_not_answer_costs_one_line_and_not_the_run(
    server, monkeypatch, capsys, caplog
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:9")
    played()
    told, said = capsys.readouterr()
    assert told == ""
    assert said.count("\n") == 1
    assert said.startswith("mlflow: the run nightly is not, or not completely, in the experiment ")
    assert SECRET not in said
    assert caplog.records == []  # nor one for each attempt
    with pytest.raises(SourceError):
        played(error=SourceError("the run's own error stays"))


def test_a_run_without_the_option_and_one_that_opened_no_job_log_nothing(server, tmp_path):
    played(None)
    with pytest.raises(SourceError), tracked("lake"):
        raise SourceError("refused before a job was open")
    assert not list((tmp_path / "mlruns").rglob("lake"))
    assert runs(server) == []


def test_the_missing_package_is_an_error_before_the_job_file_is_read(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--config", "nowhere.yml", "--mlflow", "lake"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "the package mlflow must be installed" in said
    assert "pip install 'semdedup-spark[mlflow]'" in said


class StandIn(BaseHTTPRequestHandler):
    """As much of a server as a run asks for: of such a one the client prints an address."""

    def do_GET(self):
        self.answer({"experiment": {"experiment_id": "1", "name": "lake"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path.rpartition("/")[2], json.loads(body)))
        self.answer({"run": {"info": {"run_id": "a1", "run_name": "nightly"}}, "run_info": {}})

    def answer(self, tree):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(tree).encode())

    def log_message(self, *words):
        pass


@pytest.fixture
def stand_in(server, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), StandIn) as made:
        made.asked = []
        Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{made.server_port}")
        yield made
        made.shutdown()


def test_the_command_logs_its_run_and_leaves_standard_output_to_its_summary(
    stand_in, monkeypatch, capsys
):
    """Without Spark: what the stages would do is played."""

    @contextmanager
    def working_job(config, overrides, run_id, wait, **allowed):
        yield open_job(None, parse_config(TREE), run_id=run_id)

    def run_job(job):
        job.listener.finished(SELECT)
        return JobSummary(10, 6, 4, 0, 0.05, (SELECT,))

    monkeypatch.setattr("semdedup_spark.cli.stages.working_job", working_job)
    monkeypatch.setattr("semdedup_spark.pipeline.run_job", run_job)
    words = ["run", "--config", "job.yml", "--run-id", "nightly", "--mlflow", "lake"]
    main([*words, "--summary", "-"])
    told, said = capsys.readouterr()
    assert json.loads(told)["kept"] == 6
    assert said == ""
    asked = [what for what, _ in stand_in.asked]
    assert asked == ["create", "log-batch", "log-batch", "update"]
    (logged,) = (body["metrics"] for _, body in stand_in.asked if body.get("metrics"))
    assert {each["key"]: each["value"] for each in logged}["select.kept"] == 6
    assert stand_in.asked[-1][1]["status"] == "FINISHED"
