"""What a person wants to see when a job is done, as plain data; bounded for any table size."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.select.threshold import kept_fractions

_EPS_GRID = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3)
_MOST_REASONS = 20


@dataclass(frozen=True)
class Example:
    """A row beside another, in general a removed one beside its survivor.

    ``similarity``: of a removed row to its neighbor, because of which it went, else of the two;
    ``neighbor_id``: which that is, where it may be another than the survivor;
    ``survivor_similarity``: to the survivor, directly; ``covered``: whether that would do.
    """

    id: str
    text: str
    survivor_id: str
    survivor_text: str
    similarity: float
    neighbor_id: str | None = None
    survivor_similarity: float | None = None
    covered: bool | None = None


def kept_curve(job: Job, eps: float) -> list[tuple[float, float]]:
    """(eps, fraction of the scored rows kept) for a grid of eps up to the horizon."""
    horizon = job.config.score.eps_max
    grid = sorted({value for value in (*_EPS_GRID, eps) if value <= horizon})
    row = kept_fractions(read_table(job.spark, job.root, s.SCORES), grid).first()
    if row is None or row[0] is None:  # nothing was scored
        return []
    return list(zip(grid, map(float, row), strict=True))


def quarantine_reasons(job: Job) -> list[tuple[str, int]]:
    """(reason, rows), the most frequent first, at most 20."""
    rows = read_table(job.spark, job.root, s.QUARANTINE).groupBy(s.REASON).count()
    top = rows.orderBy(F.desc("count"), s.REASON).limit(_MOST_REASONS).collect()
    return [(row[s.REASON], int(row["count"])) for row in top]


def removed_examples(job: Job, *, content: str, n: int) -> list[Example]:
    """``n`` removed rows beside their survivors; the same ones each time.

    ``content``: name of the source's column to show.
    """
    duplicates = s.of_selection(s.DUPLICATES, job.config.select.name)
    removed = read_table(job.spark, job.root, duplicates).filter(F.col(s.SURVIVOR_ID).isNotNull())
    similarity = F.col(s.SURVIVOR_SIMILARITY).alias(s.SIMILARITY)
    pairs = removed.select(s.ID, s.SURVIVOR_ID, similarity).orderBy(F.xxhash64(s.ID), s.ID)
    return _with_texts(job, pairs.limit(n), content)


def kept_neighbors(
    job: Job, *, content: str, ids_like: str, low: float, high: float, n: int
) -> list[Example]:
    """Rows whose id matches the regular expression ``ids_like`` and whose M lies in (low, high],
    beside their neighbor: what a threshold between would remove.
    """
    m = F.col(s.MAX_SIMILARITY)
    scores = read_table(job.spark, job.root, s.SCORES)
    near = scores.filter((m > low) & (m <= high) & F.col(s.ID).cast("string").rlike(ids_like))
    pairs = near.select(
        s.ID, F.col(s.NEIGHBOR_ID).alias(s.SURVIVOR_ID), m.alias(s.SIMILARITY)
    ).orderBy(F.desc(s.SIMILARITY), s.ID)
    return _with_texts(job, pairs.limit(n), content)


def _with_texts(job: Job, few_pairs: DataFrame, content: str) -> list[Example]:
    pairs = few_pairs.collect()
    wanted = {row[s.ID] for row in pairs} | {row[s.SURVIVOR_ID] for row in pairs}
    rows = read_table(job.spark, job.root, s.EMBEDDINGS).filter(F.col(s.ID).isin(list(wanted)))
    shown = rows.select(s.ID, F.col(f"{s.SOURCE}.{s.quoted(content)}").cast("string").alias("text"))
    texts = {row[s.ID]: row["text"] for row in shown.collect()}
    return [
        Example(
            id=str(row[s.ID]),
            text=texts.get(row[s.ID], ""),
            survivor_id=str(row[s.SURVIVOR_ID]),
            survivor_text=texts.get(row[s.SURVIVOR_ID], ""),
            similarity=float(row[s.SIMILARITY]),
        )
        for row in pairs
    ]
