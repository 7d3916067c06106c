"""Ours against SemHash 0.5 on the same vectors, in time and in what each finds."""

from __future__ import annotations

import os
import time
from typing import Any, Literal

import numpy as np
from bruteforce import (
    BoolArray,
    Pairs,
    Recall,
    greedily_removed,
    max_earlier,
    pairs_above,
    recall_of,
    recall_of_sets,
)
from measuring import Clock, print_repeats, print_table
from options import Options
from sparkjobs import Bench, Prepared, Scores, unit_vectors
from vectors import FloatArray, enlarge

from semdedup_spark import VectorScores, score_vectors
from semdedup_spark.pipeline import run_cluster, run_embed, run_score, run_select

EPS = (0.05, 0.01)
RECALLS: tuple[Literal["exact", "cluster"], ...] = ("exact", "cluster")
HOW = """The job goes from Delta to Delta with recall: cluster. In memory (score_vectors, eps_max
0.05) ours finds the vectors in RAM as SemHash does, and its time includes normalising, choosing k
and training, which SemHash does not need, as its time includes building its index. SemHash's
records are different strings, so that its removal of equal strings has nothing to do. Each repeat
computes all of it again (the job: cluster.tolerance differs in a digit that changes nothing)."""
RULES = """recall: share of the rows that comparing all pairs would remove, in each one's own order.
SemHash goes through its input greedily and keeps a row that is near removed rows only; SemDeDup's
rule removes it. So SemHash is also held against the greedy rule itself, applied to all pairs."""


def run(options: Options) -> dict[str, Any]:
    X = unit_vectors(enlarge(options.base(), options.n, options.seed))
    bench = options.bench("semhash")
    times: dict[str, list[float]] = {}
    for turn in range(options.repeats):
        ours, prepared = _ours(bench, options)
        local, scored = _in_memory(X, options)
        theirs, found = _semhash(X)
        clock = {**ours, **local, **theirs}
        for name, seconds in clock.items():
            times.setdefault(name, []).append(seconds)
        shown = ", ".join(f"{name} {value:.2f}" for name, value in clock.items())
        print(f"semhash, repeat {turn + 1} of {options.repeats}: {shown}", flush=True)
    _add_ratios(times)
    print(f"\n{HOW}")
    cores = os.cpu_count()
    title = options.title("ours and SemHash") + f"; SemHash takes all {cores} cores"
    print_repeats(title, times)
    with Clock("brute force for recall"):
        pairs = pairs_above(X, 1 - max(EPS) - 1e-5)
    recalls = _recalls(pairs, prepared.scores(), scored, found)
    return {"n": options.n, "times": times, "recall": recalls}


def _ours(bench: Bench, options: Options) -> tuple[dict[str, float], Prepared]:
    # A tolerance that no earlier run had makes the stage compute again.
    tolerance = 1e-4 + 1e-16 * (time.time_ns() // 1000 % 10**6)
    settings = {"n_clusters": options.k, "tolerance": tolerance}
    job = bench.job(cluster=settings, select={"eps": EPS[0]})
    embed = run_embed(job)  # only the first time
    cluster = run_cluster(job, embed)
    score = run_score(job, embed, cluster)
    clock = {"ours: cluster, s": cluster.seconds, "ours: score, s": score.seconds}
    for eps in EPS:
        select = run_select(bench.job(cluster=settings, select={"eps": eps}), embed, score)
        clock[f"ours: select eps {eps:g}, s"] = select.seconds
        if select.reused or cluster.reused or score.reused:
            raise RuntimeError("a stage reused its last result instead of computing")
    return clock, Prepared(bench, settings, embed, cluster)


def _in_memory(X: FloatArray, options: Options) -> tuple[dict[str, float], dict[str, VectorScores]]:
    clock: dict[str, float] = {}
    scores: dict[str, VectorScores] = {}
    for recall in RECALLS:
        begun = time.perf_counter()
        # All cores, as SemHash takes them.
        scored = score_vectors(X, recall=recall, eps_max=max(EPS), seed=options.seed)
        for eps in EPS:
            scored.kept(eps)
        clock[f"ours in memory: {recall}, s"] = time.perf_counter() - begun
        scores[recall] = scored
    return clock, scores


def _semhash(X: FloatArray) -> tuple[dict[str, float], dict[float, BoolArray]]:
    from semhash import SemHash

    records = [f"row {row}" for row in range(len(X))]
    begun = time.perf_counter()
    # A model would only embed records that come later.
    index = SemHash.from_embeddings(X, records, model=None)  # type: ignore[arg-type]
    clock = {"SemHash: index, s": time.perf_counter() - begun}
    removed = {}
    for eps in EPS:
        begun = time.perf_counter()
        result = index.self_deduplicate(threshold=1 - eps)
        clock[f"SemHash: deduplicate eps {eps:g}, s"] = time.perf_counter() - begun
        removed[eps] = np.zeros(len(X), dtype=np.bool_)
        removed[eps][[int(item.record.removeprefix("row ")) for item in result.filtered]] = True
    return clock, removed


def _add_ratios(times: dict[str, list[float]]) -> None:
    columns = {name: np.array(values) for name, values in times.items()}
    for eps in EPS:
        select = columns[f"ours: select eps {eps:g}, s"]
        ours = columns["ours: score, s"] + select
        theirs = columns["SemHash: index, s"] + columns[f"SemHash: deduplicate eps {eps:g}, s"]
        whole = ours + columns["ours: cluster, s"]
        for recall in RECALLS:
            mine = columns[f"ours in memory: {recall}, s"]
            times[f"SemHash / ours in memory, {recall}, eps {eps:g}"] = (theirs / mine).tolist()
        times[f"SemHash / (score + select), eps {eps:g}"] = (theirs / ours).tolist()
        times[f"SemHash / (cluster + score + select), eps {eps:g}"] = (theirs / whole).tolist()


def _recalls(
    pairs: Pairs,
    scores: Scores,
    local: dict[str, VectorScores],
    found: dict[float, BoolArray],
) -> list[dict[str, Any]]:
    in_ours, in_input = (max_earlier(pairs, rank) for rank in (scores.rank, np.arange(pairs.n)))
    lines = []
    for eps in EPS:
        mine, theirs = scores.removed(eps), found[eps]
        greedy = recall_of_sets(theirs, greedily_removed(pairs, eps))
        lines += [
            _line("the job, SemDeDup's rule", eps, mine, recall_of(mine, in_ours, eps)),
            *(
                _line(f"ours in memory, {recall}", eps, ~s, recall_of(~s, in_input, eps))
                for recall, s in ((name, one.kept(eps)) for name, one in local.items())
            ),
            _line("SemHash, SemDeDup's rule", eps, theirs, recall_of(theirs, in_input, eps)),
            _line("SemHash, the greedy rule", eps, theirs, greedy),
        ]
    print(RULES)
    title = f"what each finds; {len(pairs.i):,} pairs are above 1 - {max(EPS):g}"
    print_table(title, list(lines[0]), [list(line.values()) for line in lines])
    return lines


def _line(what: str, eps: float, removed: BoolArray, recall: Recall) -> dict[str, Any]:
    return {
        "": what,
        "eps": eps,
        "removed": int(removed.sum()),
        "should be": recall.expected,
        "recall": recall.share,
        "wrongly removed": recall.wrong,
    }
