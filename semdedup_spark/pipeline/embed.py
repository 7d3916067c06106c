"""Source rows to ``embeddings`` and ``quarantine``."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import EmbedConfig, JobConfig
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text_files import pinned
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.kernels.pacing import next_rows
from semdedup_spark.pipeline.stages import Job, Progress, StageResult, run_stage
from semdedup_spark.sources.places import END_OF_PLACES
from semdedup_spark.sources.rows import SourceRows, open_source
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.tables.writes import (
    Commit,
    CommitMark,
    append_rows,
    replace_table,
    table_state,
)
from semdedup_spark.transforms.embedding import READY_MADE, embed_rows
from semdedup_spark.transforms.ranking import check_rank_by

FIRST_BATCH = 0
# Rows of the first commit of an encoder, to learn its speed; cheap encoders start large.
_FIRST_COMMIT = {"pixels": 20_000, READY_MADE: 1_000_000}


def embed_settings(config: JobConfig) -> dict[str, Any]:
    """The settings that decide the embeddings."""
    return {"source": config.source.identity(), "embed": config.embed.identity()}


def run_embed(job: Job) -> StageRecord:
    """Source rows to ``embeddings`` and ``quarantine``."""
    spec = pinned(_encoder_spec(job.config.embed))
    identity = encoder_identity(spec)  # a missing model is found before the source is read
    spec = replace(spec, expected=identity)
    rank_by = job.config.score.rank_by  # that it fits the source is known before rows are counted
    source = open_source(
        job.spark,
        job.config.source,
        check=lambda own, left_out: check_rank_by(own, rank_by, left_out),
    )
    inputs = {"source": source.fingerprint, "encoder": identity}

    def compute(key: str) -> StageResult:
        embedded = _embed_all(job, source, spec, key)
        _refuse_changed_files(source)
        rejected = _quarantine(job, source, spec, key, source.n_read - embedded.rows)
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
                "quarantined": rejected.rows,
                "has_id": int(source.has_id),
            },
        )

    return run_stage(job, "embed", embed_settings(job.config), inputs, compute)


def _embed_all(job: Job, source: SourceRows, spec: EncoderSpec, key: str) -> Commit:
    """Embed in commits of about ``commit_seconds``, each a range of the hashed ids; continue after
    the last commit that an interrupted run of the same result left.
    """
    position, rows, version = _embedded_before(job, key)
    begun, done = time.monotonic(), list[tuple[int, float]]()
    wanted = _FIRST_COMMIT.get(spec.name, 512)
    while position < END_OF_PLACES:
        width = wanted / max(source.n_read, 1) * END_OF_PLACES
        end = min(END_OF_PLACES, position + max(1, int(width)))
        clock = time.monotonic()
        rows_here = _spread(job, source.between(position, end), spec)
        embedded = embed_rows(rows_here, spec, batch=FIRST_BATCH)
        good = embedded.filter(F.col(s.REASON).isNull()).drop(s.REASON, s.MESSAGE)
        store = append_rows if position else replace_table
        commit = store(
            good, job.root, s.EMBEDDINGS, CommitMark(job.run_id, "embed", key, end, END_OF_PLACES)
        )
        covered = max(1, round((end - position) / END_OF_PLACES * source.n_read))
        done.append((covered, time.monotonic() - clock))
        position, rows, version = end, rows + commit.rows, commit.version
        job.listener.progress(Progress("embed", rows, source.n_read, time.monotonic() - begun))
        wanted = next_rows(done, target_seconds=job.config.embed.commit_seconds)
    stored = read_table(job.spark, job.root, s.EMBEDDINGS).count()
    if stored != rows:
        raise ReconciliationError(
            f"embeddings must hold what this run embedded, {rows} rows. It holds {stored}: another "
            "run writes to the same output.",
            hint="let one run finish, then run the command again.",
        )
    return Commit(version, rows)


def _embedded_before(job: Job, key: str) -> tuple[int, int, int]:
    """(place in the ids, rows, version) that an interrupted run of the same result reached."""
    state = table_state(job.spark, job.root, s.EMBEDDINGS)
    if state is None or not state.holds("embed", key):
        return 0, 0, 0
    last = job.ledger.last("embed")
    if last is not None and last.result_key == key:  # finished, and changed by another hand since
        return 0, 0, 0
    rows = read_table(job.spark, job.root, s.EMBEDDINGS).count()
    return state.mark.progress, rows, state.version


def _spread(job: Job, rows: DataFrame, spec: EncoderSpec) -> DataFrame:
    """Give every task rows to encode; ready-made vectors stay where they are."""
    if spec.name == READY_MADE:
        return rows
    tasks = job.spark.conf.get("spark.sql.shuffle.partitions", "200") or "200"
    return rows.repartition(int(tasks) if tasks.isdigit() else 200, s.ID)


def _quarantine(
    job: Job, source: SourceRows, spec: EncoderSpec, key: str, n_missing: int
) -> Commit:
    """Rows that are not in ``embeddings``, each with its reason. Few, so they are simply looked at
    again, rather than carried beside the good rows through every commit.
    """
    rows = source.rows
    if n_missing:
        present = read_table(job.spark, job.root, s.EMBEDDINGS).select(s.ID)
        absent = rows.filter(F.col(s.REASON).isNull()).join(present, s.ID, "left_anti")
        rows = absent.unionByName(rows.filter(F.col(s.REASON).isNotNull()))
        rows = embed_rows(rows, spec, batch=FIRST_BATCH)
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
    mark = CommitMark(job.run_id, "embed", key)
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
    shared = {field.name for field in fields(EncoderSpec)} - {"name", "expected"}
    return EncoderSpec(embed.encoder, **{name: getattr(embed, name) for name in shared})
