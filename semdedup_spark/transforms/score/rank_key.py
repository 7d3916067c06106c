"""The rank order of rows: from ``score.rank_by`` to one column that sorts ascending, ``rank_key``.

Spark evaluates the terms of an SQL order. The UDF that packs rows makes the key from them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.errors import ConfigError, did_you_mean
from semdedup_spark.kernels.rank_key import order_keys
from semdedup_spark.kernels.vectors import FloatArray
from semdedup_spark.rank_by import BUILT_IN, Term, parse_rank_by
from semdedup_spark.rank_values import key_term
from semdedup_spark.values import widest

_RANK = "__rank_"
_ORDERED_TYPES = re.compile(
    r"boolean|tinyint|smallint|int|bigint|float|double|decimal\(\d+,\d+\)|string|binary|date"
    r"|timestamp|timestamp_ntz"
)
_UNRESOLVED = re.compile(r"\[UNRESOLVED_COLUMN.*? with name `((?:[^`]|``)+)`\S* cannot be resolved")


def rank_key_type(rank_by: str) -> str:
    """Tell the SQL type of ``rank_key``.

    Parameters
    ----------
    rank_by
        The order.

    Returns
    -------
    str
        float (a similarity) for ``low`` and ``high``, bigint (a hash) for ``random``, binary for
        SQL.
    """
    return {"low": "float", "high": "float", "random": "bigint"}.get(rank_by, "binary")


def with_rank_columns(
    embeddings: DataFrame, rank_by: str, seed: int, *, also: Sequence[str] = ()
) -> DataFrame:
    """Evaluate the terms of the order.

    Parameters
    ----------
    embeddings
        Columns id, embedding, batch and ``also``; for an SQL order its rank_terms, or source (a
        struct of the source's own columns).
    rank_by
        The order.
    seed
        Seed of the order ``random``.
    also
        More columns to keep.

    Returns
    -------
    DataFrame
        Columns id, embedding, batch, ``also``, and the columns ``__rank_0``, ... that
        :func:`rank_keys` needs.
    """
    carried = [s.ID, s.EMBEDDING, s.BATCH, *also]
    if rank_by in BUILT_IN:
        hashed = F.xxhash64(F.lit(seed), F.col(s.ID)).alias(f"{_RANK}0")
        return embeddings.select(*carried, *([hashed] if rank_by == "random" else []))
    if s.RANK_TERMS not in embeddings.columns:
        embeddings = with_terms(embeddings, rank_by, carried)
    names = enumerate(embeddings.select(f"{s.RANK_TERMS}.*").columns)
    terms = [F.col(f"{s.RANK_TERMS}.{name}").alias(f"{_RANK}{i}") for i, name in names]
    return embeddings.select(*carried, *terms)


def with_order(rank_by: str, rows: DataFrame, carried: Sequence[str]) -> DataFrame:
    """Evaluate what an SQL order sees of each row, and hash it.

    Parameters
    ----------
    rank_by
        The order.
    rows
        Columns ``carried``, and source (a struct of the source's own columns).
    carried
        Columns to keep.

    Returns
    -------
    DataFrame
        Columns ``carried`` and order_hash; for an SQL order also rank_terms. The built-in orders
        see nothing of the source: their hash is the same for all rows.
    """
    if rank_by in BUILT_IN:
        return rows.select(*carried, F.lit(0).cast("bigint").alias(s.ORDER_HASH))
    found = with_terms(rows, rank_by, carried)
    fields = found.schema[s.RANK_TERMS].dataType
    kinds = [(F.col(f"{s.RANK_TERMS}.{f.name}"), f.dataType) for f in fields]  # type: ignore[attr-defined]
    # A type that has become wider orders rows as before. Decimals are hashed without their scale.
    tags = ",".join(str(getattr(kind, "scale", "")) for _, kind in kinds)
    both = [part for term, kind in kinds for part in (term.isNull(), widest(term, kind))]
    return found.withColumn(s.ORDER_HASH, F.xxhash64(F.lit(tags), *both))


def with_terms(rows: DataFrame, rank_by: str, carried: Sequence[str]) -> DataFrame:
    """Evaluate the terms of an SQL order.

    Parameters
    ----------
    rows
        Columns ``carried``, and source (a struct of the source's own columns).
    rank_by
        The order.
    carried
        Columns to keep.

    Returns
    -------
    DataFrame
        Columns ``carried`` and rank_terms, a struct.
    """
    # The source may have columns called id, batch or embedding, and the terms mean those.
    aside = _unused_name(rows.select(f"{s.SOURCE}.*").columns)
    rows = rows.select(F.struct(*carried).alias(aside), f"{s.SOURCE}.*")
    values = [_value(t).alias(f"term{i}") for i, t in enumerate(parse_rank_by(rank_by))]
    kept = (F.col(f"{aside}.{name}").alias(name) for name in carried)
    return rows.select(*kept, F.struct(*values).alias(s.RANK_TERMS))


def _unused_name(taken: Iterable[str]) -> str:
    name, lower = "__carried", {other.lower() for other in taken}
    while name in lower:
        name += "_"
    return name


def _value(term: Term) -> Column:
    # Between brackets, where SQL knows no alias: `quality DESCENDING` must be an error.
    return F.expr(f"({term.expression})")


def rank_keys(batch: pa.RecordBatch, rank_by: str, similarity: FloatArray) -> pa.Array:
    """Make the keys of an Arrow batch, in the UDF. Keys are always in ascending order.

    Parameters
    ----------
    batch
        Columns of :func:`with_rank_columns`.
    rank_by
        The order.
    similarity
        (n,) float32. Similarity of each row to its centroid.

    Returns
    -------
    pa.Array
        n keys, of the type that :func:`rank_key_type` tells.
    """
    if rank_by == "random":
        return batch.column(f"{_RANK}0")
    if rank_by in BUILT_IN:
        return pa.array(similarity if rank_by == "low" else -similarity)
    terms = enumerate(parse_rank_by(rank_by))
    keys = order_keys([key_term(batch.column(f"{_RANK}{i}"), term) for i, term in terms])
    return pa.array(keys, pa.binary())


def check_rank_by(own: DataFrame, rank_by: str, left_out: Sequence[str] = ()) -> None:
    """Check that the order can rank these rows. Starts no Spark job.

    Each term must resolve over the source's columns, have a type with an order, and be a
    deterministic expression of one row.

    Parameters
    ----------
    own
        The source's own columns; its rows do not matter.
    rank_by
        The order.
    left_out
        Columns of the source that are not among ``own``.

    Raises
    ------
    ConfigError
        If a term does not fulfil this.
    """
    if rank_by in BUILT_IN:
        return
    # Without rows and without the hidden columns of files, such as _metadata.
    empty = own.sparkSession.createDataFrame([], own.schema)
    for term in parse_rank_by(rank_by):
        try:
            with _spark_logging_nothing():
                kind = empty.select(_value(term)).schema.fields[0].dataType.simpleString()
        except AnalysisException as error:
            why, hint = _not_understood(str(error).strip(), own.columns, left_out)
            raise ConfigError(_must_be(rank_by, why), hint=hint) from error
        if not _ORDERED_TYPES.fullmatch(kind):
            raise ConfigError(
                _must_be(rank_by, f"{term.expression} is of type {kind}"),
                hint="a term must be a boolean, number, string, binary, date or timestamp.",
            )
        try:
            with _spark_logging_nothing():
                _ = empty.agg(F.max(_value(term))).schema
        except AnalysisException as error:
            raise ConfigError(
                _must_be(rank_by, f"{term.expression} is no function of a row alone"),
                hint="a term must be deterministic, and hold no aggregate, window or generator.",
            ) from error


@contextmanager
def _spark_logging_nothing() -> Iterator[None]:
    # Spark 4 logs an exception about SQL text, a page long, before anyone can explain it.
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _not_understood(said: str, columns: Sequence[str], left_out: Sequence[str]) -> tuple[str, str]:
    """(why Spark does not understand a term, a hint)."""
    match = _UNRESOLVED.match(said)
    if match is None:
        return said.splitlines()[0].partition(" SQLSTATE")[0].rstrip("."), ""
    name = match[1].replace("``", "`")
    if name.lower() in (other.lower() for other in left_out):
        why = f"source.columns leaves out the column {name!r}"
        return why, f"add {name} to source.columns."
    hint = did_you_mean(name, columns) or f"the columns are: {', '.join(sorted(columns))}."
    if name in BUILT_IN:
        hint = f"{name} is an order only where it stands alone. {hint}"
    return f"the source has no column {name!r}", hint


def _must_be(rank_by: str, why: str) -> str:
    return (
        "score.rank_by must be low, high, random, or an SQL order over the source's own columns. "
        f"Got {rank_by!r}: {why}."
    )
