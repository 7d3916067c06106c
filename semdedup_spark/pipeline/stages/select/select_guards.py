"""Guards that stop a selection before it is written, and the similarity of random pairs, which
puts an eps into proportion.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.config import SelectConfig
from semdedup_spark.errors import GuardError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.queries.random_pairs import background_similarity
from semdedup_spark.transforms.select.threshold import removed_fractions

BACKGROUND_MEAN = "background_mean"
BACKGROUND_P999 = "background_p999"
# Among fewer rows, duplicates are a large part of the random pairs.
FEWEST_ROWS = 1000
# A similarity from here on is written as 1.000. As much as 1 in 1,000 random pairs then are copies,
# and where they begin says nothing about unrelated rows.
_COPIES = 0.9995
_SHOWN = 5


def has_guards(select: SelectConfig) -> bool:
    """Tell whether a selection has guards.

    Parameters
    ----------
    select
        Settings of the selection.

    Returns
    -------
    bool
        Whether anything is to be checked.
    """
    limits = (select.max_removed_fraction, select.max_review)
    return any(each is not None for each in limits) or bool(select.max_removed_fraction_by)


def check_guards(
    select: SelectConfig,
    removed: DataFrame,
    embeddings: DataFrame,
    review: DataFrame | None = None,
) -> None:
    """Check that no more of the embedded rows are removed than the guards allow, of all rows and of
    the rows of each value of a column, and that people are given no more rows to judge.

    Parameters
    ----------
    select
        Settings of the selection.
    removed
        Rows with a column ``id``: those that would be removed.
    embeddings
        Rows of (id, source).
    review
        Rows that would be listed for people; by default none.

    Raises
    ------
    GuardError
        More rows would be removed, or listed.
    """
    problems = []
    limit = select.max_removed_fraction
    if limit is not None:
        row = removed_fractions(embeddings, removed).first()
        if row is not None and float(row["fraction"] or 0.0) > limit:
            problems.append(
                f"the share of removed rows must be at most {limit:g} "
                f"(select.max_removed_fraction). It would be {_shown(row)}."
            )
    for column, most in select.max_removed_fraction_by.items():
        shares = removed_fractions(embeddings, removed, by=column).filter(F.col("fraction") > most)
        worst = shares.orderBy(F.desc("fraction"), "by").limit(_SHOWN + 1).collect()
        if worst:
            listed = "; ".join(f"{row['by']}: {_shown(row)}" for row in worst[:_SHOWN])
            more = "; and others" if len(worst) > _SHOWN else ""
            problems.append(
                f"the share of removed rows of each value of {column} must be at most {most:g} "
                f"(select.max_removed_fraction_by). It would be, for {listed}{more}."
            )
    if review is not None and select.max_review is not None:
        n = review.count()
        if n > select.max_review:
            problems.append(
                f"rows between select.eps and select.review must be at most {select.max_review:,} "
                f"(select.max_review). They would be {n:,}."
            )
    if problems:
        raise GuardError(
            "\n  ".join(problems),
            hint="nothing was written. Look at a smaller select.eps or select.review, or at a "
            "selection of another name without the guard; raise the limit if this is what you "
            "want.",
        )


def _shown(row: Row) -> str:
    return f"{row['fraction']:.4f} ({int(row['removed']):,} of {int(row['rows']):,})"


def measured_background(
    job: Job, score: StageRecord, embeddings: DataFrame, embed: StageRecord
) -> dict[str, float]:
    """Measure how similar random pairs of rows are. An earlier selection of the same scores has
    measured the same, so its numbers are taken over.

    Parameters
    ----------
    job
        The job.
    score
        Record of the stage score.
    embeddings
        Rows of (id, embedding).
    embed
        Record of the stage embed.

    Returns
    -------
    dict[str, float]
        Mean and 99.9th percentile of the cosine similarity; empty where all rows are equal.
    """
    names = (BACKGROUND_MEAN, BACKGROUND_P999)
    for stage in {s.selection_stage(job.config.select.name), s.selection_stage(None)}:
        last = job.ledger.last(stage)
        if last is not None and last.inputs.get(s.SCORES) == score.result_key:
            known = {name: last.metrics[name] for name in names if name in last.metrics}
            if known:
                return known
    found = background_similarity(embeddings, embed.counts["embedded"])
    return {} if found is None else {BACKGROUND_MEAN: found.mean, BACKGROUND_P999: found.p999}


def background_note(metrics: Mapping[str, float], n_rows: int) -> tuple[str, bool]:
    """Put an eps into proportion: compare its threshold to the similarity of random pairs.

    Parameters
    ----------
    metrics
        Metrics of a selection.
    n_rows
        Number of rows that were kept or removed.

    Returns
    -------
    tuple[str, bool]
        A sentence, and whether more than 1 in 1,000 random pairs is above the threshold 1 - eps.
        Empty and False where random pairs were not measured, and below 1,000 rows: among few rows
        many pairs are duplicates, so they say nothing. Where 1 in 1,000 random pairs is a copy,
        the threshold is compared to the mean instead.
    """
    if BACKGROUND_P999 not in metrics or n_rows < FEWEST_ROWS:
        return "", False
    mean, p999, above = metrics[BACKGROUND_MEAN], metrics[BACKGROUND_P999], 1 - metrics["eps"]
    copies = p999 >= _COPIES
    rarest = "is a copy or nearly one" if copies else f"has more than {p999:.3f}"
    note = (
        f"eps {metrics['eps']:g} removes what is more similar than {above:g}; random pairs have "
        f"{mean:.3f} on average, and 1 in 1,000 {rarest}"
    )
    return note, above < (mean if copies else p999)
