"""Each request of deploy/emr/ is taken by a stand-in of AWS, and would run as it is."""

import json
import re
import subprocess

import moto
import pytest
from botocore.exceptions import ParamValidationError

from tests.deploy.requests_to_emr import EMR, FILES, driver, problems, request, send


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made up")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        yield


@pytest.mark.parametrize("name", FILES)
def test_a_request_is_taken_and_arrives_as_it_was(name):
    sent = request(name)
    arrived = send(name, sent)
    if name == "ec2/steps.json":
        assert arrived == sent["Steps"][0]["HadoopJarStep"]["Args"]
    else:
        assert arrived == sent["jobDriver"]


@pytest.mark.parametrize("name", FILES)
def test_a_request_would_run(name):
    assert list(problems(name, request(name))) == []


def test_the_three_platforms_are_given_the_same_command():
    given = [driver(name, request(name))[1:] for name in FILES]
    assert given[0] == given[1] == given[2]


def test_the_cluster_installs_the_package_with_python_3_11_on_each_node():
    (action,) = request("ec2/cluster.json")["BootstrapActions"]
    script = EMR / "ec2" / action["ScriptBootstrapAction"]["Path"].rpartition("/")[2]
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "python3.11 -m venv /opt/semdedup" in script.read_text()
    assert "text" in action["ScriptBootstrapAction"]["Args"]


def test_all_platforms_have_one_release_of_emr():
    releases = {
        request("ec2/cluster.json")["ReleaseLabel"],
        request("serverless/application.json")["releaseLabel"],
        request("eks/start-job-run.json")["releaseLabel"].removesuffix("-latest"),
    }
    assert len(releases) == 1
    assert re.fullmatch(r"emr-7\.\d+\.\d+", releases.pop())


def set_in(tree, path, value):
    *parents, leaf = path
    for key in parents:
        tree = tree[key]
    tree[leaf] = value


STEPS, SERVERLESS, EKS = FILES
STEP = ("Steps", 0, "HadoopJarStep")
SPARK = ("jobDriver", "sparkSubmit")


@pytest.mark.parametrize(
    ("name", "path", "value", "told"),
    [
        (
            STEPS,
            (*STEP, "Arguments"),
            [],
            'Unknown parameter in Steps[0].HadoopJarStep: "Arguments"',
        ),
        (STEPS, (*STEP, "Args"), "spark-submit", "Invalid type for parameter Steps[0].Had"),
        (SERVERLESS, ("jobdriver",), {}, 'Unknown parameter in input: "jobdriver"'),
        (
            SERVERLESS,
            (*SPARK, "entrypoint"),
            "x",
            'Unknown parameter in jobDriver.sparkSubmit: "entry',
        ),
        (
            SERVERLESS,
            (*SPARK, "entryPointArguments"),
            "run",
            "Invalid type for parameter jobDriver",
        ),
        (SERVERLESS, ("retryPolicy",), {"attempts": 2}, 'Unknown parameter in retryPolicy: "attem'),
        (EKS, ("jobDriver", "sparkSubmit"), {}, 'Unknown parameter in jobDriver: "sparkSubmit"'),
        (EKS, ("release",), "emr-7.13.0", 'Unknown parameter in input: "release"'),
    ],
)
def test_a_planted_wrong_key_is_refused_before_it_is_sent(name, path, value, told):
    sent = request(name)
    set_in(sent, path, value)
    with pytest.raises(ParamValidationError) as refused:
        send(name, sent)
    assert told in str(refused.value)
    print(str(refused.value).splitlines()[1])


def test_a_planted_wrong_key_of_the_cluster_is_refused():
    cluster = request("ec2/cluster.json")
    cluster["Instances"]["SubnetId"] = cluster["Instances"].pop("Ec2SubnetId")
    with pytest.raises(ParamValidationError, match='Unknown parameter in Instances: "SubnetId"'):
        send(STEPS, request(STEPS), cluster)


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        (STEPS, "/opt/semdedup/bin/python", "/usr/bin/python3", "must name Python 3.11"),
        (STEPS, "delta-spark.jar", "delta-core.jar", "spark.jars must be EMR's own"),
        (SERVERLESS, "DeltaCatalog", "DeltaCatalogue", "spark_catalog must be"),
        (SERVERLESS, "tar.gz#environment", "tar.gz", "spark.archives must unpack #environment"),
        (
            SERVERLESS,
            "--conf spark.executor.cores",
            "--packages io.delta:delta-spark_4.1_2.13:4.3.1 --conf spark.executor.cores",
            "EMR 7 is Scala 2.12",
        ),
        (EKS, "semdedup.py", "semdedupe.py", "jobs/ has no semdedupe.py"),
        (EKS, "--summary", "--sumary", "No such option"),
        (EKS, '"run"', '"rum"', "no such command: 'rum'"),
    ],
)
def test_a_planted_mistake_that_aws_would_take_is_told(name, old, new, told):
    text = (EMR / name).read_text()
    assert old in text
    found = list(problems(name, json.loads(text.replace(old, new))))
    assert any(told in each for each in found), found
    print(found)
