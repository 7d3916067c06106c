"""The DAGs, loaded and rendered by Airflow, and what each makes of a run that ended.

Airflow goes with few of the versions that the other tests need: `make test-deploy` has it.
"""

import json
import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

if find_spec("airflow") is None:
    pytest.skip("apache-airflow is not installed: make test-deploy", allow_module_level=True)

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))

import boto3
import moto
from databricks.bundles.jobs import Task

from semdedup_spark import __version__
from tests.deploy.bundles import setup_cfg
from tests.deploy.commands import wrong_words
from tests.deploy.requests_to_emr import problems, request, send

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "deploy" / "airflow" / "dags"
PLATFORMS = ("spark_submit", "databricks", "emr_serverless")
RUN = "scheduled__2026-11-28T00:00:00+00:00"
JOB_FILES = {
    "spark_submit": ROOT / "conf" / "local.yml",
    "databricks": ROOT / "deploy" / "databricks" / "job.yml",
    "emr_serverless": ROOT / "conf" / "emr.yml",
}


def loaded(folder):
    """What Airflow finds in a folder of DAGs: errors by file, and DAGs by name."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(folder)
    return {Path(file).name: told for file, told in bag.import_errors.items()}, bag.dags


def context(**more):
    ti = SimpleNamespace(try_number=2, xcom_pull=lambda **_: 7, xcom_push=lambda **_: None)
    return {"run_id": RUN, "ti": ti, **more}


def rendered(folder, platform):
    errors, dags = loaded(folder)
    assert errors == {}
    (task,) = dags[f"semdedup_{platform}"].tasks
    task.render_template_fields(context())
    return task


@pytest.fixture
def folder(monkeypatch):
    monkeypatch.syspath_prepend(str(DAGS))  # as the processes of Airflow have it
    return DAGS


def words_of(platform, task):
    if platform == "spark_submit":
        return task.application_args
    if platform == "databricks":
        return task.json["tasks"][0]["python_wheel_task"]["parameters"]
    return task.job_driver["sparkSubmit"]["entryPointArguments"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_dag_is_loaded_and_its_command_is_one(folder, platform):
    task = rendered(folder, platform)
    words = words_of(platform, task)
    assert wrong_words(words, JOB_FILES[platform]) is None
    assert words[words.index("--run-id") + 1] == RUN  # the same in each try
    summary = words[words.index("--summary") + 1]
    assert summary == "-" or summary.endswith(f"{RUN}-2.json")  # another in each try
    assert (task.retries, task.dag.max_active_runs, task.dag.catchup) == (3, 1, False)


def test_databricks_would_take_its_task(folder):
    task = rendered(folder, "databricks")
    (sent,) = task.json["tasks"]
    assert Task.from_dict(sent).python_wheel_task.entry_point == "semdedup"
    wheel, *packages = sent["libraries"]
    assert wheel["whl"].endswith(f"/semdedup_spark-{__version__}-py3-none-any.whl")
    extra = setup_cfg()["options.extras_require"]["text"].split()
    assert [each["pypi"]["package"] for each in packages] == extra
    assert len(task.json["idempotency_token"]) <= 64


def test_emr_serverless_would_take_its_request(folder, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made up")
    task = rendered(folder, "emr_serverless")
    name = "serverless/start-job-run.json"
    sent = {
        "executionRoleArn": task.execution_role_arn,
        "jobDriver": task.job_driver,
        "configurationOverrides": task.configuration_overrides,
        "name": task.name,
    }
    with moto.mock_aws():
        assert send(name, sent) == task.job_driver
    assert list(problems(name, sent)) == []
    given = request(name)["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert task.job_driver["sparkSubmit"]["sparkSubmitParameters"] == given


def test_spark_submit_names_a_program_that_is_there_and_the_delta_of_the_readme(folder):
    task = rendered(folder, "spark_submit")
    assert (ROOT / "jobs" / Path(task.application).name).is_file()
    pages = [ROOT / "README.md", ROOT / "docs" / "how-to" / "clusters.md"]
    named = {m for page in pages for m in re.findall(r"--packages (\S+)", page.read_text())}
    assert named == {task.packages}


GOOD = {"ok": True, "kept": 9}
PASSES = {"ok": False, "retryable": True, "error": "the connection was lost"}
LASTS = {"ok": False, "retryable": False, "error": "no right to read"}
GUARD = {"ok": False, "retryable": False, "error": "a guard stopped it"}
ENDINGS = [
    (0, GOOD, "succeeds"),
    (0, None, "succeeds"),
    (1, PASSES, "is tried again"),
    (1, LASTS, "fails at once"),
    (2, LASTS, "fails at once"),
    (3, GUARD, "fails at once"),
    (2, None, "fails at once"),
    (3, None, "fails at once"),
    (137, None, "is tried again"),
]


def end_spark_submit(task, code, told, monkeypatch, tmp_path):
    """As the operator meets it: the exit code is in the message of its hook."""
    from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
    from airflow.sdk.exceptions import AirflowException

    place = tmp_path / "summary.json"
    task.application_args = [*task.application_args[:-1], str(place)]

    def submit(self, application):
        if told is not None:
            place.write_text(json.dumps(told))
        if code:
            raise AirflowException(f"Cannot execute: spark-submit. Error code is: {code}.")

    monkeypatch.setattr(SparkSubmitHook, "submit", submit)
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "spark://local")
    return task.execute(context())


def end_databricks(task, code, told, monkeypatch, tmp_path):
    """As a deferred operator meets it: an event of its trigger, and the output of the run."""
    said = f"reading\n{json.dumps(told, indent=2)}\nsemdedup: the end\n" if told else "{no json\n"
    error = {"error": f"SystemExit: {code}"} if 0 < code < 10 else {}
    hook = SimpleNamespace(
        get_run=lambda run_id: {"tasks": [{"run_id": run_id + 1}]},
        get_run_output=lambda run_id: {7 + 1: {"logs": said, **error}}[run_id],
    )
    vars(task)["_hook"] = hook  # where the operator keeps it
    ended = "FAILED" if code else "SUCCESS"
    state = {"life_cycle_state": "TERMINATED", "result_state": ended, "state_message": ""}
    event = {"run_id": 7, "run_page_url": "", "run_state": json.dumps(state), "errors": []}
    return task.resume_execution("execute_complete", {"event": event}, context())


def end_emr_serverless(task, code, told, monkeypatch, tmp_path):
    """As a deferred operator meets it: its trigger tells only that the job failed."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made up")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://?region_name=us-east-1")
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        if told is not None:
            key = f"semdedup/summaries/{RUN}-2.json"
            s3.put_object(Bucket="bucket", Key=key, Body=json.dumps(told).encode())
        client = boto3.client("emr-serverless", region_name="us-east-1")
        made = client.create_application(name="x", type="SPARK", releaseLabel="emr-7.13.0")
        ids = {"application_id": made["applicationId"], "job_id": started(client, made, task)}
        event = {"status": "error" if code else "success", "message": "", "job_details": ids}
        return task.resume_execution("execute_complete", {"event": event}, context())


def started(client, application, task):
    given = {"executionRoleArn": task.execution_role_arn, "jobDriver": task.job_driver}
    return client.start_job_run(applicationId=application["applicationId"], **given)["jobRunId"]


@pytest.mark.parametrize(("code", "told", "then"), ENDINGS)
@pytest.mark.parametrize(
    ("platform", "end"),
    [
        ("spark_submit", end_spark_submit),
        ("databricks", end_databricks),
        ("emr_serverless", end_emr_serverless),
    ],
)
def test_only_what_a_repetition_can_cure_is_tried_again(
    folder, platform, end, code, told, then, monkeypatch, tmp_path
):
    from airflow.sdk.exceptions import AirflowFailException

    if platform == "emr_serverless" and told is None and code:
        then = "is tried again"  # its operator does not tell the exit code
    task = rendered(folder, platform)
    if then == "succeeds":
        assert end(task, code, told, monkeypatch, tmp_path) == (told or {})
        return
    with pytest.raises(Exception) as raised:  # noqa: PT011  which one is what is asked
        end(task, code, told, monkeypatch, tmp_path)
    assert isinstance(raised.value, AirflowFailException) == (then == "fails at once")
    if then == "fails at once" and told:
        assert str(raised.value) == told["error"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_operator_that_waits_elsewhere_is_not_judged_yet(folder, platform, monkeypatch):
    from airflow.sdk.exceptions import TaskDeferred

    task = rendered(folder, platform)
    deferred = TaskDeferred(trigger=None, method_name="execute_complete")

    def wait(self, *_):
        raise deferred

    monkeypatch.setattr(type(task).__mro__[2], "execute", wait)
    monkeypatch.setattr(type(task), "summary", lambda *_: pytest.fail("nothing has ended"))
    with pytest.raises(TaskDeferred):
        task.execute(context())


@pytest.mark.parametrize(
    ("platform", "old", "new", "told"),
    [
        ("spark_submit", "SparkSubmitOperator", "SparkSubmitOperatr", "cannot import name"),
        ("spark_submit", "retries=3", "retrys=3", "Invalid arguments were passed"),
        ("databricks", "json={", "jsn={", "Invalid arguments were passed"),
        ("emr_serverless", "job_driver={", "jobdriver={", "missing keyword argument 'job_driver'"),
        ("emr_serverless", "@daily", "dayly", "AirflowTimetableInvalid"),
    ],
)
def test_a_planted_mistake_stops_airflow_from_loading_the_dag(
    folder, platform, old, new, told, tmp_path
):
    text = (DAGS / f"semdedup_{platform}.py").read_text()
    assert old in text
    (tmp_path / f"semdedup_{platform}.py").write_text(text.replace(old, new))
    errors, _ = loaded(tmp_path)
    assert told in errors.get(f"semdedup_{platform}.py", ""), errors
    print(errors[f"semdedup_{platform}.py"].strip().splitlines()[-1])


@pytest.mark.parametrize(
    ("platform", "old", "new", "told"),
    [
        ("spark_submit", '"--wait"', '"--weight"', "No such option"),
        ("databricks", '"run",', '"rum",', "no such command: 'rum'"),
        ("databricks", "{{ run_id }}", "{{ runid }}", "'runid' is undefined"),
        ("databricks", '"node_type_id"', '"node_type"', "Unexpected field 'node_type'"),
        ("emr_serverless", "delta-spark.jar", "delta-core.jar", "spark.jars must be EMR's own"),
    ],
)
def test_a_planted_mistake_that_airflow_loads_is_told(folder, platform, old, new, told, tmp_path):
    text = (DAGS / f"semdedup_{platform}.py").read_text()
    assert old in text
    (tmp_path / f"semdedup_{platform}.py").write_text(text.replace(old, new))
    found = list(wrong_in(tmp_path, platform))
    assert any(told in each for each in found), found
    print(found)


def wrong_in(folder, platform):
    try:
        task = rendered(folder, platform)
        yield wrong_words(words_of(platform, task), JOB_FILES[platform]) or ""
        if platform == "databricks":
            Task.from_dict(task.json["tasks"][0])
        if platform == "emr_serverless":
            yield from problems("serverless/start-job-run.json", {"jobDriver": task.job_driver})
    except Exception as error:
        yield str(error)
