"""Sessions and jobs over vectors that lie in a Delta table, with the stages called one by one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from measuring import Clock
from pyspark.sql import DataFrame, SparkSession
from vectors import FloatArray, enlarged_chunks, write_source

from semdedup_spark import open_job, open_session, parse_config
from semdedup_spark import schema as s
from semdedup_spark.kernels.vectors import unit_rows
from semdedup_spark.pipeline import Job, run_cluster, run_embed, run_score
from semdedup_spark.tables.catalog import read_table
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.cluster.centroid_rows import collect_centroids

DEFAULTS = Path(__file__).parents[1] / "conf" / "spark-defaults.conf"


def session(cores: int, extra: dict[str, str] | None = None) -> SparkSession:
    """The package's own local session with ``conf/spark-defaults.conf`` and ``cores`` task slots;
    Spark gives each Python worker one BLAS thread.
    """
    settings = {
        "spark.master": f"local[{cores}]",
        "spark.sql.shuffle.partitions": str(2 * cores),
        **_spark_defaults(),
        **(extra or {}),
    }
    return open_session(settings)


def _spark_defaults() -> dict[str, str]:
    lines = [line.strip() for line in DEFAULTS.read_text().splitlines()]
    pairs = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return {key: value.strip() for key, value in pairs}


@dataclass(frozen=True)
class Bench:
    """Where one benchmark's tables lie. ``tables``: the job's output; ``source``: Delta table;
    ``storage``: of the embeddings.
    """

    spark: SparkSession
    source: Path
    tables: Path
    storage: str = "array"

    def job(self, **stages: dict[str, Any]) -> Job:
        """A job with settings by stage; on the same tables as every other job from here."""
        place = {"kind": "vectors", "format": "delta", "path": str(self.source)}
        tree = {
            "output": str(self.tables),
            "source": {**place, "id": "id", "content": "v"},
            "embed": {"encoder": "none", "storage": self.storage},
            **stages,
        }
        return open_job(self.spark, parse_config(tree))


def enlarged_source(spark: SparkSession, cache: Path, base: FloatArray, n: int, seed: int) -> Path:
    """The Delta table of ``enlarged_chunks(base, n, seed)``; kept in the cache."""
    return cached_source(spark, source_path(cache, n, seed), enlarged_chunks(base, n, seed))


def source_path(cache: Path, n: int, seed: int) -> Path:
    return cache / "sources" / f"mixed-{n}-{seed}"


def cached_source(spark: SparkSession, path: Path, chunks: Iterable[FloatArray]) -> Path:
    """The Delta table at ``path``, written from ``chunks`` if it is not there."""
    if not path.exists():
        unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with Clock(f"writing the source {path.name}"):
            write_source(spark, chunks, unfinished)
        unfinished.replace(path)
    return path


def unit_vectors(X: FloatArray) -> FloatArray:
    """What the stage ``embed`` makes of ready-made vectors."""
    return np.concatenate([unit_rows(part).X for part in np.array_split(X, max(len(X) // 4096, 1))])


@dataclass(frozen=True)
class Scores:
    """By id, which counts from 0. ``rank``: (n,) place in the rank order; ``max_similarity``."""

    rank: npt.NDArray[np.int64]
    max_similarity: FloatArray

    def removed(self, eps: float) -> npt.NDArray[np.bool_]:
        return self.max_similarity.astype(np.float64) > 1.0 - eps


@dataclass(frozen=True)
class Prepared:
    """Tables that are ready to be scored."""

    bench: Bench
    cluster_settings: dict[str, Any]
    embed: StageRecord
    cluster: StageRecord

    def score_job(self, **score: Any) -> Job:
        stages = {"cluster": self.cluster_settings, "score": score}
        if "eps_max" in score:  # select.eps may not lie beyond it
            stages["select"] = {"eps": score["eps_max"]}
        return self.bench.job(**stages)

    def centroids(self) -> FloatArray:
        return collect_centroids(self._table(s.CENTROIDS)).X

    def cluster_rows(self) -> list[int]:
        """Rows of each cluster; only after the stage ``score``."""
        return [int(row[0]) for row in self._table(s.CENTROIDS).select(s.N_ROWS).collect()]

    def scores(self) -> Scores:
        in_order = self._table(s.SCORES).orderBy(s.BATCH, s.RANK_KEY, s.ID)
        frame = in_order.select(s.ID, s.MAX_SIMILARITY).toPandas()
        ids = frame[s.ID].to_numpy()
        rank, best = np.empty(len(ids), np.int64), np.empty(len(ids), np.float32)
        rank[ids] = np.arange(len(ids))
        best[ids] = frame[s.MAX_SIMILARITY].to_numpy()
        return Scores(rank, best)

    def _table(self, name: str) -> DataFrame:
        job = self.bench.job()
        return read_table(job.spark, job.root, name)


def prepare(bench: Bench, cluster: dict[str, Any]) -> Prepared:
    """Embed and cluster, or reuse what an earlier benchmark left in the same tables."""
    job = bench.job(cluster=cluster)
    embed = run_embed(job)
    clustered = run_cluster(job, embed)
    for record in (embed, clustered):
        state = "reused" if record.reused else "computed"
        print(f"{record.stage}: {state} in {record.seconds:.1f} s, {record.counts}", flush=True)
    return Prepared(bench, cluster, embed, clustered)


def timed_score(prepared: Prepared, **score: Any) -> tuple[StageRecord, float]:
    """The stage ``score``, Delta to Delta, computed anew however often it ran before. Its seed is
    part of its identity, so a new one makes it compute again; only ``rank_by: random`` uses the
    seed, so by default it computes the same.
    """
    seed = time.time_ns() // 1000 % 2**31
    job = prepared.score_job(seed=seed, **score)
    begun = time.perf_counter()
    record = run_score(job, prepared.embed, prepared.cluster)
    seconds = time.perf_counter() - begun
    if record.reused:
        raise RuntimeError("the stage score reused its last result instead of computing")
    return record, seconds
