"""What a person wants to see when a job is done, as plain data; bounded, whatever the table size."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.stages import Job
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.selection import kept_fractions

_EPS_GRID = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3)
_MOST_REASONS = 20


@dataclass(frozen=True)
class Example:
    """A removed row beside its survivor. ``similarity``: of the two, directly."""

    id: str
    text: str
    survivor_id: str
    survivor_text: str
    similarity: float


def kept_curve(job: Job, eps: float) -> list[tuple[float, float]]:
    """(eps, fraction of the scored rows kept) for a grid of eps up to the horizon."""
    horizon = job.config.score.eps_max
    grid = sorted({value for value in (*_EPS_GRID, eps) if value <= horizon})
    row = kept_fractions(read_table(job.spark, job.root, s.SCORES), grid).first()
    return [] if row is None else list(zip(grid, map(float, row), strict=True))


def quarantine_reasons(job: Job) -> list[tuple[str, int]]:
    """(reason, rows), the most frequent first, at most 20."""
    rows = read_table(job.spark, job.root, s.QUARANTINE).groupBy(s.REASON).count()
    top = rows.orderBy(F.desc("count"), s.REASON).limit(_MOST_REASONS).collect()
    return [(row[s.REASON], int(row["count"])) for row in top]


def removed_examples(job: Job, *, content: str, low: float, high: float, n: int) -> list[Example]:
    """``n`` rows whose M lies in (low, high], beside their neighbor; the same ones each time.

    ``content``: name of the source's column to show. The table is scanned for 2 n rows.
    """
    m = F.col(s.MAX_SIMILARITY)
    scores = read_table(job.spark, job.root, s.SCORES).filter((m > low) & (m <= high))
    chosen = scores.orderBy(F.xxhash64(s.ID), s.ID).limit(n)
    pairs = chosen.select(s.ID, s.NEIGHBOR_ID, s.MAX_SIMILARITY).collect()
    wanted = {row[s.ID] for row in pairs} | {row[s.NEIGHBOR_ID] for row in pairs}
    rows = read_table(job.spark, job.root, s.EMBEDDINGS).filter(F.col(s.ID).isin(list(wanted)))
    shown = rows.select(s.ID, F.col(f"{s.SOURCE}.`{content}`").cast("string").alias("text"))
    texts = {row[s.ID]: row["text"] for row in shown.collect()}
    return [
        Example(
            str(row[s.ID]),
            texts.get(row[s.ID], ""),
            str(row[s.NEIGHBOR_ID]),
            texts.get(row[s.NEIGHBOR_ID], ""),
            float(row[s.MAX_SIMILARITY]),
        )
        for row in pairs
    ]
