"""What a stage counts and measures: every name in `counts` and `metrics` of the table `runs`.

The reference page of the tables shows them, and the terminal prints counts in this order.
"""

from __future__ import annotations

COUNTS = {
    "read": "rows of the source",
    "embedded": "rows that have a vector",
    "embedded_distinct": "different contents among them",
    "reused": "rows whose vector is from an earlier run",
    "encoded": "contents that the encoder was given in this run",
    "rows": "rows of `embeddings`",
    "sample_rows": "rows that k-means was trained on",
    "n_clusters_wanted": "k as configured, or as `auto` chose it",
    "n_clusters": "clusters that there are; fewer than wanted where fewer contents differ",
    "levels": "2 where clusters of clusters were trained first, see `cluster.levels`",
    "units": "pieces that the comparing was cut into; one task compares one at a time",
    "targets": "rows that had to be scored; the scores of the others are those of an earlier run",
    "gone": "rows that were scored before and are no longer there",
    "comparisons": "pairs of vectors whose cosine was computed",
    "probes": "visits of a row to a cluster that is not its own, see `score.recall`",
    "kept": "rows that the selection keeps",
    "removed": "rows that it removes",
    "quarantined": "rows that could not be read or embedded",
    "uncovered": "removed rows that are not over 1 - eps similar to the kept row that stands for "
    "them; rows in between are",
    "protected": "rows that `select.must_agree` or a pair of `never_merge` saved",
    "unsearched": "rows for which it would cost too much to look for another row that they may go "
    "for; they stay",
    "review": "kept rows between `select.eps` and `select.review`",
    "golden": "pairs of `select.golden` that were checked",
    "golden_absent": "pairs of it of which a row is not there",
    "erased": "rows that `semdedup forget` took out and the source still has",
    "has_id": "1 where the source has an id of its own",
    "unique_ids": "1 where no two rows of the source have one id",
    "schema": "checksum of the names and types of the source's columns",
    "dimension": "numbers in a vector",
}
METRICS = {
    "objective": "mean cosine of the training rows to their centroids (spherical k-means); higher "
    "is better",
    "objective_NN": "the same after NN iterations",
    "iterations": "iterations of k-means",
    "sample_share": "share of the rows that k-means was trained on",
    "exhaustive_share": "share of the rows that no duplicate can have been missed of",
    "certified_share": "a lower bound of recall at `eps_max`",
    "cost_drift": "cost of comparing the rows with these centroids, over that with new ones",
    "rows_p50": "rows of a cluster, median",
    "rows_p99": "99 of 100 clusters have fewer rows",
    "rows_max": "rows of the largest cluster",
    "clusters_of_0": "clusters without a row",
    "clusters_of_1eN": "clusters with at least 10^N rows and fewer than 10^(N+1)",
    "imbalance": "how unequal clusters are: comparisons within them over those within equal ones",
    "eps": "the threshold of the selection",
    "background_mean": "mean cosine of random pairs of rows",
    "background_p999": "1 in 1,000 random pairs is more similar",
}
