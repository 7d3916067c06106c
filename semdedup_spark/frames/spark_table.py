"""Deduplicate a DataFrame of Spark: the job, with the DataFrame in place of its source."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import BinaryType

from semdedup_spark import schema as s
from semdedup_spark.config import parse_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.frames.horizon import check_eps
from semdedup_spark.frames.spark_result import DeduplicatedFrame
from semdedup_spark.frames.staged import FRAME
from semdedup_spark.pipeline.job import run_job
from semdedup_spark.pipeline.job_context import open_job
from semdedup_spark.report.console import console_listener
from semdedup_spark.transforms.embed.joined_content import joined_content

_JOINED = "__semdedup_content"


def deduplicate_dataframe(
    df: DataFrame,
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
    reference: DataFrame | None,
    output: str | None,
    replace: bool,
) -> DeduplicatedFrame:
    """Run the job on a DataFrame. See :func:`semdedup_spark.deduplicate`.

    Parameters
    ----------
    df
        The rows. It is evaluated several times, so it must give the same rows each time.
    content
        The column of the texts or pictures, or several of texts that are joined.
    template
        How several columns are joined.
    vector
        The column of ready-made vectors, in place of ``content``.
    id
        The column of the ids.
    encoder
        Name of the encoder.
    model
        Its model; ``None``: the encoder's own.
    eps
        The threshold.
    eps_max
        The horizon.
    rank_by
        Which of several similar rows stays; ``None``: the lowest id.
    reference
        A second DataFrame with the same columns.
    output
        Where the tables lie; ``None``: in a temporary folder, for a session on this machine.
    replace
        Whether ``output`` may lose its rows to a DataFrame that has none of them.

    Returns
    -------
    DeduplicatedFrame
        The tables.

    Raises
    ------
    ConfigError
        ``id``, or one of ``content`` and ``vector``, is not given, or ``output`` must be.
    """
    if id is None or (content is None) == (vector is None):
        raise ConfigError(
            "id, and either content or vector, must be given for a Spark DataFrame. Got "
            f"id={id!r}, content={content!r}, vector={vector!r}.",
            hint="rows of a DataFrame have no order, so an id must tell them apart: "
            'deduplicate(df, content="text", id="doc_id"). The columns are: '
            f"{', '.join(df.columns)}.",
        )
    check_eps(eps, eps_max)
    if output is None:
        output = _temporary(df)
    columns = [content] if isinstance(content, str) else list(content or [])
    joined = len(columns) > 1 or template is not None
    source: dict[str, Any] = {
        "kind": "vectors" if vector is not None else _kind(df, columns),
        "table": FRAME,
        "id": id,
        "content": vector or (_JOINED if joined else columns[0]),
        "columns": list(df.columns) if joined else None,
    }
    tree: dict[str, Any] = {
        "output": output,
        "source": source,
        "embed": {"encoder": "none"}
        if vector is not None
        else {"encoder": encoder, "model": model},
        "score": {"recall": "exact", "rank_by": rank_by or s.quoted(id), "eps_max": eps_max},
        "select": {"eps": eps},
    }
    frames = {s.EMBEDDINGS: joined_content(df, columns, template, _JOINED) if joined else df}
    if reference is not None:
        tree["reference"] = source
        frames[s.REFERENCE] = (
            joined_content(reference, columns, template, _JOINED) if joined else reference
        )
    config = parse_config(tree)
    listener = console_listener()
    job = open_job(df.sparkSession, config, frames=frames, replace=replace, listener=listener)
    return DeduplicatedFrame(job, run_job(job))


def _kind(df: DataFrame, columns: Sequence[str]) -> str:
    """Bytes are pictures."""
    is_binary = len(columns) == 1 and isinstance(
        df.select(columns[0]).schema[0].dataType, BinaryType
    )
    return "images" if is_binary else "text"


def _temporary(df: DataFrame) -> str:
    master = df.sparkSession.conf.get("spark.master", "")
    if not (master or "").startswith("local"):
        raise ConfigError(
            "output must be given where Spark runs on more than this machine: a directory or URI "
            "that all of it can reach, or catalog.schema. Got none."
        )
    return tempfile.mkdtemp(prefix="semdedup-")
