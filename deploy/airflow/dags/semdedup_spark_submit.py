"""Every night by spark-submit, on the worker of Airflow. Needs its provider apache-spark."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, ObjectStoragePath
from semdedup_ending import JudgedByItsSummary, place_of_summary

if TYPE_CHECKING:
    from airflow.sdk import Context

# One try, one file: a killed run is not judged by the summary of an older one. Where the driver
# runs on another machine, this must be an object storage: s3://bucket/semdedup/...
SUMMARY = "/tmp/semdedup-{{ run_id }}-{{ ti.try_number }}.json"


class DeduplicateBySparkSubmit(JudgedByItsSummary, SparkSubmitOperator):
    """The command line of semdedup_spark, by spark-submit."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit it and wait."""
        with self.judged(context) as told:
            super().execute(context)
        return told

    def summary(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Read the file that ``--summary`` names."""
        place = ObjectStoragePath(place_of_summary(self.application_args))
        return dict(json.loads(place.read_text()))


with DAG(
    "semdedup_spark_submit",
    schedule="@daily",
    start_date=datetime(2026, 11, 28),
    catchup=False,
    max_active_runs=1,
    tags=["semdedup"],
) as dag:
    DeduplicateBySparkSubmit(
        task_id="deduplicate",
        retries=3,
        retry_delay=timedelta(minutes=10),
        conn_id="spark_default",
        deploy_mode="client",  # only so the exit code of the command comes back
        name="semdedup {{ run_id }}",
        application="/opt/semdedup/jobs/semdedup.py",
        # Leave this out where the platform brings its own Delta, as EMR does.
        packages="io.delta:delta-spark_4.1_2.13:4.3.1",
        conf={
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
            "spark.speculation": "false",
            "spark.log.level": "ERROR",
        },
        application_args=[
            "run",
            *("--config", "/opt/semdedup/job.yml"),
            *("--run-id", "{{ run_id }}"),  # the same in each try, which goes on at once
            *("--wait", "600"),
            *("--summary", SUMMARY),
        ],
    )
