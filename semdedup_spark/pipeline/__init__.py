"""The stages of a job: read, transform, write, record.

The only package that knows the transforms, the tables and the configuration at once.
"""

from semdedup_spark.pipeline.cluster import DRIFT_BOUND, run_cluster
from semdedup_spark.pipeline.embed import run_embed, run_reference
from semdedup_spark.pipeline.forget import Forgotten, run_forget
from semdedup_spark.pipeline.job import JobSummary, preview_job, run_job, run_recluster
from semdedup_spark.pipeline.plan import Plan, plan_sizes, run_plan
from semdedup_spark.pipeline.prune import label_association, run_prune, run_pruning_job
from semdedup_spark.pipeline.score import run_score
from semdedup_spark.pipeline.select import run_select
from semdedup_spark.pipeline.stages import Job, Listener, Progress, open_job

__all__ = [
    "DRIFT_BOUND",
    "Forgotten",
    "Job",
    "JobSummary",
    "Listener",
    "Plan",
    "Progress",
    "label_association",
    "open_job",
    "plan_sizes",
    "preview_job",
    "run_cluster",
    "run_embed",
    "run_forget",
    "run_job",
    "run_plan",
    "run_prune",
    "run_pruning_job",
    "run_recluster",
    "run_reference",
    "run_score",
    "run_select",
]
