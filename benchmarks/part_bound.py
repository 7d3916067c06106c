"""The stage ``score`` against the time that its matrix products alone would take."""

from __future__ import annotations

from typing import Any

from measuring import print_repeats, sgemm_rate
from options import Options
from sparkjobs import timed_score

HOW = """each repeat computes the whole stage again (new score.seed; same embeddings and centroids)
rate: {cores} processes x 1 BLAS thread, 2048 x d by d x 2048, best product, before and after
bound_assign = 2 n k d / rate, bound_score = sum(n_c^2) d / rate (each pair of a cluster once)"""


def run(options: Options) -> dict[str, Any]:
    prepared = options.prepared()
    d = prepared.centroids().shape[1]
    repeats = []
    for turn in range(options.repeats):
        before = sgemm_rate(options.cores, d)
        record, seconds = timed_score(prepared)
        rate = max(before, sgemm_rate(options.cores, d))
        sizes = prepared.cluster_rows()
        flop_assign = 2.0 * options.n * len(sizes) * d
        flop_score = float(sum(size * size for size in sizes)) * d
        repeats.append(_ratios(seconds, rate, flop_assign, flop_score))
        shown = ", ".join(f"{name} {value:.3g}" for name, value in repeats[-1].items())
        print(f"bound, repeat {turn + 1} of {options.repeats}: {shown}", flush=True)
    print(f"\n{HOW.format(cores=options.cores)}")
    print(f"units {record.counts.get('units')}, largest cluster {max(sizes):,} rows")
    measures = {name: [repeat[name] for repeat in repeats] for name in repeats[0]}
    print_repeats(options.title("score over its bound"), measures)
    return {"n": options.n, "k": len(sizes), "cores": options.cores, "repeats": repeats}


def _ratios(seconds: float, rate: float, flop_assign: float, flop_score: float) -> dict[str, float]:
    assign, score = flop_assign / rate, flop_score / rate
    return {
        "GFLOP/s": rate / 1e9,
        "stage, s": seconds,
        "bound_assign, s": assign,
        "bound_score, s": score,
        "stage / (bound_assign + bound_score)": seconds / (assign + score),
        "(stage - bound_assign) / bound_score": (seconds - assign) / score,
    }
