"""What all parts of ``score.py`` are told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sparkjobs import Bench, Prepared, cached_source, enlarged_source, prepare, session
from vectors import FloatArray, base_vectors


@dataclass(frozen=True)
class Options:
    """``n`` rows, ``k`` clusters; ``cores``: task slots of Spark, and threads in total of whatever
    it is compared with; ``cache``: vectors, sources and tables stay here between runs;
    ``storage``: of the embeddings, as in ``embed.storage``.
    """

    n: int
    k: int
    repeats: int
    cores: int
    cache: Path
    data: Path
    seed: int = 0
    eps: float = 0.05
    memory_gib: float = 4.0
    storage: str = "array"

    def base(self) -> FloatArray:
        return base_vectors(self.cache, self.data)

    def bench(self, name: str, extra: dict[str, str] | None = None) -> Bench:
        """A session, the source of n vectors, and a place for the tables of one benchmark."""
        spark = session(self.cores, extra)
        source = enlarged_source(spark, self.cache, self.base(), self.n, self.seed)
        tables = self._tables(f"{name}-{self.n}-{self.seed}")
        return Bench(spark, source, tables, self.storage)

    def prepared(self) -> Prepared:
        """Embedded and clustered; shared by the parts that only score."""
        return prepare(self.bench(f"score-{self.k}"), {"n_clusters": self.k})

    def title(self, what: str) -> str:
        return f"{what}: {self.n:,} x 384, k = {self.k:,}, {self.cores} task slots"

    def vectors_bench(self, name: str, X: FloatArray, extra: dict[str, str]) -> Bench:
        """The same over vectors that are at hand."""
        spark = session(self.cores, extra)
        path = self.cache / "sources" / f"{name}-{len(X)}-{self.seed}"
        source = cached_source(spark, path, np.array_split(X, 8))
        return Bench(spark, source, self._tables(path.name), self.storage)

    def _tables(self, name: str) -> Path:
        packed = "" if self.storage == "array" else f"-{self.storage}"
        return self.cache / "tables" / f"{name}{packed}"
