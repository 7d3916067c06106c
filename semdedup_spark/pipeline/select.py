"""``scores`` to ``deduplicated`` and ``duplicates``."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import HorizonError, ReconciliationError
from semdedup_spark.pipeline.embed import embed_settings
from semdedup_spark.pipeline.stages import Job, StageResult, require_stage, run_stage
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import CommitMark, replace_table
from semdedup_spark.transforms.selection import (
    eps_for_kept,
    explained_rows,
    kept_rows,
    removed_rows,
)
from semdedup_spark.transforms.survivors import with_survivors


def run_select(
    job: Job, embed: StageRecord | None = None, score: StageRecord | None = None
) -> StageRecord:
    """``scores`` to ``deduplicated`` and ``duplicates``."""
    embed = embed or require_stage(job, "embed", embed_settings(job.config))
    score = score or require_stage(job, "score", job.config.score.identity())

    def compute(key: str) -> StageResult:
        scores = read_table(job.spark, job.root, s.SCORES, score.outputs[s.SCORES])
        embeddings = read_table(job.spark, job.root, s.EMBEDDINGS, embed.outputs[s.EMBEDDINGS])
        eps = _chosen_eps(job, scores)
        mark = CommitMark(job.run_id, "select", key)
        across = job.config.score.recall != "cluster"
        with with_survivors(removed_rows(scores, eps), across=across) as followed:
            explained = explained_rows(followed, embeddings, eps)
            removed = replace_table(explained, job.root, s.DUPLICATES, mark)
        duplicates = read_table(job.spark, job.root, s.DUPLICATES, removed.version)
        with_id = not embed.counts["has_id"]
        clean = kept_rows(embeddings, duplicates, with_id=with_id).drop(s.CORRUPT_RECORD)
        kept = replace_table(clean, job.root, s.DEDUPLICATED, mark)
        read, quarantined = embed.counts["read"], embed.counts["quarantined"]
        if kept.rows + removed.rows + quarantined != read:
            raise ReconciliationError(
                f"kept + removed + quarantined must be the rows read. Got {kept.rows} + "
                f"{removed.rows} + {quarantined} for {read}."
            )
        return StageResult(
            outputs={s.DUPLICATES: removed.version, s.DEDUPLICATED: kept.version},
            counts={
                "read": read,
                "kept": kept.rows,
                "removed": removed.rows,
                "quarantined": quarantined,
                "uncovered": duplicates.filter(~F.col(s.COVERED)).count(),
            },
            metrics={"eps": eps},
        )

    inputs = {s.SCORES: score.result_key}
    return run_stage(job, "select", job.config.select.identity(), inputs, compute)


def _chosen_eps(job: Job, scores: DataFrame) -> float:
    select, horizon = job.config.select, job.config.score.eps_max
    if select.eps is not None:
        return select.eps
    row = eps_for_kept(scores, select.keep or 1.0, horizon).first()
    eps = float(row["eps"]) if row is not None and row["eps"] is not None else 1.0
    if eps > horizon:
        known = eps < 1.0  # scores beyond the horizon may not have been stored
        needs = f"eps {eps:.6g}" if known else "a larger one"
        raise HorizonError(
            f"select.keep must be reached at an eps of at most score.eps_max = {horizon}. "
            f"Got {select.keep}, which needs {needs}.",
            hint=f"set score.eps_max above {eps if known else horizon:.6g} and run again, or keep "
            "more rows.",
        )
    return eps
