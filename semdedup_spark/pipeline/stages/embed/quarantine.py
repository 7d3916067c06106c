"""``quarantine``: the rows that are not in ``embeddings``, and why."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.embed.embed_commits import MOST_BROADCAST
from semdedup_spark.pipeline.stages.embed.embed_work import Embedded, Work
from semdedup_spark.sources.duplicate_ids import AGAIN
from semdedup_spark.sources.row_checks import WORDS
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import Commit, replace_table
from semdedup_spark.tables.marks import RowHistory, StageMark

_ASKED, _LOST = "__asked", "__lost"


def quarantine_rows(job: Job, work: Work, embedded: Embedded) -> Commit:
    """Write the rows that are not in ``embeddings``, each with its reason. They are few, so they
    are looked at again, rather than carried beside the good rows through every commit. Where only
    added rows were embedded, the others stay in quarantine as they are.

    Parameters
    ----------
    job
        The job.
    work
        What was embedded.
    embedded
        The table of the embeddings.

    Returns
    -------
    Commit
        The commit that replaced the table.
    """
    history, added = embedded.history, embedded.added
    if added is None:
        rows, n_missing = work.source.rows, work.source.n_read - embedded.rows
    else:
        rows, n_missing = added.rows, added.n_read - (embedded.rows - embedded.reused)
    rows = _missing(job, work, rows, n_missing) if n_missing else rows.limit(0)
    rejected = _with_reasons(work, rows, history.batch)
    if n_missing and not work.source.has_batch:
        rejected = _with_first_batch(job, rejected, history, work.quarantine)
    if added is not None:
        rejected = read_table(job.spark, job.root, work.quarantine).unionByName(rejected)
    begun = RowHistory(origin=history.origin)
    mark = StageMark(job.run_id, work.stage, work.key, work.made_with, rows=begun)
    return replace_table(rejected, job.root, work.quarantine, mark)


def _missing(job: Job, work: Work, rows: DataFrame, n_missing: int) -> DataFrame:
    """The rows that are not in ``embeddings``."""
    present = read_table(job.spark, job.root, work.table).select(s.ID)
    good = rows.filter(F.col(s.REASON).isNull())
    # Only ids are joined with all of embeddings; payloads then with the few missing ids.
    missing = good.select(s.ID).join(present, s.ID, "left_anti")
    missing = F.broadcast(missing) if n_missing <= MOST_BROADCAST else missing
    absent = good.join(missing, s.ID, "left_semi")
    return absent.unionByName(rows.filter(F.col(s.REASON).isNotNull()))


def _with_reasons(work: Work, rows: DataFrame, batch: int) -> DataFrame:
    """The rows of quarantine. The encoder is asked about rows that have no reason yet, and about
    those that lost their id to a later row.
    """
    lost = F.col(AGAIN) if AGAIN in rows.columns else F.lit(False)
    asked = F.col(s.REASON).isNull() | lost
    known = [F.when(~asked, F.col(name)).alias(name) for name in (s.REASON, s.MESSAGE)]
    others = [name for name in rows.columns if name not in (s.REASON, s.MESSAGE)]
    words = [(s.REASON, "duplicate_id", "unstable_payload")]
    words.append((s.MESSAGE, WORDS["duplicate_id"], "failed at first, embedded when tried again"))
    seen = work.embed(
        rows.select(*others, *known, asked.alias(_ASKED), lost.alias(_LOST)),
        batch,
        [s.SOURCE, _ASKED, _LOST],
    )
    refused = F.col(_ASKED) & F.col(s.REASON).isNotNull()
    return seen.select(
        s.ID,
        F.lit(work.stage).alias(s.STAGE),
        *(
            F.coalesce(name, F.when(F.col(_LOST), again).otherwise(unstable)).alias(name)
            for name, again, unstable in words
        ),
        s.BATCH,
        F.when(refused, F.col(s.CONTENT_HASH)).alias(s.CONTENT_HASH),
        s.SOURCE,
    )


def _with_first_batch(job: Job, rejected: DataFrame, history: RowHistory, table: str) -> DataFrame:
    """A row that was in quarantine before keeps the number of the batch that brought it."""
    state = job.state(table)
    if state is None or state.mark.rows.origin != history.origin:
        return rejected
    old = read_table(job.spark, job.root, table, state.version)
    if old.schema[s.ID].dataType != rejected.schema[s.ID].dataType:
        return rejected
    first = old.groupBy(F.col(s.ID).alias("__id"), F.col(s.REASON).alias("__reason")).agg(
        F.min(s.BATCH).alias("__batch")
    )
    same = F.col(s.ID).eqNullSafe(F.col("__id")) & (F.col(s.REASON) == F.col("__reason"))
    both = rejected.join(first, same, "left")
    number = F.coalesce("__batch", s.BATCH).alias(s.BATCH)
    return both.select(*(number if name == s.BATCH else name for name in rejected.columns))
