"""``embeddings`` to ``centroids``."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.config import ClusterConfig, ScoreConfig, fingerprint
from semdedup_spark.errors import StageOrderError
from semdedup_spark.kernels.cluster.cost import USUAL, Forecast, SizeCurve, cheapest, forecast
from semdedup_spark.kernels.cluster.sample_plan import plan_training
from semdedup_spark.kernels.cluster.train import Training
from semdedup_spark.masking import masked
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.identity import result_key
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import StageResult, has_output, require_stage, run_stage
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.pipeline.stages.empty_tables import is_emptied, no_centroids
from semdedup_spark.pipeline.stages.given_centroids import (
    check_encoder,
    given_centroids,
    given_table,
)
from semdedup_spark.tables.catalog import read_table, table_id
from semdedup_spark.tables.commits import replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.cluster.centroid_rows import (
    Centroids,
    Sizes,
    centroid_rows,
    collect_centroids,
)
from semdedup_spark.transforms.cluster.fit import Sample, count_contents, fit_centroids, sample_rows
from semdedup_spark.transforms.cluster.survey import survey_clusters
from semdedup_spark.transforms.embed.vector_storage import dimension_of_first

# Of the survey that tells how uneven clusters are.
_SURVEY_ROWS = 16_384

# Names among the stage's inputs.
_ORIGIN, _TRAINED_ON = "origin", "trained_on"
# Times the cost with new centroids from which a run says so.
DRIFT_BOUND = 2.0


@exclusive
def run_cluster(job: Job, embed: StageRecord | None = None, *, afresh: bool = False) -> StageRecord:
    """Train on a sample of ``embeddings``, or take the centroids of ``cluster.centroids``;
    ``embed``: its record, looked up if not given.

    Centroids stay as new rows come, unless ``cluster.retrain`` says otherwise: old ones only cost
    time. ``afresh``: train in any case.
    """
    embed = embed or require_embed(job)
    named, version = given_table(job), 0
    given: dict[str, str] = {}
    if named is not None:
        version = named.newest_version(job.spark)
        # A table made again under this name has the same versions of other contents.
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
    """What the centroids depend on: the rows on which they are trained now, or were trained if
    those that are there can stay; these rows may since have grown to a larger table.
    """
    settings, state = job.config.cluster, job.state(s.EMBEDDINGS)
    rows, origin = embed.result_key, embed.result_key
    if state is not None:
        origin = state.mark.rows.origin
        rows = fingerprint([rows, state.mark.rows.erased]) if state.mark.rows.erased else rows
    if settings.retrain == "on_change":
        return {s.EMBEDDINGS: rows, **given}
    trained_now = {_ORIGIN: origin, _TRAINED_ON: rows, **given}
    last, score = job.ledger.last("cluster"), job.ledger.last("score")
    drifted = score is not None and score.metrics.get("cost_drift", 1.0) > DRIFT_BOUND
    if last is None or afresh or (settings.retrain == "auto" and drifted):
        return trained_now
    as_before = {**trained_now, _TRAINED_ON: last.inputs.get(_TRAINED_ON, "")}
    can_stay = result_key(settings.identity(), as_before) == last.result_key
    return as_before if can_stay and has_output(job, last) else trained_now


def require_centroids(job: Job) -> StageRecord:
    """The record of the stage; raises :class:`StageOrderError` where it must run first."""
    cluster = require_stage(job, "cluster", job.config.cluster.identity())
    state = job.state(s.EMBEDDINGS)
    origin = cluster.inputs.get(_ORIGIN)
    if state is not None and origin is not None and origin != state.mark.rows.origin:
        raise StageOrderError(
            "the output of stage cluster must be made from these embeddings. They have begun anew "
            "since.",
            hint="run `semdedup cluster` again, or `semdedup run`.",
        )
    return cluster


def cost_drift(settings: ClusterConfig, sizes: Sizes) -> float:
    """How many times the comparisons within clusters, and the assignment, that new centroids would
    take.
    """
    n, k = sizes.rows, sizes.n_clusters
    if not n or not sizes.sample_rows:
        return 1.0
    uneven = k * sizes.sample_pairs / sizes.sample_rows**2
    wanted = settings.n_clusters
    if not isinstance(wanted, int):
        wanted = forecast_of(settings, n, sizes.dimension, USUAL).n_clusters
    best = min(wanted, n)
    return float((sizes.pairs / 2 + n * k) / (uneven * n * n / best / 2 + n * best))


def dimension_of(rows: DataFrame) -> int:
    """Of the embeddings. Raises :class:`StageOrderError` where there is none."""
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


def expected_cost(job: Job, rows: DataFrame, n: int, dimension: int) -> Forecast:
    """What the configured number of clusters will cost; of ``auto`` the cheapest, for clusters as
    uneven as those of a sample of the rows (id, embedding).
    """
    settings = job.config.cluster
    sample = sample_rows(rows, min(1.0, _SURVEY_ROWS / n), settings.seed)
    sizes = survey_clusters(sample, settings.seed)
    return forecast_of(settings, n, dimension, sizes)


def forecast_of(settings: ClusterConfig, n: int, dimension: int, sizes: SizeCurve) -> Forecast:
    """Of the configured number of clusters, or of the cheapest one."""
    k, levels, per_cluster = (
        settings.n_clusters,
        settings.wanted_levels,
        settings.sample_per_cluster,
    )
    unit = ScoreConfig().unit_rows(dimension)  # score.unit_memory_mb must change no result
    if k == "auto":
        return cheapest(
            n,
            dimension,
            sample_per_cluster=per_cluster,
            unit_rows=unit,
            sizes=sizes,
            levels=levels,
        )
    return forecast(
        n,
        dimension,
        min(k, n),
        sample_per_cluster=per_cluster,
        unit_rows=unit,
        sizes=sizes,
        levels=levels,
    )
