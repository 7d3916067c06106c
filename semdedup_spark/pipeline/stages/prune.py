"""Stage ``prune`` (Heo & Chen 2024): from ``embeddings`` to ``pruning`` and ``pruned``."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ReconciliationError
from semdedup_spark.kernels.statistics.cramers_v import cramers_v
from semdedup_spark.pipeline.exclusive import exclusive, exclusive_once_begun
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import (
    all_rows_as_embedded,
    check_own_unchanged,
    rows_as_embedded,
)
from semdedup_spark.pipeline.stage_runner import StageResult, identity_of, run_stage
from semdedup_spark.pipeline.stages.cluster import require_centroids, run_cluster
from semdedup_spark.pipeline.stages.compare_settings import trained
from semdedup_spark.pipeline.stages.embed.embed import require_embed, run_embed
from semdedup_spark.pipeline.stages.empty_tables import is_emptied, no_pruning
from semdedup_spark.schema import ERASED
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.prune import (
    Pruning,
    assign_rows,
    cluster_counts,
    cluster_sizes,
    exact_quotas,
    prune_rows,
    pruned_rows,
)


@exclusive_once_begun
def run_pruning_job(job: Job) -> StageRecord:
    """Run the stages embed, cluster and prune. Each is computed, or its output is reused.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord
        Record of the stage prune.
    """
    embed = run_embed(job.alone())  # no row is compared with the reference
    return run_prune(job, embed, run_cluster(job, embed))


@exclusive
def run_prune(
    job: Job, embed: StageRecord | None = None, cluster: StageRecord | None = None
) -> StageRecord:
    """Keep a percentage of each cluster (Heo & Chen 2024).

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed; by default it is looked up.
    cluster
        Record of the stage cluster; by default it is looked up.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    embed = embed or require_embed(job)
    cluster = cluster or require_centroids(job)

    def compute(key: str) -> StageResult:
        return _prune(job, embed, cluster, key)

    inputs = pruning_inputs(job, embed, cluster)
    return run_stage(job, "prune", job.config.prune.identity(), inputs, compute)


def pruning_inputs(job: Job, embed: StageRecord, cluster: StageRecord) -> dict[str, str]:
    """Return the inputs of the stage: the identity of the rows and of the centroids.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    cluster
        Record of the stage cluster.

    Returns
    -------
    dict[str, str]
        Inputs by name.
    """
    inputs = {
        s.EMBEDDINGS: embed.result_key,
        s.CENTROIDS: identity_of(job, cluster, s.CENTROIDS),
    }
    state = job.state(s.EMBEDDINGS)
    if state is not None and state.mark.rows.erased:
        inputs[ERASED] = str(state.mark.rows.erased)
    return inputs


def _prune(job: Job, embed: StageRecord, cluster: StageRecord, key: str) -> StageResult:
    mark = StageMark(job.run_id, "prune", key)
    embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
    own = all_rows_as_embedded(job, embed)
    centroids = read_table(job.spark, job.root, s.CENTROIDS, cluster.outputs[s.CENTROIDS])
    if is_emptied(job, embed):
        chosen = replace_table(no_pruning(job), job.root, s.PRUNING, mark)
    else:
        chosen = replace_table(_choose(job, embeddings, centroids), job.root, s.PRUNING, mark)
    pruning = read_table(job.spark, job.root, s.PRUNING, chosen.version)
    with_id = not embed.counts["has_id"]
    clean = pruned_rows(own, pruning, with_id=with_id).drop(
        *filter(None, [job.config.source.unreadable])
    )
    kept = replace_table(clean, job.root, s.PRUNED, mark)
    check_own_unchanged(job, embed)
    n_kept = pruning.filter(F.col(s.KEPT)).count()
    if chosen.rows != embed.counts["embedded"] or kept.rows != n_kept:
        raise ReconciliationError(
            f"every embedding must be assigned once, and every kept row written. "
            f"{embed.counts['embedded']} embeddings became {chosen.rows}; {n_kept} to keep, "
            f"{kept.rows} written."
        )
    return StageResult(
        outputs={s.PRUNING: chosen.version, s.PRUNED: kept.version},
        counts={
            "read": embed.counts["read"],
            "kept": kept.rows,
            "removed": chosen.rows - kept.rows,
            "quarantined": embed.counts["quarantined"],
            "n_clusters": cluster.counts["n_clusters"],
        },
    )


def _choose(job: Job, embeddings: DataFrame, centroids: DataFrame) -> DataFrame:
    settings = job.config.prune
    assigned = assign_rows(embeddings, trained(centroids).source, settings.seed)
    quotas = exact_quotas(cluster_sizes(assigned), settings.ratio) if settings.exact_total else None
    rule = Pruning(settings.ratio, settings.rank_type, settings.prune_type, settings.n_bins, quotas)
    return prune_rows(assigned, rule)


def label_association(job: Job, record: StageRecord, column: str) -> float:
    """Measure how much the clusters of a pruning say about a column: Cramer's V. A value near 0 may
    mean that rows and clusters do not belong together.

    Parameters
    ----------
    job
        The job.
    record
        Record of the stage prune.
    column
        Column of the source that has few values.

    Returns
    -------
    float
        Cramer's V in [0, 1].
    """
    pruning = read_table(job.spark, job.root, s.PRUNING, record.outputs[s.PRUNING])
    rows = cluster_counts(rows_as_embedded(job), pruning, column).collect()
    return cramers_v(*zip(*rows, strict=True))
