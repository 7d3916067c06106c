"""Every night on EMR Serverless. Needs Airflow's provider amazon with the extra aiobotocore."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator
from airflow.sdk import DAG
from semdedup_ending import JudgedByItsSummary, place_of_summary

if TYPE_CHECKING:
    from airflow.sdk import Context

APPLICATION = "00f1example2345a"
ROLE = "arn:aws:iam::123456789012:role/semdedup-job"
FOLDER = "s3://bucket/semdedup"
# EMR's own Delta, and the packed environment: docs/how-to/emr.md says how to make it.
SETTINGS = (
    "spark.jars=/usr/share/aws/delta/lib/delta-spark.jar,/usr/share/aws/delta/lib/delta-storage.jar",
    "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone=UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch=4096",
    "spark.speculation=false",
    "spark.log.level=ERROR",
    f"spark.archives={FOLDER}/environment.tar.gz#environment",
    "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON=./environment/bin/python",
    "spark.emr-serverless.driverEnv.PYSPARK_PYTHON=./environment/bin/python",
    "spark.executorEnv.PYSPARK_PYTHON=./environment/bin/python",
    "spark.driver.cores=4",
    "spark.driver.memory=14g",
    "spark.executor.cores=4",
    "spark.executor.memory=14g",
    "spark.executor.memoryOverhead=12g",
    "spark.emr-serverless.driver.disk=60g",
    "spark.emr-serverless.executor.disk=60g",
)


class DeduplicateOnEmrServerless(JudgedByItsSummary, EmrServerlessStartJobOperator):
    """One run on EMR Serverless that writes its summary to S3."""

    def execute(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start it and wait, or give the worker back until it ends."""
        with self.judged(context) as told:
            super().execute(context, event)
        return told

    def summary(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Read the object that ``--summary`` names."""
        words = self.job_driver["sparkSubmit"]["entryPointArguments"]
        bucket, key = S3Hook.parse_s3_url(place_of_summary(words))
        return dict(json.loads(S3Hook(self.aws_conn_id).read_key(key, bucket)))


with DAG(
    "semdedup_emr_serverless",
    schedule="@daily",
    start_date=datetime(2026, 11, 28),
    catchup=False,
    max_active_runs=1,
    tags=["semdedup"],
) as dag:
    DeduplicateOnEmrServerless(
        task_id="deduplicate",
        retries=3,
        retry_delay=timedelta(minutes=10),
        aws_conn_id="aws_default",
        deferrable=True,
        waiter_delay=60,
        waiter_max_attempts=720,  # half a day: the default gives up after 25 minutes, and cancels
        application_id=APPLICATION,
        execution_role_arn=ROLE,
        name="semdedup {{ run_id }}",
        job_driver={
            "sparkSubmit": {
                "entryPoint": f"{FOLDER}/semdedup.py",
                "entryPointArguments": [
                    "run",
                    *("--config", f"{FOLDER}/emr.yml"),
                    *("--run-id", "{{ run_id }}"),  # the same in each try, which goes on at once
                    *("--wait", "600"),
                    # One try, one file: a killed run is not judged by the summary of another.
                    *("--summary", FOLDER + "/summaries/{{ run_id }}-{{ ti.try_number }}.json"),
                ],
                "sparkSubmitParameters": " ".join(f"--conf {setting}" for setting in SETTINGS),
            }
        },
        configuration_overrides={
            "monitoringConfiguration": {
                "s3MonitoringConfiguration": {"logUri": f"{FOLDER}/logs/"},
            }
        },
    )
