"""Deduplicate a table in memory: encoders and kernels alone, no Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from semdedup_spark.config import ScoreConfig, checked_stage
from semdedup_spark.config.embed import FITTING
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.frames.checked_rows import CheckedRows
from semdedup_spark.frames.horizon import check_eps
from semdedup_spark.frames.memory_result import Deduplicated
from semdedup_spark.in_memory.contents import checked_vectors, joined_texts
from semdedup_spark.in_memory.pictures import hold_pictures, pictures_of
from semdedup_spark.in_memory.rows import CONTENT, PATH, Rows, as_rows
from semdedup_spark.in_memory.score import VectorScores, score_vectors
from semdedup_spark.kernels.rank_key import order_keys
from semdedup_spark.kernels.score.routes import HOME
from semdedup_spark.kernels.score.running_max import NO_NEIGHBOR
from semdedup_spark.kernels.score.unit import score_unit
from semdedup_spark.kernels.score.unit_contents import UnitRowsInOrder
from semdedup_spark.kernels.vectors import FloatArray, IndexArray, hash_rows
from semdedup_spark.rank_by import BUILT_IN, Term, parse_rank_by
from semdedup_spark.rank_values import key_term


def deduplicate_table(
    data: Any,
    *,
    content: str | Sequence[str] | None,
    template: str | None,
    vector: str | None,
    id: str | None,  # noqa: A002
    encoder: str,
    model: str | None,
    eps: float,
    eps_max: float,
    rank_by: str | None,
    reference: Any,
) -> Deduplicated:
    """Deduplicate what fits in memory. See :func:`semdedup_spark.deduplicate`.

    Parameters
    ----------
    data
        A pandas DataFrame, an Arrow table, a list of texts, an (n, d) array of vectors, or
        pictures: a folder, a list of files, or a list of bytes.
    content
        The column of the texts or pictures, or several of texts that are joined.
    template
        How several columns are joined.
    vector
        The column of ready-made vectors, in place of ``content``.
    id
        The column of the ids. ``None``: the position of a row, or the path of a file.
    encoder
        Name of the encoder.
    model
        Its model; ``None``: the encoder's own.
    eps
        The threshold.
    eps_max
        The horizon: the largest eps that can be asked of the result later.
    rank_by
        Which of several similar rows stays: columns as in SQL's ``ORDER BY``. ``None``: the one
        with the lowest id.
    reference
        A second table with the same columns. Rows similar to one of its rows go, and only those.

    Returns
    -------
    Deduplicated
        What is kept, removed and quarantined.

    Raises
    ------
    SourceError
        The vectors of the reference have another length.

    Notes
    -----
    What it calls raises ``SourceError`` where ids are missing or not unique, or no column of texts
    is named; ``HorizonError`` where ``eps`` is above ``eps_max``; and ``ConfigError`` where
    ``rank_by`` is more than columns, or the encoder does not fit the rows.
    """
    check_eps(eps, eps_max)  # before any is encoded
    checked_stage(ScoreConfig, eps_max=eps_max)
    none = np.empty(0, np.int64)
    scores = VectorScores(np.empty(0, np.float32), none, none.astype(np.int32), eps_max)
    scores.kept(eps)  # refuses an eps of 0 or less
    spec = EncoderSpec(encoder, model)
    columns = (content,) if isinstance(content, str) else tuple(content or ())

    def checked(table: Rows) -> CheckedRows:
        _check_content(table, columns, vector)
        ids = ids_of(table, PATH if id is None and table.are_files else id)
        found = CheckedRows(table, ids, _order(table, ids, rank_by), columns)
        if vector is not None or table.is_matrix:
            return replace(found, contents=checked_vectors(table, vector))
        if of_pictures(table, columns, encoder):
            return replace(found, pictures=pictures_of(table, (*columns, CONTENT)[0]))
        return replace(found, texts=joined_texts(table, content or CONTENT, template))

    rows = checked(as_rows(data))
    beside = None if reference is None else checked(as_rows(reference))  # before any is encoded
    given, rank, reasons = rows.encoded(spec)
    others = None
    if beside is not None:
        theirs, their_rank, _ = beside.encoded(spec)
        by_rank = np.argsort(their_rank, kind="stable")
        others = replace(theirs, good=theirs.good[by_rank], X=theirs.X[by_rank])
        d, of_theirs = given.X.shape[1], others.X.shape[1]
        if len(given.X) and len(others.X) and d != of_theirs:
            raise SourceError(
                f"the vectors of the reference must have {d} numbers, as the rows have. Got "
                f"{of_theirs}."
            )
    if others is not None:
        scores = _against(given.X, others.X, eps_max)
    elif len(given.good):
        scores = score_vectors(given.X, rank=rank, eps_max=eps_max)
    return Deduplicated(given, scores, reasons, eps, others)


def _check_content(rows: Rows, columns: Sequence[str], vector: str | None) -> None:
    """Raise :class:`SourceError` where no column is named and none has the name by default."""
    if columns or vector is not None or not rows.has_columns or CONTENT in rows.names:
        return
    raise SourceError(
        f"the column of the texts or pictures must be named; without a name, it is {CONTENT!r}. "
        f"The columns are: {', '.join(map(str, rows.names))}.",
        hint='give content="..." with one of these names, or vector="..." for vectors.',
    )


def of_pictures(rows: Rows, columns: Sequence[str], encoder: str) -> bool:
    """Tell whether rows are compared as pictures.

    Parameters
    ----------
    rows
        The rows.
    columns
        The columns that they are compared by; none for a list.
    encoder
        Name of the encoder.

    Returns
    -------
    bool
        Whether the encoder is one for pictures; that of both takes what the rows hold.

    Raises
    ------
    ConfigError
        The rows are pictures, and the encoder is one for texts.
    """
    of_images, of_texts = encoder in FITTING["images"], encoder in FITTING["text"]
    are_pictures = len(columns) < 2 and hold_pictures(rows, (*columns, CONTENT)[0])
    if are_pictures and of_texts and not of_images:
        raise ConfigError(
            f"encoder must be one for pictures ({', '.join(FITTING['images'])}). Got {encoder!r}.",
            hint="pixels finds resized and recompressed copies, with eps=0.002.",
        )
    return of_images and (are_pictures or not of_texts)


def ids_of(rows: Rows, id: str | None) -> pa.Array:  # noqa: A002
    """Read the ids of rows.

    Parameters
    ----------
    rows
        n rows.
    id
        Their column. ``None``: the position of a row.

    Returns
    -------
    pa.Array
        n ids.

    Raises
    ------
    SourceError
        An id is null, or two rows have the same.
    """
    if id is None:
        return pa.array(np.arange(len(rows)))
    ids = rows.column(id, "id")
    repeated = len(ids) - len(ids.unique())
    if ids.null_count or repeated:
        raise SourceError(
            f"id must name a column with a value of its own in every row. Got {id!r} with "
            f"{ids.null_count:,} nulls and {repeated:,} rows whose id another row has.",
            hint="keep one row of each id, as `drop_duplicates` of pandas does, or leave id out to "
            "number the rows. The job keeps one of them, by a hash that Spark makes of the rows, "
            "and puts the others into quarantine: give it a Spark DataFrame.",
        )
    return ids


def _order(rows: Rows, ids: pa.Array, rank_by: str | None) -> IndexArray:
    """(n,) rank of each row; the lowest id wins ties, as in the job."""
    last = key_term(ids, Term("id", descending=False, nulls_first=True))
    terms = [] if rank_by is None else [_term(rows, term) for term in _terms(rank_by)]
    keys = order_keys([*terms, last])
    rank = np.empty(len(keys), dtype=np.int64)
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return rank


def _terms(rank_by: str) -> tuple[Term, ...]:
    if rank_by in BUILT_IN:
        raise ConfigError(
            f"rank_by must be columns, each with ASC or DESC. Got {rank_by!r}, which only the job "
            "knows: it depends on its clusters, or on hashes that Spark makes.",
            hint="name columns, or leave rank_by out: the lowest id stays.",
        )
    return parse_rank_by(rank_by)


def _term(rows: Rows, term: Term) -> Any:
    name = term.expression.strip()
    if name.startswith("`") and name.endswith("`"):
        name = name[1:-1].replace("``", "`")
    if name not in rows.names:
        raise ConfigError(
            f"rank_by must name columns ({', '.join(map(str, rows.names))}), each with ASC or "
            f"DESC. Got {term.expression!r}.",
            hint="make a column of what an expression returns; the job takes any expression.",
        )
    return key_term(rows.column(name, "rank_by"), term)


def _against(X: FloatArray, others: FloatArray, eps_max: float) -> VectorScores:
    """Compare each row with all rows of a reference, as the job does, in one unit."""
    checked_stage(ScoreConfig, eps_max=eps_max)
    m, labels = len(others), np.zeros(len(X), np.int32)
    if not m or not len(X):
        neighbor = np.full(len(X), NO_NEIGHBOR, np.int64)
        return VectorScores(np.zeros(len(X), np.float32), neighbor, labels, eps_max)
    vectors = np.concatenate([others, X])  # a reference ranks before all rows
    place = np.arange(len(vectors))
    unit = UnitRowsInOrder(
        vectors=vectors,
        hashes=hash_rows(vectors),
        vector=place,
        tile=np.zeros(len(vectors), np.int32),
        role=np.full(len(vectors), HOME, np.int8),
        is_target=place >= m,
        others_only=True,
    )
    horizon = np.nextafter(np.float32(1 - eps_max), np.float32(0))
    best = score_unit(unit, above=float(horizon), settled=True).best
    return VectorScores(best.max_similarity[m:], best.neighbor[m:], labels, eps_max)
