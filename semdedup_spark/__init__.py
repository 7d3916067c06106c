"""Semantic deduplication of a data lake: SemDeDup as a PySpark and Delta Lake job.

Importing this package starts nothing: Spark, torch and the rest load when first used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, overload

from semdedup_spark.lazy_names import loaded_from

__version__ = "0.2.0"

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from typing_extensions import Unpack

    from semdedup_spark.config import JobConfig, load_config, parse_config
    from semdedup_spark.frames.memory_result import Deduplicated
    from semdedup_spark.frames.spark_result import DeduplicatedFrame
    from semdedup_spark.frames.staged import OpenOutput, open_output
    from semdedup_spark.in_memory.prune import Clusters, cluster_vectors
    from semdedup_spark.in_memory.score import VectorScores, score_vectors
    from semdedup_spark.pipeline import JobSummary, open_job, run_job
    from semdedup_spark.pipeline.queries.read_selection import SelectedTables, read_selection
    from semdedup_spark.session.spark_session import open_session

_HOMES = {
    "JobConfig": "semdedup_spark.config",
    "load_config": "semdedup_spark.config",
    "parse_config": "semdedup_spark.config",
    "JobSummary": "semdedup_spark.pipeline",
    "open_job": "semdedup_spark.pipeline",
    "run_job": "semdedup_spark.pipeline",
    "SelectedTables": "semdedup_spark.pipeline.queries.read_selection",
    "read_selection": "semdedup_spark.pipeline.queries.read_selection",
    "open_session": "semdedup_spark.session.spark_session",
    "VectorScores": "semdedup_spark.in_memory.score",
    "Deduplicated": "semdedup_spark.frames.memory_result",
    "DeduplicatedFrame": "semdedup_spark.frames.spark_result",
    "OpenOutput": "semdedup_spark.frames.staged",
    "open_output": "semdedup_spark.frames.staged",
    "Clusters": "semdedup_spark.in_memory.prune",
    "cluster_vectors": "semdedup_spark.in_memory.prune",
    "score_vectors": "semdedup_spark.in_memory.score",
}

__all__ = [
    "Clusters",
    "Deduplicated",
    "DeduplicatedFrame",
    "JobConfig",
    "JobSummary",
    "OpenOutput",
    "SelectedTables",
    "VectorScores",
    "__version__",
    "cluster_vectors",
    "deduplicate",
    "load_config",
    "open_job",
    "open_output",
    "open_session",
    "parse_config",
    "read_selection",
    "run_job",
    "score_vectors",
]


class _Settings(TypedDict, total=False):
    content: str | Sequence[str] | None
    template: str | None
    vector: str | None
    id: str | None
    encoder: str
    model: str | None
    eps: float
    eps_max: float
    rank_by: str | None
    reference: Any
    output: str | None
    replace: bool


@overload
def deduplicate(data: DataFrame, **settings: Unpack[_Settings]) -> DeduplicatedFrame: ...


@overload
def deduplicate(data: Any, **settings: Unpack[_Settings]) -> Deduplicated: ...


def deduplicate(
    data: Any,
    *,
    content: str | Sequence[str] | None = None,
    template: str | None = None,
    vector: str | None = None,
    id: str | None = None,  # noqa: A002
    encoder: str = "minilm",
    model: str | None = None,
    eps: float = 0.05,
    eps_max: float = 0.3,
    rank_by: str | None = None,
    reference: Any = None,
    output: str | None = None,
    replace: bool = False,
) -> Deduplicated | DeduplicatedFrame:
    """Remove rows that say nearly the same as another row (SemDeDup).

    A Spark DataFrame runs as the job and leaves the job's tables in ``output``. Everything else is
    done in memory, without Spark, and the same rows stay. All pairs above the horizon are found
    (``recall: exact``).

    Parameters
    ----------
    data
        A Spark or pandas DataFrame, an Arrow table, a list of texts, an (n, d) array of vectors, or
        pictures: a folder or a list of files, each a ``pathlib.Path``, or a list of bytes. Files
        have the columns ``path`` and ``length``, their size in bytes.
    content
        The column of the texts, or of pictures as bytes, or several columns of texts that are
        joined. Not needed for a list.
    template
        How several columns are joined, such as ``"{artist}: {title}"``. ``None``: those that are
        not empty, one on each line.
    vector
        The column of ready-made vectors, in place of ``content``. Not needed for an array.
    id
        The column of the ids, each in one row only. In memory ``None`` numbers the rows; files are
        known by their path.
    encoder
        Name of the encoder. ``minilm`` is for texts and needs no download. ``pixels`` finds
        resized and recompressed copies of pictures, with ``eps=0.002``.
    model
        A model of that encoder. ``None``: the encoder's own.
    eps
        The threshold: a row goes if its cosine to a row before it is above ``1 - eps``.
    eps_max
        The horizon: the largest ``eps`` that the result can be asked for later.
    rank_by
        Which of several similar rows stays: the first in this order, columns as in SQL's ``ORDER
        BY``, such as ``"quality DESC"``. ``None``: the lowest id.
    reference
        A second table of the same kind and columns. Rows similar to one of its rows go, and only
        those.
    output
        Where the job's tables lie, for a Spark DataFrame: a directory, a URI or ``catalog.schema``.
    replace
        Whether ``output`` may lose its rows to a DataFrame that has none of them.

    Returns
    -------
    Deduplicated | DeduplicatedFrame
        ``kept``, ``removed``, ``quarantined`` and ``assignment``, tables of the kind that came in;
        ``at``, ``keep``, ``tune``, ``explain`` and ``report``.

    References
    ----------
    Abbas, A. et al. (2023). SemDeDup: Data-efficient learning at web-scale through semantic
    deduplication. arXiv:2303.09540.

    Examples
    --------
    >>> import numpy as np
    >>> from semdedup_spark import deduplicate
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [-1.0, 0.0]])
    >>> result = deduplicate(X, eps=0.05)
    >>> result
    Deduplicated(read=4, kept=3, removed=1, quarantined=0, eps=0.05)
    >>> print(result.explain(2))
    2: removed
      2 is 0.9950 similar to 0
    >>> result.kept.tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
    """
    settings: dict[str, Any] = {
        "content": content,
        "template": template,
        "vector": vector,
        "id": id,
        "encoder": encoder,
        "model": model,
        "eps": eps,
        "eps_max": eps_max,
        "rank_by": rank_by,
        "reference": reference,
    }
    if type(data).__module__.startswith("pyspark."):
        from semdedup_spark.frames.spark_table import deduplicate_dataframe

        return deduplicate_dataframe(data, output=output, replace=replace, **settings)
    from semdedup_spark.frames.memory_table import deduplicate_table

    return deduplicate_table(data, **settings)


__getattr__ = loaded_from(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
