"""What a person wants to see when a job is done, as plain data of bounded size."""

from __future__ import annotations

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.overview import Example
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.rows_as_embedded import looked_up, rows_as_embedded
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.transforms.select.threshold import kept_fractions

_SUMMARY_EPS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3)
_MOST_REASONS = 20


def kept_curve(job: Job, eps: float) -> list[tuple[float, float]]:
    """Compute what fraction of the scored rows each of a few thresholds keeps.

    Parameters
    ----------
    job
        The job whose scores are read.
    eps
        A threshold that must be among them.

    Returns
    -------
    list[tuple[float, float]]
        (eps, fraction kept), ascending, up to the horizon ``score.eps_max``. Empty where nothing
        was scored.
    """
    horizon = job.config.score.eps_max
    grid = sorted({value for value in (*_SUMMARY_EPS, eps) if value <= horizon})
    row = kept_fractions(read_table(job.spark, job.root, s.SCORES), grid).first()
    if row is None or row[0] is None:  # nothing was scored
        return []
    return list(zip(grid, map(float, row), strict=True))


def quarantine_reasons(job: Job) -> list[tuple[str, int]]:
    """Count the rows in quarantine by reason.

    Parameters
    ----------
    job
        The job whose quarantine is read.

    Returns
    -------
    list[tuple[str, int]]
        (reason, number of rows), the most frequent first, at most 20.
    """
    rows = read_table(job.spark, job.root, s.QUARANTINE).groupBy(s.REASON).count()
    top = rows.orderBy(F.desc("count"), s.REASON).limit(_MOST_REASONS).collect()
    return [(row[s.REASON], int(row["count"])) for row in top]


def removed_examples(job: Job, *, content: str, n: int) -> list[Example]:
    """Choose removed rows and show them beside their survivors. The choice is by a hash of the id,
    so it is the same each time.

    Parameters
    ----------
    job
        The job whose selection is read.
    content
        Name of the column of the source that is shown.
    n
        Number of rows, at most.

    Returns
    -------
    list[Example]
        The rows and their survivors.
    """
    duplicates = s.of_selection(s.DUPLICATES, job.config.select.name)
    removed = read_table(job.spark, job.root, duplicates).filter(F.col(s.SURVIVOR_ID).isNotNull())
    similarity = F.col(s.SURVIVOR_SIMILARITY).alias(s.SIMILARITY)
    pairs = removed.select(s.ID, s.SURVIVOR_ID, similarity).orderBy(F.xxhash64(s.ID), s.ID)
    return _with_texts(job, pairs.limit(n), content)


def kept_neighbors(
    job: Job, *, content: str, ids_like: str, low: float, high: float, n: int
) -> list[Example]:
    """Show rows in a range of similarities beside their neighbors: what a threshold in this range
    would remove.

    Parameters
    ----------
    job
        The job whose scores are read.
    content
        Name of the column of the source that is shown.
    ids_like
        Regular expression that the ids, as text, must match.
    low
        Lower end of the range of M, exclusive.
    high
        Upper end of the range of M, inclusive.
    n
        Number of rows, at most.

    Returns
    -------
    list[Example]
        The rows and their neighbors, the most similar first.
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

    def ask() -> list[Row]:
        rows = rows_as_embedded(job).filter(F.col(s.ID).isin(list(wanted)))
        text = F.col(f"{s.SOURCE}.{s.quoted(content)}").cast("string").alias("text")
        return rows.select(s.ID, text).collect()

    texts = {row[s.ID]: row["text"] for row in looked_up(job, ask)}
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
