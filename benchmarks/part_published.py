"""The stage ``score`` against SemDeDup as published, run in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import print_repeats, print_table
from options import Options
from published import PublishedProcess
from sparkjobs import Prepared, timed_score, unit_vectors
from vectors import enlarge

HOW = """ours reads the vectors from Delta and writes scores and neighbors to Delta, computed again
in each repeat; theirs finds the vectors in RAM as a numpy array, and leaves an array: it pays for
no reading and no writing. Same vectors, same centroids, {cores} threads each, in turns."""


def run(options: Options) -> dict[str, Any]:
    prepared = options.prepared()
    ours, theirs, assign = [], [], []
    with tempfile.TemporaryDirectory(dir=options.cache) as folder:
        child = _start(options, prepared, Path(folder))
        for turn in range(options.repeats):
            ours.append(timed_score(prepared)[1])
            answer = child.run()
            theirs.append(answer.seconds)
            assign.append(answer.assign_seconds)
            shown = f"ours {ours[-1]:.2f} s, theirs {theirs[-1]:.2f} s"
            print(f"published, repeat {turn + 1} of {options.repeats}: {shown}", flush=True)
        child.close()
        published = np.load(Path(folder) / "scores.npy")
    print(f"\n{HOW.format(cores=options.cores)}")
    measures = {
        "ours, s": ours,
        "theirs, s": theirs,
        "theirs, assignment alone, s": assign,
        "ours / theirs": [a / b for a, b in zip(ours, theirs, strict=True)],
    }
    print_repeats(options.title("ours and the published procedure"), measures)
    ratios = {
        "of the minima": min(ours) / min(theirs),
        "of the medians": float(np.median(ours) / np.median(theirs)),
    }
    print_table("ours / theirs", ["", "ratio"], list(ratios.items()))
    agreement = _agreement(prepared, published, options.eps)
    return {"n": options.n, "k": options.k, **measures, "ratios": ratios, "agreement": agreement}


def _start(options: Options, prepared: Prepared, folder: Path) -> PublishedProcess:
    X, centroids = folder / "vectors.npy", folder / "centroids.npy"
    np.save(X, unit_vectors(enlarge(options.base(), options.n, options.seed)))
    np.save(centroids, prepared.centroids())
    return PublishedProcess(X, centroids, folder / "scores.npy", threads=options.cores)


def _agreement(prepared: Prepared, published: np.ndarray, eps: float) -> dict[str, int]:
    """Which of two equal vectors is the duplicate is a matter of order: of equal similarities to
    the centroid the lower id goes first in ours, any in theirs. So counts agree, not every row.
    """
    mine = prepared.scores().removed(eps)
    other = published.astype(np.float64) > 1 - eps
    counts = {
        "ours": int(mine.sum()),
        "theirs": int(other.sum()),
        "decided differently": int((mine != other).sum()),
    }
    print_table(f"rows with M > 1 - {eps:g}", ["", "rows"], list(counts.items()))
    return counts
