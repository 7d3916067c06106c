"""Source rows to ``embeddings`` and ``quarantine``."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import EmbedConfig, JobConfig, fingerprint
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text_files import pinned
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.pipeline.commits import FIRST_BATCH, Embedded, Work, embed_all
from semdedup_spark.pipeline.stages import Job, StageResult, run_stage
from semdedup_spark.sources.rows import SourceRows, open_source
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import Commit, CommitMark, replace_table
from semdedup_spark.transforms.agreement import check_columns
from semdedup_spark.transforms.embedding import READY_MADE
from semdedup_spark.transforms.ranking import check_rank_by
from semdedup_spark.transforms.workers import WorkerSettings


def embed_settings(config: JobConfig) -> dict[str, Any]:
    """The settings that decide the embeddings."""
    return {"source": config.source.identity(), "embed": config.embed.identity()}


def run_embed(job: Job) -> StageRecord:
    """Source rows to ``embeddings`` and ``quarantine``."""
    spec = pinned(_encoder_spec(job.config.embed))
    identity = encoder_identity(spec)  # a missing model is found before the source is read
    spec = replace(spec, expected=identity)
    config = job.config

    def check(own: DataFrame, left_out: list[str]) -> None:
        """What later stages ask of the source is checked before its rows are counted."""
        check_rank_by(own, config.score.rank_by, left_out)
        for key, columns in config.select.columns.items():
            check_columns(own, columns, key=key)

    source = open_source(job.spark, config.source, check=check)
    inputs = {"source": source.fingerprint, "encoder": identity}
    made_with = f"{identity}, settings {fingerprint(job.config.embed.identity())[:16]}"

    def compute(key: str) -> StageResult:
        work = Work(source, spec, _worker_settings(job.config.embed), key, made_with)
        embedded = embed_all(job, work)
        _refuse_changed_files(source)
        rejected = _quarantine(job, work, source.n_read - embedded.rows)
        if embedded.rows + rejected.rows != source.n_read:
            raise ReconciliationError(
                f"embedded + quarantined must be the rows read. Got {embedded.rows} + "
                f"{rejected.rows} for {source.n_read}.",
                hint="the source may have changed while it was read; run the command again.",
            )
        return StageResult(
            outputs={s.EMBEDDINGS: embedded.version, s.QUARANTINE: rejected.version},
            counts={
                "read": source.n_read,
                "embedded": embedded.rows,
                **_shares(job, embedded, spec),
                "quarantined": rejected.rows,
                "has_id": int(source.has_id),
            },
        )

    return run_stage(job, "embed", embed_settings(job.config), inputs, compute)


def _shares(job: Job, embedded: Embedded, spec: EncoderSpec) -> dict[str, int]:
    """How many embeddings came from where; ``encoded`` counts what this invocation did, also where
    an interrupted one had begun.
    """
    if spec.name == READY_MADE:
        return {}
    hashes = read_table(job.spark, job.root, s.EMBEDDINGS, embedded.version)
    row = hashes.agg(F.count_distinct(s.CONTENT_HASH)).first()
    shares = {"embedded_distinct": int(row[0]) if row else 0, "reused": embedded.reused}
    return shares if embedded.encoded is None else {**shares, "encoded": embedded.encoded}


def _quarantine(job: Job, work: Work, n_missing: int) -> Commit:
    """Rows that are not in ``embeddings``, each with its reason. Few, so they are simply looked at
    again, rather than carried beside the good rows through every commit.
    """
    rows = work.source.rows
    if n_missing:
        present = read_table(job.spark, job.root, s.EMBEDDINGS).select(s.ID)
        absent = rows.filter(F.col(s.REASON).isNull()).join(present, s.ID, "left_anti")
        rows = work.embed(absent.unionByName(rows.filter(F.col(s.REASON).isNotNull())))
    else:
        rows = rows.withColumn(s.BATCH, F.lit(FIRST_BATCH)).limit(0)
    rejected = rows.select(
        s.ID,
        F.lit("embed").alias(s.STAGE),
        F.coalesce(F.col(s.REASON), F.lit("unstable_payload")).alias(s.REASON),
        F.coalesce(F.col(s.MESSAGE), F.lit("failed at first, embedded when tried again")).alias(
            s.MESSAGE
        ),
        s.BATCH,
        s.SOURCE,
    )
    mark = CommitMark(job.run_id, "embed", work.key)
    return replace_table(rejected, job.root, s.QUARANTINE, mark)


def _refuse_changed_files(source: SourceRows) -> None:
    if source.fingerprint.startswith("files:"):
        now = source.fingerprint_now()
        if now != source.fingerprint:
            raise SourceChangedError(
                f"the files of source.path must not change while they are read. They did: "
                f"{source.fingerprint} before, {now} after.",
                hint="run the command again when the writer is done.",
            )


def _encoder_spec(embed: EmbedConfig) -> EncoderSpec:
    shared = {field.name for field in fields(EncoderSpec)} - {"name", "batch_size", "expected"}
    batch_size = 0 if embed.batch_size == "auto" else embed.batch_size
    settings = {name: getattr(embed, name) for name in shared}
    return EncoderSpec(embed.encoder, batch_size=batch_size, **settings)


def _worker_settings(embed: EmbedConfig) -> WorkerSettings:
    return WorkerSettings(embed.decode_seconds, embed.gpu_memory_fraction)
