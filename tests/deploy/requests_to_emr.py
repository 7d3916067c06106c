"""Requests to EMR: read, sent to a stand-in of AWS, and looked into where AWS takes any text."""

import json
import shlex
from pathlib import Path

import boto3

from tests.deploy.commands import wrong_words

ROOT = Path(__file__).parents[2]
EMR = ROOT / "deploy" / "emr"
FILES = ("ec2/steps.json", "serverless/start-job-run.json", "eks/start-job-run.json")
_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
_JARS = ["/usr/share/aws/delta/lib/delta-spark.jar", "/usr/share/aws/delta/lib/delta-storage.jar"]
# In which setting each platform is told of the interpreter. EMR's own is Python 3.9.
_PYTHON = {
    "ec2": ["spark.pyspark.python"],
    "serverless": [
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON",
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON",
        "spark.executorEnv.PYSPARK_PYTHON",
    ],
    "eks": ["spark.pyspark.python"],
}


def request(name):
    return json.loads((EMR / name).read_text())


def client(service):
    return boto3.client(service, region_name="us-east-1")


def send(name, sent, cluster=None):
    """Send a request where its platform listens; gives what is to be found there afterwards."""
    if name == "ec2/steps.json":
        emr = client("emr")
        flow = emr.run_job_flow(**(cluster or request("ec2/cluster.json")))["JobFlowId"]
        emr.add_job_flow_steps(**{**sent, "JobFlowId": flow})
        return emr.list_steps(ClusterId=flow)["Steps"][0]["Config"]["Args"]
    if name == "serverless/start-job-run.json":
        serverless = client("emr-serverless")
        made = serverless.create_application(**request("serverless/application.json"))
        run = serverless.start_job_run(**{**sent, "applicationId": made["applicationId"]})
        ids = {"applicationId": made["applicationId"], "jobRunId": run["jobRunId"]}
        return serverless.get_job_run(**ids)["jobRun"]["jobDriver"]
    eks = client("emr-containers")
    place = {"id": "cluster", "type": "EKS", "info": {"eksInfo": {"namespace": "spark"}}}
    made = eks.create_virtual_cluster(name="spark", containerProvider=place)["id"]
    run = eks.start_job_run(**{**sent, "virtualClusterId": made})
    return eks.describe_job_run(virtualClusterId=made, id=run["id"])["jobRun"]["jobDriver"]


def driver(name, sent):
    """The words for spark-submit before the program, the program, and the words behind it."""
    if name == "ec2/steps.json":
        program, *words = sent["Steps"][0]["HadoopJarStep"]["Args"]
        assert program == "spark-submit"
        place = next(i for i, word in enumerate(words) if word.endswith(".py"))
        return words[:place], words[place], words[place + 1 :]
    (job,) = sent["jobDriver"].values()
    return shlex.split(job["sparkSubmitParameters"]), job["entryPoint"], job["entryPointArguments"]


def settings(name, sent):
    """Spark's settings: those of the words, and those beside them."""
    words, _, _ = driver(name, sent)
    found = [words[i + 1] for i, word in enumerate(words) if word == "--conf"]
    beside = sent.get("configurationOverrides", {}).get("applicationConfiguration", [])
    defaults = [each["properties"] for each in beside if each["classification"] == "spark-defaults"]
    return dict(setting.split("=", 1) for setting in found) | dict(*defaults)


def problems(name, sent):
    """What AWS would take, and what would fail when the job runs: each mistake in one line."""
    given, program, words = driver(name, sent)
    found = settings(name, sent)
    for key, value in _DELTA.items():
        if found.get(key) != value:
            yield f"{key} must be {value!r}. Got {found.get(key)!r}."
    jars = [jar.removeprefix("local://") for jar in found.get("spark.jars", "").split(",")]
    if jars != _JARS:
        yield f"spark.jars must be EMR's own. Got {jars}."
    if "--packages" in given or "spark.jars.packages" in found:
        yield "EMR 7 is Scala 2.12, and no package of the README goes with it."
    for key in _PYTHON[name.partition("/")[0]]:
        python = found.get(key, "none")
        folder = "environment" if python.startswith("./") else "/opt/semdedup"
        if not python.endswith(f"{folder}/bin/python"):
            yield f"{key} must name Python 3.11. Got {python!r}."
        if folder == "environment" and "#environment" not in found.get("spark.archives", ""):
            yield f"spark.archives must unpack #environment, which {key} names."
    if not (ROOT / "jobs" / Path(program).name).is_file():
        yield f"jobs/ has no {Path(program).name}"
    if wrong := wrong_words(words, ROOT / "conf" / "emr.yml"):
        yield wrong
