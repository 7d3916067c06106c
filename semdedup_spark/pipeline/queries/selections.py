"""Find a selection, and read what its rows look like to a person."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.answers.overview import Example
from semdedup_spark.errors import StageOrderError
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.queries.reference_side import ask_both
from semdedup_spark.pipeline.queries.row_texts import contents
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.runs import StageRecord


@dataclass(frozen=True)
class Selection:
    """A selection that was made.

    Attributes
    ----------
    name
        Its name; ``None`` for the selection without a name.
    record
        Its newest line of the ledger.
    duplicates
        Its table of removed rows.
    """

    name: str | None
    record: StageRecord
    duplicates: DataFrame

    @property
    def eps(self) -> float:
        """Return the threshold of the selection.

        Returns
        -------
        float
            Rows with M > 1 - eps are removed.
        """
        return float(self.record.metrics["eps"])


def find_selection(job: Job, name: str | None = None) -> Selection | None:
    """Find a selection of the job's output.

    Parameters
    ----------
    job
        The job.
    name
        Name of the selection; by default that of the job file.

    Returns
    -------
    Selection | None
        ``None`` where neither the argument nor the job file has a name, and no selection without
        a name was made.

    Raises
    ------
    StageOrderError
        There is no selection of this name, or rows were scored again since it was made.
    """
    name = name or job.config.select.name
    record = job.ledger.last(s.selection_stage(name))
    table = s.of_selection(s.DUPLICATES, name)
    if record is not None and table_exists(job.spark, job.root, table):
        _check_scores(job, record, name)
        return Selection(name, record, read_table(job.spark, job.root, table))
    if name is None:
        return None
    raise StageOrderError(
        f"a selection called {name!r} must exist under {job.root.location}. It does not.",
        hint=f"run `semdedup select --name {name}` first, or leave --name out.",
    )


def _check_scores(job: Job, record: StageRecord, name: str | None) -> None:
    score, made_from = job.ledger.last("score"), record.inputs.get(s.SCORES)
    if score is not None and made_from not in (None, score.result_key):
        option = "" if name is None else f" --name {name}"
        raise StageOrderError(
            "the selection must be made from the newest scores. Rows were scored again since.",
            hint=f"run `semdedup select{option}` first, or `semdedup run`.",
        )


def require_selection(job: Job, name: str | None = None) -> Selection:
    """Find a selection of the job's output, which must have been made.

    Parameters
    ----------
    job
        The job.
    name
        Name of the selection; by default that of the job file.

    Returns
    -------
    Selection
        The selection.

    Raises
    ------
    StageOrderError
        There is no such selection.
    """
    selection = find_selection(job, name)
    if selection is None:
        raise StageOrderError(
            f"there must be a selection under {job.root.location}. There is none.",
            hint="run `semdedup run`, or `semdedup select` where scores are there.",
        )
    return selection


def review_of(job: Job, selection: Selection) -> tuple[DataFrame, float]:
    """Read the rows between the two thresholds of a selection.

    Parameters
    ----------
    job
        The job.
    selection
        The selection.

    Returns
    -------
    tuple[DataFrame, float]
        Its table ``review``, and its ``select.review``.

    Raises
    ------
    StageOrderError
        It was made without ``select.review``.
    """
    review = json.loads(selection.record.config).get("review")
    if review is None:
        raise StageOrderError(
            "the selection must have been made with select.review. It was made without.",
            hint="set select.review, and run `semdedup select`.",
        )
    table = s.of_selection(s.REVIEW, selection.name)
    return read_table(job.spark, job.root, table), float(review)


def edge_removals(job: Job, selection: Selection, *, n: int, seed: int = 0) -> list[Example]:
    """Show the removed rows nearest to the threshold beside their survivors: mistakes are most
    likely there.

    Parameters
    ----------
    job
        The job.
    selection
        The selection.
    n
        Number of rows, at most.
    seed
        Chooses among rows of equal similarity.

    Returns
    -------
    list[Example]
        Rows that were removed for their similarity to a neighbor, the least similar first.
    """
    removed = selection.duplicates
    if s.REASON in removed.columns:  # tables of older releases have none
        near = removed.filter(F.col(s.REASON) == s.BY_SIMILARITY)
    else:
        near = removed.filter(F.col(s.SIMILARITY) > 1 - selection.eps)
    whole = near.filter(F.col(s.SURVIVOR_SIMILARITY).isNotNull())
    among_equal = F.xxhash64(s.ID, F.lit(seed))
    return beside_survivors(job, whole.orderBy(s.SIMILARITY, among_equal, s.ID).limit(n))


def drawn(rows: DataFrame, n: int, seed: int) -> DataFrame:
    """Draw rows at random. The same seed draws the same rows.

    Parameters
    ----------
    rows
        Rows with a column ``id``.
    n
        Number of rows, at most.
    seed
        Seed of the draw.

    Returns
    -------
    DataFrame
        The drawn rows, with all columns.
    """
    return rows.orderBy(F.xxhash64(s.ID, F.lit(seed)), s.ID).limit(n)


def beside_survivors(job: Job, few: DataFrame) -> list[Example]:
    """Show removed rows beside their survivors.

    Parameters
    ----------
    job
        The job.
    few
        A few rows of ``duplicates``. The driver holds all of them.

    Returns
    -------
    list[Example]
        The rows in their order, without those that have no survivor.
    """
    # A row that only an override removed has no survivor.
    whole = few.filter(F.col(s.SURVIVOR_SIMILARITY).isNotNull())
    columns = (s.ID, s.SURVIVOR_ID, s.NEIGHBOR_ID, s.SIMILARITY, s.SURVIVOR_SIMILARITY, s.COVERED)
    pairs = whole.select(*columns).collect()
    ids = {row[s.ID] for row in pairs}, {row[s.SURVIVOR_ID] for row in pairs}
    texts, others = ask_both(job, partial(contents, job), *ids)
    return [
        Example(
            id=str(row[s.ID]),
            text=texts.get(row[s.ID], ""),
            survivor_id=str(row[s.SURVIVOR_ID]),
            survivor_text=others.get(row[s.SURVIVOR_ID], ""),
            similarity=float(row[s.SIMILARITY] or 0.0),
            neighbor_id=None if row[s.NEIGHBOR_ID] is None else str(row[s.NEIGHBOR_ID]),
            survivor_similarity=float(row[s.SURVIVOR_SIMILARITY]),
            covered=bool(row[s.COVERED]),
        )
        for row in pairs
    ]
