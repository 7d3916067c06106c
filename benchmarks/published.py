"""SemDeDup as published, in memory: the nearest centroid by exact search, then algorithm 1 of
Abbas et al. 2023 (arXiv 2303.09540) on each cluster. Written from the paper.

As a program: loads the vectors and centroids into RAM, prints ``ready``, and for each line it reads
computes once and prints one line of JSON. With ``--limit-gib`` its own memory is limited first.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

FloatArray = npt.NDArray[np.float32]


def published_scores(X: FloatArray, centroids: FloatArray) -> tuple[FloatArray, float]:
    """(highest similarity of each row to a row that ranks before it in its cluster, seconds of the
    assignment). ``X``: (n, d), ``centroids``: (k, d), float32, unit rows.
    """
    import faiss
    import torch

    begun = time.perf_counter()
    index = faiss.IndexFlatIP(X.shape[1])
    index.add(centroids)
    similarity, nearest = (found[:, 0] for found in index.search(X, 1))
    assigned = time.perf_counter() - begun
    scores = np.zeros(len(X), dtype=np.float32)
    # Rows in order of cluster, and in a cluster the lowest similarity to the centroid first.
    order = np.lexsort((similarity, nearest))
    borders = np.flatnonzero(np.diff(nearest[order])) + 1
    for members in np.split(order, borders):
        vectors = torch.from_numpy(X[members])
        pairs = torch.triu(vectors @ vectors.T, diagonal=1)
        scores[members] = pairs.max(dim=0).values.numpy()
    return scores, assigned


@dataclass(frozen=True)
class PublishedRun:
    seconds: float
    assign_seconds: float


class PublishedProcess:
    """The program below as a child process that keeps the vectors in RAM between runs."""

    def __init__(self, X: Path, centroids: Path, scores: Path, *, threads: int) -> None:
        paths = [f"--vectors={X}", f"--centroids={centroids}", f"--scores={scores}"]
        options = [f"--threads={threads}"]
        self._child = subprocess.Popen(
            [sys.executable, __file__, *paths, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def run(self) -> PublishedRun:
        assert self._child.stdin is not None
        self._child.stdin.write("go\n")
        self._child.stdin.flush()
        return PublishedRun(**json.loads(self._answer()))

    def close(self) -> None:
        self._child.communicate()

    def _answer(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the published procedure ended with {self._child.wait()}")
        return line


def try_within(vectors: Path, centroids: Path, *, threads: int, limit_gib: float) -> dict[str, Any]:
    """Load and run once in a process of limited memory; what happened, in words and numbers."""
    command = [sys.executable, __file__, f"--vectors={vectors}", f"--centroids={centroids}"]
    options = [f"--threads={threads}", f"--limit-gib={limit_gib}", "--once"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    last_error = (done.stderr.strip().splitlines() or [""])[-1]
    return {
        "exit_code": done.returncode,
        "finished": bool(lines),
        "said": lines[-1] if lines else last_error,
    }


def load_vectors(path: Path) -> FloatArray:
    """An .npy file, or a directory of Parquet files with a column v of equally long lists."""
    if path.is_file():
        X: FloatArray = np.load(path)
        return X
    files = sorted(path.glob("*.parquet"))
    n = sum(pq.read_metadata(file).num_rows for file in files)
    d = len(next(pq.ParquetFile(files[0]).iter_batches(1, columns=["v"])).column(0)[0])
    X, first = np.empty((n, d), dtype=np.float32), 0
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(columns=["v"]):
            flat = batch.column(0).flatten().to_numpy()
            X[first : first + batch.num_rows] = flat.reshape(-1, d)
            first += batch.num_rows
    return X


@click.command()
@click.option("--vectors", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--centroids", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--threads", type=int, required=True)
@click.option("--scores", "scores_path", type=click.Path(path_type=Path), help=".npy to write")
@click.option("--limit-gib", type=float, help="limit of the data segment (RLIMIT_DATA)")
@click.option("--once", is_flag=True, help="compute once without being asked")
def main(
    vectors: Path,
    centroids: Path,
    threads: int,
    scores_path: Path | None,
    limit_gib: float | None,
    once: bool,
) -> None:
    """Serve runs of the published procedure over standard input and output."""
    import faiss
    import torch

    if limit_gib is not None:
        limit = int(limit_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    faiss.omp_set_num_threads(threads)
    torch.set_num_threads(threads)
    C, X = np.load(centroids), load_vectors(vectors)
    print("ready", flush=True)
    for _ in ["once"] if once else sys.stdin:
        begun = time.perf_counter()
        scores, assigned = published_scores(X, C)
        answer = {"seconds": time.perf_counter() - begun, "assign_seconds": assigned}
        if scores_path is not None:
            np.save(scores_path, scores)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
