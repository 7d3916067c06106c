"""The stages of a job: read, transform, write, record.

The only package that knows the transforms, the tables and the configuration at once.
"""

from semdedup_spark.pipeline.exclusive import held_output
from semdedup_spark.pipeline.job import JobSummary, preview_job, run_job, run_recluster
from semdedup_spark.pipeline.job_context import Job, Listener, Progress, open_job
from semdedup_spark.pipeline.operations.forget import Forgotten, run_forget
from semdedup_spark.pipeline.queries.cost_plan import Plan, plan_sizes, run_plan
from semdedup_spark.pipeline.stages.cluster import DRIFT_BOUND, run_cluster
from semdedup_spark.pipeline.stages.embed.embed import run_embed, run_reference
from semdedup_spark.pipeline.stages.prune import label_association, run_prune, run_pruning_job
from semdedup_spark.pipeline.stages.score import run_score
from semdedup_spark.pipeline.stages.select.select import run_select

__all__ = [
    "DRIFT_BOUND",
    "Forgotten",
    "Job",
    "JobSummary",
    "Listener",
    "Plan",
    "Progress",
    "held_output",
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
