"""Source rows to ``embeddings`` and ``quarantine``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from semdedup_spark import schema as s
from semdedup_spark.config import EmbedConfig, JobConfig, SourceConfig, fingerprint
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text.model_files import pinned
from semdedup_spark.errors import ReconciliationError, SourceChangedError
from semdedup_spark.masking import identifying
from semdedup_spark.pipeline.stage_runner import Job, StageResult, require_stage, run_stage
from semdedup_spark.pipeline.stages.decisions import decisions
from semdedup_spark.pipeline.stages.embed.embed_commits import Embedded, Work, embed_all
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
from semdedup_spark.tables.commits import table_state
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.embed.embed_rows import READY_MADE
from semdedup_spark.transforms.embed.vector_storage import STORAGE
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings
from semdedup_spark.transforms.score.rank_key import check_rank_by
from semdedup_spark.transforms.select.agreement import check_columns, check_patterns

# Of the counts of the stage: rows taken out of its tables on request. There where there are any.
ERASED = "erased"
# How rows are told from those of before. Another way looks once more at all of them, and encodes
# none again.
_COMPARISON = {"comparison of rows": "2"}


@dataclass(frozen=True)
class _Side:
    """Of the two sources that may be compared, one, and where its rows go. ``columns``: that it
    must have, by the keys that ask for them; ``rank_by``: the order of its rows; ``patterns``: that
    will be looked for in them; ``check_id``: refuses a type of ids.
    """

    stage: str
    source: SourceConfig
    table: str
    quarantine: str
    columns: Mapping[str, tuple[str, ...]]
    rank_by: str
    patterns: tuple[str, ...] = ()
    check_id: Callable[[DataType], object] = lambda _: None


def embed_settings(config: JobConfig) -> dict[str, Any]:
    """The settings that decide the embeddings."""
    return {"source": config.source.identity(), "embed": config.embed.identity()}


def run_embed(job: Job) -> StageRecord:
    """Source rows to ``embeddings`` and ``quarantine``."""
    source, select = job.config.source, job.config.select
    columns = select.columns
    rank_by = job.config.score.rank_by
    side = _Side(
        "embed",
        source,
        s.EMBEDDINGS,
        s.QUARANTINE,
        columns,
        rank_by,
        select.patterns,
        partial(decisions, job),
    )
    return note_erasure(job, _run_side(job, side, embed_settings(job.config)))


def require_embed(job: Job) -> StageRecord:
    """The record of the stage embed, which must have run before; see :func:`require_stage`."""
    return _recounted(job, require_stage(job, "embed", embed_settings(job.config)))


def note_erasure(job: Job, embed: StageRecord) -> StageRecord:
    """The record of the stage, and in the ledger, with its counts as they are where rows were
    erased since it was written, be it by a command that was killed before it could say so.
    """
    counted = _recounted(job, embed)
    if counted is not embed and not job.dry_run:
        job.ledger.add(counted)
    return counted


def _recounted(job: Job, record: StageRecord) -> StageRecord:
    if not record.outputs:  # of a dry run
        return record
    states = {name: table_state(job.spark, job.root, name) for name in record.outputs}
    known = {name: state for name, state in states.items() if state is not None}
    erased = sum(state.mark.erased for state in known.values())
    if erased == record.counts.get(ERASED, 0):
        return record
    rows = {name: read_table(job.spark, job.root, name).count() for name in known}
    embedded, quarantined = rows.get(s.EMBEDDINGS, 0), rows.get(s.QUARANTINE, 0)
    counts = {"embedded": embedded, "quarantined": quarantined, "read": embedded + quarantined}
    return replace(
        record,
        run_id=job.run_id,
        started_at=datetime.now(timezone.utc),
        reused=False,
        why="rows were forgotten",
        outputs={name: state.version for name, state in known.items()},
        counts={**record.counts, **counts, ERASED: erased},
    )


def reference_settings(config: JobConfig) -> dict[str, Any]:
    """The settings that decide the embeddings of the reference."""
    reference = config.reference
    return {
        "reference": None if reference is None else reference.identity(),
        "embed": config.embed.identity(),
    }


def run_reference(job: Job) -> StageRecord | None:
    """Rows of the reference, if there is one, to ``reference`` and ``reference_quarantine``."""
    if job.config.reference is None:
        return None
    side = _Side(
        "reference", job.config.reference, s.REFERENCE, s.REFERENCE_QUARANTINE, {}, "random"
    )
    return _run_side(job, side, reference_settings(job.config))


def _run_side(job: Job, side: _Side, settings: dict[str, Any]) -> StageRecord:
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
    job: Job, side: _Side, source: SourceRows, spec: EncoderSpec, *, key: str, made_with: str
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


def _opened(job: Job, side: _Side) -> SourceRows:
    def check(own: DataFrame, left_out: list[str], id_type: DataType) -> None:
        """What later stages ask of the source is checked before its rows are counted."""
        side.check_id(id_type)
        check_rank_by(own, side.rank_by, left_out)
        check_patterns(job.spark, side.patterns)
        for key, columns in side.columns.items():
            check_columns(own, columns, key=key)

    return open_source(job.spark, side.source, check=check)


def _shares(job: Job, embedded: Embedded, work: Work) -> dict[str, int]:
    """How many embeddings came from where; ``encoded`` counts what this invocation did, also where
    an interrupted one had begun.
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
