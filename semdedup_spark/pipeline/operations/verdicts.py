"""Keep what people said of removals, and let later selections respect it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.audit import Verdict
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.ids import parse_ids
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.stages.reference import check_reference
from semdedup_spark.pipeline.stages.select.decisions import rows_if_any
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.commits.write import replace_table
from semdedup_spark.tables.literal_rows import cast_or_null
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.transforms.checkpoint import held

_STAGE = "audit"
_KEY = (s.ID, s.SURVIVOR_ID, s.REVIEWER)
# What a verdict means, by the table that says so.
_MEANT = {s.NEVER_MERGE: "not", s.ALSO_MERGE: "duplicate"}
_TEXTS = "id string, survivor_id string, judgement string, reviewer string, judged_at timestamp"


@dataclass(frozen=True)
class Kept:
    """What became of a table of pairs.

    Attributes
    ----------
    changed
        Number of rows that this command added, changed or took away.
    total
        Number of rows in the table now.
    """

    changed: int
    total: int


@exclusive
def store_verdicts(job: Job, verdicts: Sequence[Verdict]) -> Kept:
    """Add verdicts to the table ``verdicts``. A newer one of a reviewer replaces the older one of
    the same pair. Repeated, it changes nothing.

    Parameters
    ----------
    job
        The job.
    verdicts
        The verdicts, with ids as text. Pairs that are no removals now are kept as well: they may be
        again.

    Returns
    -------
    Kept
        What was changed.

    Notes
    -----
    What it calls raises ``InvalidIdError`` where a text cannot be an id of this output.
    """
    check_reference(job)
    given = _typed(job, verdicts)
    old = rows_if_any(job, s.VERDICTS)
    every = given
    if old is not None:  # the same words again are no news: a file need not say when it was judged
        news = given.join(old, [*_KEY, s.JUDGEMENT], "left_anti").select(*given.columns)
        every = old.unionByName(news)
    newest = Window.partitionBy(*_KEY).orderBy(F.desc(s.JUDGED_AT), s.JUDGEMENT)
    rows = every.distinct().withColumn("_at", F.row_number().over(newest))
    return _store(job, s.VERDICTS, rows.filter(F.col("_at") == 1).drop("_at"), old)


@exclusive
def apply_verdicts(job: Job) -> dict[str, Kept]:
    """Let verdicts count from the next selection on: a pair that was judged to be no duplicate
    stays apart (table ``never_merge``), and a row of ``review`` that was judged to be one goes
    (table ``also_merge``). Of a pair the newest clear verdict counts.

    Parameters
    ----------
    job
        The job.

    Returns
    -------
    dict[str, Kept]
        By table what was changed.
    """
    check_reference(job)
    verdicts = rows_if_any(job, s.VERDICTS)
    judged = None
    if verdicts is not None:
        clear = verdicts.filter(F.col(s.JUDGEMENT) != "skip")
        newest = Window.partitionBy(s.ID, s.SURVIVOR_ID).orderBy(
            F.desc(s.JUDGED_AT), F.desc(s.REVIEWER)
        )
        judged = clear.withColumn("_at", F.row_number().over(newest)).filter(F.col("_at") == 1)
    return {table: _applied(job, table, judged) for table in _MEANT}


def _applied(job: Job, table: str, judged: DataFrame | None) -> Kept:
    """Write the pairs with one judgement. Those that came by SQL stay, unless a newer verdict on
    them is another one.
    """
    old = rows_if_any(job, table)
    if judged is None:
        return Kept(0, 0 if old is None else old.count())
    pair = [s.ID, s.SURVIVOR_ID]
    meant = judged.filter(F.col(s.JUDGEMENT) == _MEANT[table]).select(
        *pair,
        F.concat(F.lit("judged by "), s.REVIEWER).alias(s.REASON),
        F.col(s.JUDGED_AT).alias(s.CHANGED_AT),
    )
    if old is not None:
        newer = judged.select(*pair, s.JUDGED_AT).join(old, pair)
        newer = newer.filter(F.col(s.JUDGED_AT) >= F.col(s.CHANGED_AT))
        others = old.join(newer.select(*pair), pair, "left_anti")
        meant = meant.join(others.select(*pair), pair, "left_anti")
        meant = others.select(*meant.columns).unionByName(meant)
    elif not meant.limit(1).count():
        return Kept(0, 0)  # no table where nothing was decided
    return _store(job, table, meant, old)


def erase_pairs(job: Job, ids: Sequence[object]) -> tuple[tuple[str, ...], set[str]]:
    """Erase pairs with one of these rows.

    Parameters
    ----------
    job
        The job, whose output only it works on.
    ids
        Ids of rows.

    Returns
    -------
    tuple[tuple[str, ...], set[str]]
        Names of the tables that changed, and which of the ids they had, as text.
    """
    changed, known = [], set[str]()
    # With a reference, survivors are its rows.
    sides = (s.ID, s.SURVIVOR_ID) if job.config.reference is None else (s.ID,)
    texts = [str(each) for each in ids]
    for table in s.OF_PAIRS:
        old = rows_if_any(job, table)
        if old is not None:
            erased = F.lit(False)
            for side in sides:
                text = F.col(side).cast("string")
                erased = erased | F.coalesce(text.isin(texts), F.lit(False))
                found = old.select(text).filter(text.isin(texts)).distinct().collect()
                known |= {row[0] for row in found}  # of `ids`
            if _store(job, table, old.filter(~erased), old).changed:
                changed.append(table)
    return tuple(changed), known


def _typed(job: Job, verdicts: Sequence[Verdict]) -> DataFrame:
    scores = read_table(job.spark, job.root, s.SCORES).schema
    kinds = scores[s.ID].dataType, scores[s.NEIGHBOR_ID].dataType
    parse_ids([str(v.id) for v in verdicts], kinds[0], option="--verdicts")
    parse_ids([str(v.survivor_id) for v in verdicts], kinds[1], option="--verdicts")
    lines = [
        (str(v.id), str(v.survivor_id), v.judgement, v.reviewer, v.judged_at) for v in verdicts
    ]
    rows = job.spark.createDataFrame(lines, _TEXTS)
    names = (s.ID, s.SURVIVOR_ID)
    ids = [cast_or_null(n, kind).alias(n) for n, kind in zip(names, kinds, strict=True)]
    return rows.select(*ids, s.JUDGEMENT, s.REVIEWER, s.JUDGED_AT)


def _store(job: Job, table: str, rows: DataFrame, old: DataFrame | None) -> Kept:
    """Replace the table where rows differ from those that are there."""
    ready = held(rows.coalesce(1))
    total = ready.count()
    changed = total if old is None else ready.exceptAll(old).count()
    gone = 0 if old is None else old.exceptAll(ready).count()
    if changed or gone:
        replace_table(ready, job.root, table, StageMark(job.run_id, _STAGE, ""))
    return Kept(changed + gone, total)
