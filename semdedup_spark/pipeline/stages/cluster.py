"""Stage ``cluster``: train ``centroids`` on a sample of ``embeddings``, or take given ones."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.config import fingerprint
from semdedup_spark.errors import StageOrderError
from semdedup_spark.kernels.cluster.sample_plan import plan_training
from semdedup_spark.kernels.cluster.train import Training
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.identity import result_key
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import StageResult, has_output, require_stage, run_stage
from semdedup_spark.pipeline.stages.cluster_cost import expected_cost
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.pipeline.stages.empty_tables import is_emptied, no_centroids
from semdedup_spark.pipeline.stages.given_centroids import (
    check_encoder,
    given_centroids,
    given_table,
)
from semdedup_spark.schema import ERASED
from semdedup_spark.tables.catalog import read_table, table_id
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.cluster.centroid_rows import (
    Centroids,
    centroid_rows,
    collect_centroids,
)
from semdedup_spark.transforms.cluster.fit import fit_centroids
from semdedup_spark.transforms.cluster.sample import Sample, count_contents, sample_rows
from semdedup_spark.transforms.embed.vector_storage import dimension_of_first

# Keys of the stage's inputs: the result that the table embeddings began with, and the rows that the
# centroids were trained on.
_ORIGIN, _TRAINED_ON = "origin", "trained_on"
# A run reports cost_drift where it is above this.
DRIFT_BOUND = 2.0


@exclusive
def run_cluster(job: Job, embed: StageRecord | None = None, *, afresh: bool = False) -> StageRecord:
    """Train centroids on a sample of ``embeddings``, or take those of ``cluster.centroids``.

    Centroids stay as new rows come, unless ``cluster.retrain`` says otherwise. Old centroids make
    no result wrong, but they may cost more time.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed; by default it is looked up.
    afresh
        Train in any case.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    embed = embed or require_embed(job)
    named, version = given_table(job), 0
    given: dict[str, str] = {}
    if named is not None:
        version = named.newest_version(job.spark)
        # The table's id is needed too: a table made again under this name has versions with the
        # same numbers and other contents.
        table = f"{named.root.name(named.table)} {table_id(job.spark, named.root, named.table)}"
        given["given centroids"] = masked(f"{table}@{version}")
    inputs = _inputs(job, embed, given, afresh=afresh)

    def compute(key: str) -> StageResult:
        state = job.state(s.EMBEDDINGS)
        made_with = "" if state is None else state.mark.made_with
        mark = StageMark(job.run_id, "cluster", key, made_with=made_with)
        if is_emptied(job, embed):
            return no_centroids(job, mark)
        rows = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        rows = rows.select(s.ID, s.EMBEDDING, s.CONTENT_HASH)
        n = embed.counts["embedded"]
        dimension = dimension_of(rows)
        if named is None:
            return _train(job, Sample(rows, n, dimension, n), mark)
        check_encoder(job, made_with)
        rows = given_centroids(job, named, version, dimension).coalesce(1)
        mark = replace(mark, content=collect_centroids(rows).identity)
        commit = replace_table(rows, job.root, s.CENTROIDS, mark)
        counts = {"rows": n, "sample_rows": 0, "n_clusters": commit.rows}
        return StageResult(outputs={s.CENTROIDS: commit.version}, counts=counts)

    return run_stage(job, "cluster", job.config.cluster.identity(), inputs, compute)


def _inputs(job: Job, embed: StageRecord, given: dict[str, str], *, afresh: bool) -> dict[str, str]:
    """Return what the centroids depend on: the rows that they are trained on.

    These are the rows of now, or, where the present centroids can stay, the rows that they were
    trained on. The table may have grown since.
    """
    settings, state = job.config.cluster, job.state(s.EMBEDDINGS)
    rows, origin = embed.result_key, embed.result_key
    if state is not None:
        origin = state.mark.rows.origin
        rows = fingerprint([rows, state.mark.rows.erased]) if state.mark.rows.erased else rows
    if settings.retrain == "on_change":
        erased = {} if rows == embed.result_key else {ERASED: rows}
        return {s.EMBEDDINGS: embed.result_key, **erased, **given}
    trained_now = {_ORIGIN: origin, _TRAINED_ON: rows, **given}
    last, score = job.ledger.last("cluster"), job.ledger.last("score")
    drifted = score is not None and score.metrics.get("cost_drift", 1.0) > DRIFT_BOUND
    if last is None or afresh or (settings.retrain == "auto" and drifted):
        return trained_now
    as_before = {**trained_now, _TRAINED_ON: last.inputs.get(_TRAINED_ON, "")}
    can_stay = result_key(settings.identity(), as_before) == last.result_key
    return as_before if can_stay and has_output(job, last) else trained_now


def require_centroids(job: Job) -> StageRecord:
    """Return the record of the stage cluster, which must have run.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord
        Record of the stage.

    Raises
    ------
    StageOrderError
        The stage must run first: it has not run, it ran with other settings, its table was changed,
        or its centroids are of embeddings that were replaced by others since.
    """
    cluster = require_stage(job, "cluster", job.config.cluster.identity())
    state = job.state(s.EMBEDDINGS)
    origin = cluster.inputs.get(_ORIGIN)
    if state is not None and origin is not None and origin != state.mark.rows.origin:
        raise StageOrderError(
            "the output of stage cluster must be made from these embeddings. The table embeddings "
            "was started anew since.",
            hint="run `semdedup cluster` again, or `semdedup run`.",
        )
    return cluster


def dimension_of(rows: DataFrame) -> int:
    """Return the dimension of the embeddings.

    Parameters
    ----------
    rows
        Rows of ``embeddings``.

    Returns
    -------
    int
        Length of an embedding.

    Raises
    ------
    StageOrderError
        There are no rows.
    """
    dimension = dimension_of_first(rows)
    if dimension is None:
        raise StageOrderError(
            "embeddings must have at least one row. It has none.",
            hint="run `semdedup embed` with a source that has rows.",
        )
    return dimension


def _train(job: Job, all_rows: Sample, mark: StageMark) -> StageResult:
    settings, n, dimension = job.config.cluster, all_rows.n, all_rows.dimension
    wanted = settings.n_clusters
    if wanted == "auto":
        wanted = expected_cost(job, all_rows.rows, n, dimension).n_clusters
    plan = plan_training(
        n,
        dimension,
        n_clusters=wanted,
        sample_per_cluster=settings.sample_per_cluster,
        memory_mb=settings.sample_memory_mb,
        task_memory_mb=settings.task_memory_mb,
        levels=settings.wanted_levels,
    )
    chosen = sample_rows(all_rows.rows, plan.share, settings.seed)
    n_sample, n_contents = count_contents(chosen)
    sample = Sample(chosen, n_sample, dimension, plan.task_rows)
    training = Training(
        settings.seed, settings.max_iterations, settings.tolerance, settings.seeding
    )
    k = min(plan.n_clusters, n_contents)
    fitted = fit_centroids(sample, k, training, levels=plan.levels)
    identity = Centroids(fitted.centroids, fitted.counts, fitted.cells).identity
    table = centroid_rows(job.spark.range(1), fitted, mark.result_key).coalesce(1)
    commit = replace_table(table, job.root, s.CENTROIDS, replace(mark, content=identity))
    return StageResult(
        outputs={s.CENTROIDS: commit.version},
        counts={
            "rows": n,
            "sample_rows": n_sample,
            "n_clusters_wanted": plan.n_clusters,
            "n_clusters": len(fitted.centroids),
            "levels": 1 if fitted.cells is None else 2,
        },
        metrics={
            "objective": fitted.objective[-1],
            "iterations": float(len(fitted.objective) - 1),
            "sample_share": n_sample / n,
            **{f"objective_{i:02d}": value for i, value in enumerate(fitted.objective)},
        },
    )
