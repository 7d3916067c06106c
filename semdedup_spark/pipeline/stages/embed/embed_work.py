"""What is to be embedded, and how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame

from semdedup_spark import schema as s
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.row_identity import HASHES, with_identity
from semdedup_spark.pipeline.stages.embed.source_changes import Compared
from semdedup_spark.rank_by import BUILT_IN
from semdedup_spark.sources.hash_ranges import END_OF_PLACES
from semdedup_spark.sources.source_rows import Added, SourceRows
from semdedup_spark.tables.marks import RowHistory, StageMark, WriteProgress
from semdedup_spark.transforms.embed.embed_rows import embed_rows
from semdedup_spark.transforms.embed.vector_storage import LISTS
from semdedup_spark.transforms.embed.worker_encoder import WorkerSettings
from semdedup_spark.visible import masked_repr


@masked_repr
@dataclass(frozen=True)
class Work:
    """What is to be embedded, and how.

    Attributes
    ----------
    source
        The rows.
    spec
        The encoder.
    settings
        How workers run it.
    key
        Key of the result.
    made_with
        Identity of the encoder and its settings.
    content
        The source's column that is embedded.
    place
        Where the source is.
    stage
        Name of the stage.
    table
        Table of the embeddings.
    stored_as
        Which of Spark's types the embeddings of a new table are.
    rank_by
        The order, which may look at the source's columns.
    quarantine
        Table of rejected rows.
    copies_source
        Whether the table has the source's own columns, too.
    """

    source: SourceRows
    spec: EncoderSpec
    settings: WorkerSettings
    key: str
    made_with: str
    content: str | None
    place: str
    stage: str = "embed"
    table: str = s.EMBEDDINGS
    stored_as: str = LISTS
    rank_by: str = "random"
    quarantine: str = s.QUARANTINE
    copies_source: bool = False

    def embed(self, rows: DataFrame, batch: int, carried: Sequence[str] = ()) -> DataFrame:
        """Embed rows, see :func:`embed_rows`.

        Parameters
        ----------
        rows
            Rows of the source.
        batch
            Number of the batch that brings them.
        carried
            Names of further columns that are kept.

        Returns
        -------
        DataFrame
            One row for each, with an embedding or a reason.
        """
        stored_as = self.stored_as
        return embed_rows(
            rows, self.spec, self.settings, batch=batch, stored_as=stored_as, carried=carried
        )

    @property
    def told(self) -> tuple[str, ...]:
        """The columns of the table that tell of the row's own columns."""
        terms = [] if self.rank_by in BUILT_IN else [s.RANK_TERMS]
        return (*HASHES, *terms, *([s.SOURCE] if self.copies_source else []))

    def identified(self, rows: DataFrame, carried: Sequence[str] = ()) -> DataFrame:
        """Put what the table tells of a row's own columns in their place.

        Parameters
        ----------
        rows
            Rows of the source.
        carried
            Names of further columns that are kept.

        Returns
        -------
        DataFrame
            The rows, with the columns ``told``.
        """
        batch = [s.BATCH] if s.BATCH in rows.columns else []
        kept = [s.ID, s.PAYLOAD, s.REASON, s.MESSAGE, s.CONTENT_HASH, *batch, *carried]
        kept += [s.SOURCE] if self.copies_source else []
        return with_identity(rows, self.content, self.rank_by, kept)

    @property
    def compared(self) -> Compared:
        """The source, to be compared with the table."""
        return Compared(self.source, self.content, self.rank_by)


@dataclass(frozen=True)
class Embedded:
    """How far the table of embeddings is.

    Attributes
    ----------
    history
        What happened to its rows.
    version
        Its version.
    rows
        Number of its rows.
    position
        Where the next commit goes on, in units of ``END_OF_PLACES``.
    reused
        Number of rows that an earlier version of it had.
    encoded
        Number of payloads that this invocation encoded; ``None`` where it is not known.
    rejected
        Number of rows that this invocation rejected; ``None`` where it is not known.
    added
        The rows that were added to the source, where an earlier run had finished the table for all
        others; ``None`` where all rows of the source may come to it.
    """

    history: RowHistory
    version: int = 0
    rows: int = 0
    position: int = 0
    reused: int = 0
    encoded: int | None = 0
    rejected: int | None = 0
    added: Added | None = None

    @property
    def begun(self) -> bool:
        """Whether the table exists and can be appended to."""
        return self.position > 0 or self.rows > 0


def mark_of(job: Job, work: Work, at: Embedded) -> StageMark:
    """Make the mark of a commit of reused rows.

    Parameters
    ----------
    job
        The job.
    work
        What is embedded.
    at
        How far that is.

    Returns
    -------
    StageMark
        With the progress of a commit that embeds nothing.
    """
    return StageMark(
        job.run_id,
        work.stage,
        work.key,
        work.made_with,
        rows=at.history,
        progress=WriteProgress(goal=END_OF_PLACES),
        place=work.place,
    )
