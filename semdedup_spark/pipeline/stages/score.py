"""Stage ``score``: from ``embeddings`` and ``centroids`` to ``scores`` and ``clusters``."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ReconciliationError, StageOrderError
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.identity import result_key
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.observed import Observed
from semdedup_spark.pipeline.stage_runner import StageResult, identity_of, require_stage, run_stage
from semdedup_spark.pipeline.stages.cluster import require_centroids
from semdedup_spark.pipeline.stages.cluster_cost import cost_drift
from semdedup_spark.pipeline.stages.compare import scored
from semdedup_spark.pipeline.stages.compare_plan import plan
from semdedup_spark.pipeline.stages.compare_settings import Trained, probing_of, trained
from semdedup_spark.pipeline.stages.embed.embed import reference_settings, require_embed
from semdedup_spark.pipeline.stages.embed.source_changes import rank_identity
from semdedup_spark.pipeline.stages.embed.source_guards import check_same_ids
from semdedup_spark.pipeline.stages.empty_tables import is_emptied, no_scores
from semdedup_spark.pipeline.stages.rank_order import check_order, ranked
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.score_changes import (
    Changes,
    find_changes,
    near_targets,
)
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import Commit, replace_rows, replace_table
from semdedup_spark.tables.marks import RowHistory, StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.states import TableState
from semdedup_spark.transforms.cluster.centroid_rows import fits_centroids
from semdedup_spark.transforms.cluster.cluster_sizes import measure_clusters, size_statistics
from semdedup_spark.transforms.embed.vector_storage import in_storage, storage_of
from semdedup_spark.transforms.score.comparison import AgainstReference, Everyone, Targets
from semdedup_spark.transforms.score.packed_rows import TARGET
from semdedup_spark.visible import masked_repr

_LOG = logging.getLogger(__name__)
# Nothing is known that was scored before.
_ALL_NEW = Changes(since=-1, n_before=0, n_gone=0, n_left=0)


@exclusive
def run_score(
    job: Job,
    embed: StageRecord | None = None,
    cluster: StageRecord | None = None,
    reference: StageRecord | None = None,
) -> StageRecord:
    """Score all rows, or those that changed.

    With a reference, rows are compared with the rows of the reference only.

    Parameters
    ----------
    job
        The job.
    embed
        Record of the stage embed; by default it is looked up.
    cluster
        Record of the stage cluster; by default it is looked up.
    reference
        Record of the stage reference; by default it is looked up if the job has a reference.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    if embed is None:  # else the stage embed has just checked the order
        embed = require_embed(job)
        check_order(job, embed)
    cluster = cluster or require_centroids(job)
    if reference is None and job.config.reference is not None:
        reference = require_stage(job, "reference", reference_settings(job.config))
    state = job.state(s.EMBEDDINGS)
    history = state.mark.rows if state is not None else RowHistory()
    beside = {s.CENTROIDS: identity_of(job, cluster, s.CENTROIDS)}
    if reference is not None:
        beside[s.REFERENCE] = reference.result_key
    made_with = result_key(job.config.score.identity(), {**beside, "ordered": history.ordered})

    def compute(key: str) -> StageResult:
        mark = StageMark(job.run_id, "score", key, made_with, rows=RowHistory(batch=history.batch))
        if is_emptied(job, embed):
            return no_scores(job, mark)
        return _score(job, _opened(job, embed, reference, history), mark)

    inputs = {
        s.EMBEDDINGS: embed.result_key,
        **beside,
        "batches": history.rows_scored,
    }
    return run_stage(job, "score", job.config.score.identity(), inputs, compute)


@masked_repr
@dataclass(frozen=True)
class _Tables:
    # What is scored. `others`: rows of the reference, if any; `order`: see `RowHistory`.
    embeddings: DataFrame
    centroids: Trained
    n: int
    others: DataFrame | None
    order: str


def _opened(
    job: Job, embed: StageRecord, reference: StageRecord | None, history: RowHistory
) -> _Tables:
    others, embeddings = None, ranked(job, embed, history.order)
    if reference is not None:
        others = read_table(job.spark, job.root, s.REFERENCE, reference.outputs[s.REFERENCE])
    return _Tables(
        embeddings,
        trained(read_table(job.spark, job.root, s.CENTROIDS)),
        embed.counts["embedded"],
        others,
        history.order,
    )


def _score(job: Job, tables: _Tables, mark: StageMark) -> StageResult:
    known = _known_scores(job, tables, mark)
    if tables.others is not None:
        commit, counts = _score_against(job, tables, tables.others, known, mark)
    elif known is None:
        commit, counts = _score_all(job, tables, mark)
    else:
        commit, counts = _score_changes(job, tables, known, mark)
    scores = read_table(job.spark, job.root, s.SCORES, commit.version)
    held, settings = tables.centroids.held, job.config.score
    measured = measure_clusters(scores, len(held.X), settings.eps_max)
    sizes = size_statistics(measured, held.sample_rows, held.X.shape[1])
    if sizes.rows != tables.n:
        raise ReconciliationError(
            f"every embedding must be scored once. {tables.n} became {sizes.rows}."
        )
    clusters = replace_table(
        measured.table(job.spark.range(1).coalesce(1)),
        job.root,
        s.CLUSTERS,
        StageMark(job.run_id, "score", mark.result_key),
    )
    return StageResult(
        outputs={s.SCORES: commit.version, s.CLUSTERS: clusters.version},
        counts={"rows": tables.n, **counts},
        metrics={
            **({} if probing_of(settings) is None else measured.certified_shares()),
            "cost_drift": cost_drift(job.config.cluster, sizes),
            **sizes.shown,
        },
    )


def _known_scores(job: Job, tables: _Tables, mark: StageMark) -> TableState | None:
    """Find scores that can be kept for rows that did not change.

    They must be made with the same settings and centroids, of rows that are still in the same
    order.
    """
    state = job.state(s.SCORES)
    if state is None or state.mark.stage != "score" or state.mark.made_with != mark.made_with:
        return None
    # Embedding watches the columns of one SQL order; whether those of another changed is unknown.
    if tables.order != rank_identity(job.config.score.rank_by):
        return None
    scores = read_table(job.spark, job.root, s.SCORES, state.version)
    old = tables.embeddings.filter(F.col(s.BATCH) <= state.mark.rows.batch)
    if not fits_centroids(old, scores, tables.centroids.source):
        _LOG.warning(
            "the scores do not fit the centroids that they are marked with: all rows are scored"
        )
        return None
    return state


def _score_all(job: Job, tables: _Tables, mark: StageMark) -> tuple[Commit, dict[str, int]]:
    scope, clusters = Everyone(tables.n), tables.centroids.estimated_clusters(tables.n)
    comparison, carrier = plan(tables.embeddings, clusters, job.config.score, scope)
    found = scored(job, tables.embeddings, comparison, scope, carrier)
    commit = replace_table(found.rows, job.root, s.SCORES, mark)
    return commit, {"units": carrier.n_units, **found.counts()}


def _score_changes(
    job: Job, tables: _Tables, known: TableState, mark: StageMark
) -> tuple[Commit, dict[str, int]]:
    old = read_table(job.spark, job.root, s.SCORES, known.version)
    changes = find_changes(tables.embeddings, old, known.mark.rows.batch)
    if changes is None:
        return _score_all(job, tables, mark)
    rows = changes.with_target(tables.embeddings)
    n_targets = changes.n_targets(tables.n)
    counts, found = {"targets": n_targets, "gone": changes.n_gone}, Observed(old.limit(0), None)
    if n_targets:
        scope, clusters = Targets(n_targets), tables.centroids.counted_clusters(old)
        comparison, carrier = plan(rows, clusters, job.config.score, scope)
        n_scores = changes.n_before + changes.n_gone
        near = near_targets(rows, old, comparison, carrier, n_scores)
        found = scored(job, near, comparison, scope, carrier)
        counts |= {"units": carrier.n_units}
    commit = _store(job, found.rows, changes, old, mark)
    return commit, {"units": 0, **counts, **found.counts()}


def _score_against(
    job: Job, tables: _Tables, others: DataFrame, known: TableState | None, mark: StageMark
) -> tuple[Commit, dict[str, int]]:
    """Compare rows with the rows of the reference; of known rows only the changed ones."""
    changes, old = _ALL_NEW, None
    if known is not None:
        old = read_table(job.spark, job.root, s.SCORES, known.version)
        since = known.mark.rows.batch
        since_then = find_changes(tables.embeddings, old, since, among_themselves=False)
        changes, old = (_ALL_NEW, None) if since_then is None else (since_then, old)
    columns = [s.ID, s.EMBEDDING, s.BATCH]
    check_same_ids(tables.embeddings.schema[s.ID].dataType, others.schema[s.ID].dataType)
    targets = changes.with_target(tables.embeddings).filter(TARGET).select(*columns, TARGET)
    rest = others.withColumn(s.BATCH, F.lit(-1)).withColumn(TARGET, F.lit(False))
    rest = in_storage(rest.select(*columns, TARGET), storage_of(targets))
    rows = targets.unionByName(rest)
    scope = AgainstReference(changes.n_targets(tables.n))
    clusters = tables.centroids.estimated_clusters(others.count())
    comparison, carrier = plan(rows, clusters, job.config.score, scope)
    found = scored(job, rows, comparison, scope, carrier)
    if old is None:
        commit = replace_table(found.rows, job.root, s.SCORES, mark)
    else:
        commit = _store(job, found.rows, changes, old, mark)
    counts = {"units": carrier.n_units, "gone": changes.n_gone}
    return commit, {**counts, **found.counts()}


def _store(
    job: Job, scores: DataFrame, changes: Changes, old: DataFrame, mark: StageMark
) -> Commit:
    if changes.part is not None:
        beside = changes.beside(old)
        rows = scores if beside is None else beside.unionByName(scores)
        return replace_rows(rows, job.root, s.SCORES, changes.part, mark)
    return replace_table(changes.kept(old).unionByName(scores), job.root, s.SCORES, mark)


def require_score(job: Job) -> StageRecord:
    """Return the record of the stage score, which must have run on the rows that are there now.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    StageRecord
        The record.

    Raises
    ------
    StageOrderError
        If the stage has not run, or other rows were scored, or with another reference.
    """
    score = require_stage(job, "score", job.config.score.identity())
    check_reference(job)
    state = job.state(s.EMBEDDINGS)
    if state is None or score.inputs.get("batches") != state.mark.rows.rows_scored:
        raise StageOrderError(
            "every row of embeddings must be scored, and no other. Rows were embedded or forgotten "
            "since.",
            hint="run `semdedup score` again, or `semdedup run`.",
        )
    return score
