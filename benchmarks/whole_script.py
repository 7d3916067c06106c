"""What somebody without this package would write: all in memory, one cluster after the other.

As a program: reads Parquet, trains k-means (faiss, 10 iterations), compares the rows of each
cluster (torch), writes the kept rows as Parquet. Prints one line of
JSON: rows kept, seconds of each part.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_POINTS_PER_CENTROID = 256


@click.command(help=__doc__)
@click.option("--source", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--output", type=click.Path(path_type=Path), required=True)
@click.option("--k", type=int, required=True)
@click.option("--eps", type=float, required=True)
def main(source: Path, output: Path, k: int, eps: float) -> None:
    import faiss
    import torch

    seconds, begun = dict[str, float](), time.perf_counter()

    def lap(name: str) -> None:
        nonlocal begun
        now = time.perf_counter()
        seconds[name], begun = now - begun, now

    table = pq.read_table(source)
    vectors = table["v"].combine_chunks()
    X = vectors.values.to_numpy().reshape(len(vectors), -1)
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    lap("read")
    sample = X[np.random.default_rng(0).permutation(len(X))[: _POINTS_PER_CENTROID * k]]
    means = faiss.Kmeans(X.shape[1], k, niter=10, spherical=True, seed=0)
    means.train(sample)
    lap("k-means")
    similarity, nearest = (found[:, 0] for found in means.index.search(X, 1))
    order = np.lexsort((similarity, nearest))  # in a cluster the farthest row first, as published
    kept = np.ones(len(X), dtype=bool)
    for members in np.split(order, np.flatnonzero(np.diff(nearest[order])) + 1):
        rows = torch.from_numpy(X[members])
        earlier = torch.triu(rows @ rows.T, diagonal=1).max(dim=0).values
        kept[members] = earlier.numpy() <= 1 - eps
    lap("assign and compare")
    output.mkdir(parents=True)
    pq.write_table(table.filter(pa.array(kept)), output / "kept.parquet", compression="zstd")
    lap("write")
    print(json.dumps({"kept": int(kept.sum()), "seconds": seconds}))


if __name__ == "__main__":
    main()
