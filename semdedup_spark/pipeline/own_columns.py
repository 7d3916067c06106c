"""The own columns of embedded rows, from where they lie: the source need not be copied.

A Delta source is read at the version that was embedded. Other sources are read as they are now: if
their fingerprint is the same, ids tell their rows; else rows are known again by their hashes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import SourceChangedError, SourceError, StageOrderError
from semdedup_spark.pipeline.stages.embed.row_identity import with_identity
from semdedup_spark.sources.candidate_rows import SourceFacts
from semdedup_spark.sources.open_raw import GONE
from semdedup_spark.sources.open_source import open_source
from semdedup_spark.sources.source_rows import SourceRows
from semdedup_spark.tables.runs import StageRecord

# Ids up to this number are sent to where the rows of the source are read.
MOST_BROADCAST = 1_000_000
_DELTA, _FILES = "delta:", "files:"
_KEYS = [s.ID, s.CONTENT_HASH, s.ROW_HASH]
_NUMBER = "__number"
_HINT = (
    "run `semdedup run`: it embeds what is new or changed, and selects among what is there. For "
    "sources that do not stay, embed.copy_source: true keeps a copy."
)


@dataclass(frozen=True)
class OwnColumns:
    """The own columns of embedded rows.

    Attributes
    ----------
    rows
        Columns id and source, a struct of the own columns. One row for each that is embedded and
        still is in the source as it was.
    wanted
        Number of embedded rows, where some may be missing; ``None`` where none can be.
    opened
        The source that they are read from; ``None`` where there is a copy.
    """

    rows: DataFrame
    wanted: int | None = None
    opened: SourceRows | None = None


def own_columns(
    spark: SparkSession,
    source: SourceConfig,
    embeddings: DataFrame,
    record: StageRecord,
    opened: SourceRows | None = None,
) -> OwnColumns:
    """Read the own columns of the rows of a table that has no copy of them.

    Parameters
    ----------
    spark
        The session that reads the source.
    source
        Its configuration.
    embeddings
        The table: columns id, content_hash and row_hash.
    record
        Record of the stage that wrote it.
    opened
        The source, where this run has opened it already.

    Returns
    -------
    OwnColumns
        The rows.

    Notes
    -----
    What it calls raises ``StageOrderError`` where the source cannot be read any more.
    """
    if s.SOURCE in embeddings.columns:
        return OwnColumns(embeddings.select(s.ID, s.SOURCE))
    fingerprint, n = record.inputs["source"], embeddings.count()
    if opened is None or opened.fingerprint != fingerprint or not _is_unchanged(opened):
        opened = _opened(spark, source, record)
    live = not fingerprint.startswith((_DELTA, _FILES))  # a view, which is evaluated anew
    if opened.fingerprint != fingerprint or live:
        return OwnColumns(_by_hashes(opened, embeddings, source), n, opened)
    wanted = n if fingerprint.startswith(_DELTA) else None  # VACUUM removes files of versions
    if opened.twins is not None:
        return OwnColumns(_by_hashes(opened, embeddings, source), wanted, opened)
    rows = opened.rows.filter(F.col(s.ID).isNotNull()).select(s.ID, s.SOURCE)
    # A killed erasure has not counted yet.
    n_erased = record.counts["embedded"] - n
    n_absent = record.counts["quarantined"] + record.counts.get(s.ERASED, 0) + max(n_erased, 0)
    if n_absent:
        absent = rows.select(s.ID).join(embeddings.select(s.ID), s.ID, "left_anti")
        rows = rows.join(few(absent, n_absent), s.ID, "left_anti")
    return OwnColumns(rows, wanted, opened)


def check_complete(found: OwnColumns) -> None:
    """Check that all embedded rows are in the source as they were.

    Parameters
    ----------
    found
        The rows.

    Raises
    ------
    StageOrderError
        Some are not.
    Exception
        Whatever else Spark raises while it counts.

    Notes
    -----
    What it calls raises ``StageOrderError``, too, where files of the source are gone.
    """
    wanted = found.wanted
    if wanted is None:
        return
    try:
        # The hash has the ids read, where a number of rows would be known without any file.
        row = found.rows.agg(F.count(F.lit(1)), F.max(F.xxhash64(s.ID))).first()
        n = 0 if row is None else int(row[0])
    except Exception as error:  # Spark raises many kinds
        refuse_gone(error)
        raise
    if n != wanted:
        raise StageOrderError(
            f"all embedded rows must be in the source as they were. Of {wanted:,} rows "
            f"{wanted - n:,} are gone or changed since.",
            hint=_HINT,
        )


def check_unchanged(opened: SourceRows | None) -> None:
    """Check, after rows were read, that nobody changed the files meanwhile.

    Parameters
    ----------
    opened
        The source that they were read from.

    Raises
    ------
    SourceChangedError
        The files are others than before.
    """
    if opened is not None and not _is_unchanged(opened):
        raise SourceChangedError(
            "the files of source.path must not change while their rows are read. They did.",
            hint="run `semdedup run` when the writer is done.",
        )


def facts_of(record: StageRecord) -> SourceFacts:
    """Tell what a run that embedded a source had counted of it.

    Parameters
    ----------
    record
        Record of the stage.

    Returns
    -------
    SourceFacts
        Of the version that was embedded.
    """
    counts = record.counts
    return SourceFacts(counts["read"], bool(counts.get("unique_ids")), counts.get("dimension"))


def refuse_gone(error: Exception) -> None:
    """Explain an error that was caused by a missing file. Any other error is ignored.

    Parameters
    ----------
    error
        What Spark raised while it read the embedded version of the source.

    Raises
    ------
    StageOrderError
        A file of the version is missing.
    """
    if GONE.search(str(error)):
        raise StageOrderError(
            "the version of the source that was embedded must still be there. Some of its files "
            "are gone, as after VACUUM.",
            hint=_HINT,
        ) from error


def _is_unchanged(opened: SourceRows) -> bool:
    """Whether files are as they were when this run opened them. Rows of a view are known again by
    their hashes in any case.
    """
    fingerprint = opened.fingerprint
    return not fingerprint.startswith(_FILES) or opened.fingerprint_now() == fingerprint


def _opened(spark: SparkSession, source: SourceConfig, record: StageRecord) -> SourceRows:
    """Open the source at the version that was embedded, or as it is now."""
    fingerprint, facts = record.inputs["source"], facts_of(record)

    def known(now: str) -> SourceFacts:
        return facts if now == fingerprint else replace(facts, unique_ids=False)

    pinned = source
    if fingerprint.startswith(_DELTA):
        version = int(fingerprint.rpartition("@")[2])
        pinned = source.model_copy(update={"version": version})
    try:
        try:
            found = open_source(spark, pinned, known=known)
        except SourceError:
            if pinned == source:
                raise
            return open_source(spark, source, known=known)
        # Another table may lie in its place, and have had as many versions.
        as_embedded = pinned == source or found.fingerprint == fingerprint
        return found if as_embedded else open_source(spark, source, known=known)
    except SourceError as error:
        raise StageOrderError(
            f"the source must be where it was embedded from. {error.problem}", hint=_HINT
        ) from error


def _by_hashes(opened: SourceRows, embeddings: DataFrame, source: SourceConfig) -> DataFrame:
    """Rows whose id and hashes are those of an embedded row, each once."""
    rows = opened.rows if opened.twins is None else opened.twins.candidates()
    there = rows.filter(F.col(s.ID).isNotNull())
    hashed = with_identity(there, source.content, "random", [s.ID, s.CONTENT_HASH, s.SOURCE])
    found = hashed.join(embeddings.select(_KEYS), _KEYS, "left_semi")
    number = F.row_number().over(Window.partitionBy(s.ID).orderBy(s.CONTENT_HASH))
    return found.withColumn(_NUMBER, number).filter(F.col(_NUMBER) == 1).select(s.ID, s.SOURCE)


def few(ids: DataFrame, n: int) -> DataFrame:
    """Send ids to where the rows are that they are joined with, unless they are many.

    Parameters
    ----------
    ids
        Column id.
    n
        Number of the rows.

    Returns
    -------
    DataFrame
        ``ids``, perhaps with a hint for Spark.
    """
    return F.broadcast(ids) if n <= MOST_BROADCAST else ids
