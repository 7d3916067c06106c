"""One of the two sources that may be compared, embedded: its rows go to two tables."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import EmbedConfig, SourceConfig, fingerprint
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text.model_files import pinned
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.masking import identifying
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import note_whole
from semdedup_spark.pipeline.stage_runner import StageResult, run_stage
from semdedup_spark.pipeline.stages.embed.embed_commits import embed_all
from semdedup_spark.pipeline.stages.embed.embed_work import Embedded, Work
from semdedup_spark.pipeline.stages.embed.id_contest import (
    opened_contest,
    rescued,
    settled,
    with_choice,
)
from semdedup_spark.pipeline.stages.embed.last_version import LastVersion
from semdedup_spark.pipeline.stages.embed.opened_side import Side, opened_side
from semdedup_spark.pipeline.stages.embed.quarantine import quarantine_rows
from semdedup_spark.pipeline.stages.embed.source_guards import place_of_source
from semdedup_spark.pipeline.stages.given_centroids import check_encoder
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.embed.embed_rows import READY_MADE
from semdedup_spark.transforms.embed.vector_storage import STORAGE
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings

# Version of the comparison of rows with those of before. A new version compares all of them once
# more, and encodes none again.
_COMPARISON = {"comparison of rows": "2"}


def run_side(job: Job, side: Side, settings: dict[str, Any]) -> StageRecord:
    """Embed the rows of a source, or reuse what an earlier run left.

    Parameters
    ----------
    job
        The job.
    side
        The source, and where its rows go.
    settings
        The settings that decide the result.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    spec = pinned(_encoder_spec(job.config.embed, side.source))
    identity = encoder_identity(spec)  # a missing model is found before the source is read
    spec = replace(spec, expected=identity)
    made_with = f"{identity}, settings {_of_vectors(job.config.embed)[:16]}"
    check_encoder(job, made_with)

    def inputs(fingerprint: str) -> dict[str, str]:
        return {"source": fingerprint, "encoder": identity, **_COMPARISON}

    last = LastVersion(job, side.stage, side.table, side.quarantine, settings, inputs)
    source = opened_side(job, side, last)

    def compute(key: str) -> StageResult:
        work = _work(job, side, source, spec, key=key, made_with=made_with)
        contest = opened_contest(work)
        work = with_choice(job, work, contest)
        embedded = rescued(job, work, contest, embed_all(job, work))
        _refuse_changed_files(source, side.key)
        if embedded.added is None:
            note_whole(job, source.fingerprint)
        work = settled(job, work, contest, embedded.history.batch)
        rejected = quarantine_rows(job, work, embedded)
        _require_all(embedded.rows, rejected.rows, source.n_read)
        return StageResult(
            outputs={side.table: embedded.version, side.quarantine: rejected.version},
            counts={
                "read": source.n_read,
                "embedded": embedded.rows,
                **_shares(job, embedded, work),
                "quarantined": rejected.rows,
                **_facts(source),
            },
        )

    return run_stage(job, side.stage, settings, inputs(source.fingerprint), compute)


def _of_vectors(embed: EmbedConfig) -> str:
    """Identity of the settings that the vectors depend on."""
    settings = {k: v for k, v in embed.identity().items() if k != "copy_source"}
    return fingerprint(identifying(settings))


def _require_all(embedded: int, rejected: int, read: int) -> None:
    if embedded + rejected != read:
        raise ReconciliationError(
            f"embedded + quarantined must be the rows read. Got {embedded} + {rejected} for "
            f"{read}.",
            hint="the source may have changed while it was read. Run the command again when "
            "nobody writes to it; if the numbers stay so, report it.",
        )


def _facts(source: SourceRows) -> dict[str, int]:
    """What a later run need not find out again, see :class:`LastVersion`."""
    length = {} if source.dimension is None else {"dimension": source.dimension}
    told = {"has_id": int(source.has_id), "unique_ids": int(source.unique_ids)}
    return {**told, "schema": source.schema, **length}


def _work(
    job: Job, side: Side, source: SourceRows, spec: EncoderSpec, *, key: str, made_with: str
) -> Work:
    return Work(
        source,
        spec,
        _worker_settings(job.config.embed),
        key,
        made_with,
        side.source.content,
        place_of_source(job, side.source, side.table),
        side.stage,
        side.table,
        STORAGE[job.config.embed.storage],
        side.rank_by,
        side.quarantine,
        _copies(job, side, source),
    )


def _copies(job: Job, side: Side, source: SourceRows) -> bool:
    """Whether the own columns are stored beside the vectors. No other process can read a DataFrame,
    a view has no earlier versions, and one row of a JSON file is as dear to find as all of them.
    """
    asked = job.config.embed.copy_source
    if side.table in job.frames:
        return True
    if asked != "auto":
        return asked
    made = [record.config for _, record in job.ledger.selections()]
    # The view of another selection shows the copy as well.
    if "view" in [job.config.select.write, *(json.loads(text).get("write") for text in made)]:
        return True
    return not (source.fingerprint.startswith("delta:") or side.source.format == "parquet")


def _shares(job: Job, embedded: Embedded, work: Work) -> dict[str, int]:
    """Numbers of embeddings by origin. ``encoded`` counts only what this invocation encoded, also
    where it continues an interrupted one.
    """
    if work.spec.name == READY_MADE:
        return {}
    hashes = read_table(job.spark, job.root, work.table, embedded.version)
    row = hashes.agg(F.count_distinct(s.CONTENT_HASH)).first()
    shares = {"embedded_distinct": int(row[0]) if row else 0, "reused": embedded.reused}
    return shares if embedded.encoded is None else {**shares, "encoded": embedded.encoded}


def _refuse_changed_files(source: SourceRows, key: str) -> None:
    if source.fingerprint.startswith("files:"):
        now = source.fingerprint_now()
        if now != source.fingerprint:
            raise SourceChangedError(
                f"the files of {key}.path must not change while they are read. They did: "
                f"{source.fingerprint} before, {now} after.",
                hint="run the command again when the writer is done.",
            )


def _encoder_spec(embed: EmbedConfig, source: SourceConfig) -> EncoderSpec:
    own = {"name", "batch_size", "expected", "vector_dtype"}
    shared = {field.name for field in fields(EncoderSpec)} - own
    batch_size = 0 if embed.batch_size == "auto" else embed.batch_size
    settings = {name: getattr(embed, name) for name in shared}
    dtype = source.dtype or "float32"
    return EncoderSpec(embed.encoder, batch_size=batch_size, vector_dtype=dtype, **settings)


def _worker_settings(embed: EmbedConfig) -> WorkerSettings:
    return WorkerSettings(embed.decode_seconds, embed.gpu_memory_fraction)
