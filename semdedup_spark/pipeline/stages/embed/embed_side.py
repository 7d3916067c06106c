"""One of the two sources that may be compared, embedded: its rows go to two tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import EmbedConfig, SourceConfig, fingerprint
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text.model_files import pinned
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.masking import identifying
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stage_runner import StageResult, run_stage
from semdedup_spark.pipeline.stages.embed.embed_commits import embed_all
from semdedup_spark.pipeline.stages.embed.embed_work import Embedded, Work
from semdedup_spark.pipeline.stages.embed.id_contest import (
    opened_contest,
    rescued,
    settled,
    with_choice,
)
from semdedup_spark.pipeline.stages.embed.quarantine import quarantine_rows
from semdedup_spark.pipeline.stages.embed.source_guards import check_not_empty, place_of_source
from semdedup_spark.pipeline.stages.given_centroids import check_encoder
from semdedup_spark.sources.open_source import open_source
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.embed.embed_rows import READY_MADE
from semdedup_spark.transforms.embed.vector_storage import STORAGE
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings
from semdedup_spark.transforms.score.rank_key import check_rank_by
from semdedup_spark.transforms.select.agreement import check_columns, check_patterns

# Version of the comparison of rows with those of before. A new version compares all of them once
# more, and encodes none again.
_COMPARISON = {"comparison of rows": "2"}


@dataclass(frozen=True)
class Side:
    """One of the two sources that may be compared, and where its rows go.

    Attributes
    ----------
    stage
        Name of the stage that embeds it.
    source
        Its configuration.
    table
        Table of its embeddings.
    quarantine
        Table of its rejected rows.
    columns
        Columns that it must have, by the configuration keys that ask for them.
    rank_by
        The order of its rows.
    patterns
        Patterns that will be looked for in its columns.
    check_id
        Refuses a type of ids.
    """

    stage: str
    source: SourceConfig
    table: str
    quarantine: str
    columns: Mapping[str, tuple[str, ...]]
    rank_by: str
    patterns: tuple[str, ...] = ()
    check_id: Callable[[DataType], object] = lambda _: None


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
    made_with = f"{identity}, settings {fingerprint(identifying(job.config.embed.identity()))[:16]}"
    check_encoder(job, made_with)
    source = _opened(job, side)
    check_not_empty(job, source, place_of_source(side.source))
    inputs = {"source": source.fingerprint, "encoder": identity, **_COMPARISON}

    def compute(key: str) -> StageResult:
        work = _work(job, side, source, spec, key=key, made_with=made_with)
        contest = opened_contest(work)
        work = with_choice(job, work, contest)
        embedded = rescued(job, work, contest, embed_all(job, work))
        _refuse_changed_files(source)
        work = settled(job, work, contest, embedded.history.batch)
        rejected = quarantine_rows(job, work, source.n_read - embedded.rows, embedded.history)
        if embedded.rows + rejected.rows != source.n_read:
            raise ReconciliationError(
                f"embedded + quarantined must be the rows read. Got {embedded.rows} + "
                f"{rejected.rows} for {source.n_read}.",
                hint="the source may have changed while it was read. Run the command again when "
                "nobody writes to it; if the numbers stay so, report it.",
            )
        return StageResult(
            outputs={side.table: embedded.version, side.quarantine: rejected.version},
            counts={
                "read": source.n_read,
                "embedded": embedded.rows,
                **_shares(job, embedded, work),
                "quarantined": rejected.rows,
                "has_id": int(source.has_id),
            },
        )

    return run_stage(job, side.stage, settings, inputs, compute)


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
        place_of_source(side.source),
        side.stage,
        side.table,
        STORAGE[job.config.embed.storage],
        side.rank_by,
        side.quarantine,
    )


def _opened(job: Job, side: Side) -> SourceRows:
    def check(own: DataFrame, left_out: list[str], id_type: DataType) -> None:
        """What later stages ask of the source is checked before its rows are counted."""
        side.check_id(id_type)
        check_rank_by(own, side.rank_by, left_out)
        check_patterns(job.spark, side.patterns)
        for key, columns in side.columns.items():
            check_columns(own, columns, key=key)

    job.listener.waiting(f"{side.stage}: reading the source")
    return open_source(job.spark, side.source, check, job.frames.get(side.table))


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


def _refuse_changed_files(source: SourceRows) -> None:
    if source.fingerprint.startswith("files:"):
        now = source.fingerprint_now()
        if now != source.fingerprint:
            raise SourceChangedError(
                f"the files of source.path must not change while they are read. They did: "
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
