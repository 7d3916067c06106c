"""Cluster-stratified pruning: assign every row, then choose in each cluster.

No vector is shuffled: what reaches a cluster's group is the id, one similarity and one hash a row.
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
    """The rule, as plain values. ``quotas``: rows to keep by cluster; ``None`` for the percentage
    of each, rounded up.
    """

    ratio: float
    rank_type: RankType
    prune_type: PruneType
    n_bins: int
    quotas: Mapping[int, int] | None = None


def assign_rows(embeddings: DataFrame, centroids: CentroidSource, seed: int) -> DataFrame:
    """Id, cluster_id, centroid_similarity and key (seeded hash of the id) of every row.

    ``embeddings``: id, embedding.
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
    """Rows of each cluster that has any; k numbers."""
    rows = assigned.groupBy(s.CLUSTER_ID).count().collect()
    return {row[s.CLUSTER_ID]: row["count"] for row in rows}


def exact_quotas(sizes: Mapping[int, int], ratio: float) -> dict[int, int]:
    """Rows to keep of each cluster, adding up to ``ratio`` percent of all, rounded up once."""
    clusters = sorted(sizes)
    quotas = cluster_quotas([sizes[c] for c in clusters], ratio, exact_total=True)
    return dict(zip(clusters, quotas.tolist(), strict=True))


def prune_rows(assigned: DataFrame, pruning: Pruning) -> DataFrame:
    """The ``pruning`` table: id, cluster_id, centroid_similarity and whether the row is kept.

    ``assigned``: rows of :func:`assign_rows`. A cluster's rows, without vectors, are in one
    worker's memory at a time: about 100 bytes each.
    """
    id_type = assigned.schema[s.ID].dataType.simpleString()

    def choose(cluster: pa.Table) -> pa.Table:
        return choose_in_cluster(cluster, pruning)

    return map_groups(assigned, s.CLUSTER_ID, choose, s.pruning_ddl(id_type))


def choose_in_cluster(cluster: pa.Table, pruning: Pruning) -> pa.Table:
    """The UDF's body: all rows of one cluster, in any order, each kept or not."""
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


def pruned_rows(embeddings: DataFrame, pruning: DataFrame, *, with_id: bool) -> DataFrame:
    """The ``pruned`` table: the source's own columns of every kept row, and the id where it is
    none of them.
    """
    kept = pruning.filter(F.col(s.KEPT)).select(s.ID)
    rows = embeddings.select(s.ID, s.SOURCE).join(kept, s.ID, "left_semi")
    return rows.select(*([F.col(s.ID)] if with_id else []), f"{s.SOURCE}.*")


def cluster_counts(embeddings: DataFrame, pruning: DataFrame, column: str) -> DataFrame:
    """Cluster, value of a ``column`` of the source, and how many rows have both."""
    values = embeddings.select(s.ID, F.col(s.SOURCE)[column].alias("value"))
    pairs = pruning.select(s.ID, s.CLUSTER_ID).join(values, s.ID)
    return pairs.groupBy(s.CLUSTER_ID, "value").count()


def _names(*more: str) -> list[str]:
    return [s.ID, s.CLUSTER_ID, s.CENTROID_SIMILARITY, *more]


def _columns(id_type: str) -> str:
    return f"{s.ID} {id_type}, {s.CLUSTER_ID} int, {s.CENTROID_SIMILARITY} float"
