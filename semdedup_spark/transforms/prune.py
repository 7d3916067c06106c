"""Cluster-stratified pruning: assign every row, then choose rows in each cluster.

No vector is shuffled: the group of a cluster receives an id, one similarity and one hash per row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.kernels.pruning import (
    PruneType,
    RankType,
    choose_rows,
    random_scores,
)
from semdedup_spark.kernels.quotas import cluster_quotas
from semdedup_spark.transforms.arrow import map_batches, map_groups, to_matrix
from semdedup_spark.transforms.cluster.centroid_source import CentroidSource, assigner_of

_KEY = "key"


@dataclass(frozen=True)
class Pruning:
    """The rule of a pruning, as plain values.

    Attributes
    ----------
    ratio
        Percentage of the rows to keep.
    rank_type
        What rows are ranked by.
    prune_type
        Which ranks are kept.
    n_bins
        Number of bins, for the rules that have bins.
    quotas
        Rows to keep by cluster. ``None`` keeps the percentage of each cluster, rounded up.
    """

    ratio: float
    rank_type: RankType
    prune_type: PruneType
    n_bins: int
    quotas: Mapping[int, int] | None = None


def assign_rows(embeddings: DataFrame, centroids: CentroidSource, seed: int) -> DataFrame:
    """Assign every row to a cluster.

    Parameters
    ----------
    embeddings
        Columns id and embedding.
    centroids
        Where tasks find the centroids.
    seed
        Seed of the hash.

    Returns
    -------
    DataFrame
        Columns id, cluster_id, centroid_similarity and key, a seeded hash of the id.
    """
    keyed = embeddings.select(s.ID, s.EMBEDDING, F.xxhash64(F.lit(seed), F.col(s.ID)).alias(_KEY))

    def nearest(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        assigner = assigner_of(centroids)
        for batch in batches:
            if batch.num_rows:
                found = assigner.assign(to_matrix(batch.column(s.EMBEDDING)))
                columns = [
                    batch.column(s.ID),
                    pa.array(found.labels),
                    pa.array(found.similarity),
                    batch.column(_KEY),
                ]
                yield pa.RecordBatch.from_arrays(columns, names=_names(_KEY))

    id_type = embeddings.schema[s.ID].dataType.simpleString()
    return map_batches(keyed, nearest, f"{_columns(id_type)}, {_KEY} bigint")


def cluster_sizes(assigned: DataFrame) -> dict[int, int]:
    """Count the rows of each cluster. Runs one Spark job; brings k numbers to the driver.

    Parameters
    ----------
    assigned
        Column cluster_id.

    Returns
    -------
    dict[int, int]
        Rows by cluster, of the clusters that have any.
    """
    rows = assigned.groupBy(s.CLUSTER_ID).count().collect()
    return {row[s.CLUSTER_ID]: row["count"] for row in rows}


def exact_quotas(sizes: Mapping[int, int], ratio: float) -> dict[int, int]:
    """Share out the rows to keep, so that their total is exact.

    Parameters
    ----------
    sizes
        Rows by cluster.
    ratio
        Percentage of all rows to keep. The total is rounded up once.

    Returns
    -------
    dict[int, int]
        Rows to keep by cluster.
    """
    clusters = sorted(sizes)
    quotas = cluster_quotas([sizes[c] for c in clusters], ratio, exact_total=True)
    return dict(zip(clusters, quotas.tolist(), strict=True))


def prune_rows(assigned: DataFrame, pruning: Pruning) -> DataFrame:
    """Choose the rows to keep.

    A cluster's rows, without vectors, are in one worker's memory at a time: about 100 bytes each.

    Parameters
    ----------
    assigned
        What :func:`assign_rows` returned.
    pruning
        The rule.

    Returns
    -------
    DataFrame
        The table ``pruning``: id, cluster_id, centroid_similarity and whether the row is kept.
    """
    id_type = assigned.schema[s.ID].dataType.simpleString()

    def choose(cluster: pa.Table) -> pa.Table:
        return choose_in_cluster(cluster, pruning)

    return map_groups(assigned, s.CLUSTER_ID, choose, s.pruning_ddl(id_type))


def choose_in_cluster(cluster: pa.Table, pruning: Pruning) -> pa.Table:
    """The UDF's body: choose the rows to keep of one cluster.

    Parameters
    ----------
    cluster
        All rows of the cluster, in any order.
    pruning
        The rule.

    Returns
    -------
    pa.Table
        The rows in the order of their ids, each with whether it is kept.
    """
    rows = cluster.take(pc.sort_indices(cluster, sort_keys=[(s.ID, "ascending")]))
    key = rows.column(_KEY).to_numpy().view(np.uint64)
    if pruning.rank_type == "random":
        score = random_scores(key)
    else:
        score = rows.column(s.CENTROID_SIMILARITY).to_numpy().astype(np.float64)
    if pruning.quotas is None:
        n_keep = int(cluster_quotas([len(rows)], pruning.ratio)[0])
    else:
        n_keep = pruning.quotas[rows.column(s.CLUSTER_ID)[0].as_py()]
    kept = choose_rows(score, key, n_keep, pruning.prune_type, n_bins=pruning.n_bins)
    return rows.select(_names()).append_column(s.KEPT, pa.array(kept))


def pruned_rows(rows: DataFrame, pruning: DataFrame, *, with_id: bool) -> DataFrame:
    """Make the rows of the table ``pruned``.

    Parameters
    ----------
    rows
        Columns id and source of all embedded rows.
    pruning
        The table of this name.
    with_id
        Whether the id is no column of the source, and must be added.

    Returns
    -------
    DataFrame
        The source's own columns of every kept row.
    """
    kept = pruning.filter(F.col(s.KEPT)).select(s.ID)
    chosen = rows.select(s.ID, s.SOURCE).join(kept, s.ID, "left_semi")
    return chosen.select(*([F.col(s.ID)] if with_id else []), f"{s.SOURCE}.*")


def cluster_counts(rows: DataFrame, pruning: DataFrame, column: str) -> DataFrame:
    """Count rows by cluster and by value of a column.

    Parameters
    ----------
    rows
        Columns id and source of all embedded rows.
    pruning
        The table of this name.
    column
        Column of the source.

    Returns
    -------
    DataFrame
        Columns cluster_id, value and count.
    """
    values = rows.select(s.ID, F.col(s.SOURCE)[column].alias("value"))
    pairs = pruning.select(s.ID, s.CLUSTER_ID).join(values, s.ID)
    return pairs.groupBy(s.CLUSTER_ID, "value").count()


def _names(*more: str) -> list[str]:
    return [s.ID, s.CLUSTER_ID, s.CENTROID_SIMILARITY, *more]


def _columns(id_type: str) -> str:
    return f"{s.ID} {id_type}, {s.CLUSTER_ID} int, {s.CENTROID_SIMILARITY} float"
