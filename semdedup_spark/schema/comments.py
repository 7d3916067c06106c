"""What every table and column means.

These comments travel into the Delta tables, so ``DESCRIBE`` explains them to whoever queries.
"""

from __future__ import annotations

from semdedup_spark import schema as s

COMMENTS: dict[str, dict[str, str]] = {
    s.EMBEDDINGS: {
        s.ID: "Key of the source row, in the type it came in; a file's path for files",
        s.EMBEDDING: "Embedding, float32, Euclidean length 1",
        s.CONTENT_HASH: "xxhash64 of what was embedded; with the id it tells whether a row changed",
        s.BATCH: "Number of the batch that brought the row; 0 is the first",
        s.NOTE: "What a user may want to know of the embedding, such as that it is that of an "
        "animation's first frame; null for nearly all rows",
        s.ROW_HASH: "Hash of the source row's own columns beyond what content_hash covers",
        s.ORDER_HASH: "Hash of what score.rank_by saw of the source row; 0 for a built-in order",
        s.RANK_TERMS: "Values of the terms of score.rank_by, where it is an SQL order",
        s.SOURCE: "The source row's own columns, unchanged; not there where they are "
        "read from the source (embed.copy_source)",
    },
    s.CENTROIDS: {
        s.CLUSTER_ID: "Cluster number, from 0",
        s.CENTROID: "Mean direction of the cluster, float32, Euclidean length 1",
        s.SAMPLE_ROWS: "Rows of the training sample in this cluster",
        s.CELL_ID: "Group of near clusters to which this one belongs; null with one level",
        s.MODEL_VERSION: "Identity of the clustering: hash of settings, input and encoder",
    },
    s.CLUSTERS: {
        s.CLUSTER_ID: "Cluster number, as in centroids",
        s.N_ROWS: "Rows of the whole table in this cluster",
        s.MEAN_SIMILARITY: "Mean cosine similarity of its rows to the centroid; null without rows",
        s.MIN_SIMILARITY: "Least cosine similarity of its rows to the centroid; null without rows",
        s.DUPLICATE_SHARE: "Share of its rows that are duplicates at eps_max; null without rows",
    },
    s.SCORES: {
        s.ID: "Key of the source row",
        s.BATCH: "Number of the batch that brought the row; leads the rank order",
        s.CLUSTER_ID: "Cluster of the nearest centroid",
        s.CENTROID_SIMILARITY: "Cosine similarity to the own centroid",
        s.RANK_KEY: "Rank order is ORDER BY batch, rank_key, id; earlier rows are preferred",
        s.MAX_SIMILARITY: "Highest cosine similarity to any row that ranks before this one, "
        "at least 0; the row is a duplicate at eps when it is > 1 - eps",
        s.NEIGHBOR_ID: "The earlier row that attains max_similarity; null when it is 0",
        s.EXHAUSTIVE: "Whether max_similarity is certified over all clusters up to eps_max",
    },
    s.DUPLICATES: {
        s.ID: "Key of the removed row",
        s.NEIGHBOR_ID: "Most similar earlier row; null when there is none",
        s.SURVIVOR_ID: "Kept row that stands for this one; by the paper's rule the end of the "
        "chain of neighbors; null for a row that only an override removed",
        s.SIMILARITY: "Cosine similarity to the neighbor",
        s.SURVIVOR_SIMILARITY: "Cosine similarity to the survivor, computed directly",
        s.COVERED: "Whether survivor_similarity is itself > 1 - eps; null without a survivor",
        s.REASON: "Why it was removed: similarity (to its neighbor), component (linked to its "
        "survivor only through other rows), override, or verdict (of people, on a row of review)",
        s.CLUSTER_ID: "Cluster of the removed row",
    },
    s.ASSIGNMENT: {
        s.ID: "Key of the source row; null where the key of a quarantined row was null",
        s.KEPT: "Whether the row is in deduplicated",
        s.SURVIVOR_ID: "Kept row that stands for this one, itself where it is kept; null where no "
        "row does: it is in quarantine, or only an override removed it",
        s.SIMILARITY: "Highest cosine similarity to any row that ranks before this one, as "
        "max_similarity in scores; null in quarantine",
        s.SURVIVOR_SIMILARITY: "Cosine similarity to the survivor; 1 where the row is kept",
        s.COPIES: "How many rows a kept row stands for, itself included; null where it is not kept",
        s.CLUSTER_ID: "Cluster of the row; null in quarantine",
        s.BATCH: "Number of the batch that brought the row",
        s.REASON: "Why: kept, protected (kept, as select.must_agree or a pair of never_merge "
        "says), override (kept or removed, as people decided), similarity, component, verdict "
        "(removed), or quarantined",
    },
    s.PRUNING: {
        s.ID: "Key of the source row",
        s.CLUSTER_ID: "Cluster of the nearest centroid",
        s.CENTROID_SIMILARITY: "Cosine similarity to the own centroid",
        s.KEPT: "Whether the row is in pruned",
    },
    s.PROTECTED: {
        s.ID: "Key of a row that was kept because select.must_agree or a pair of never_merge "
        "protects it",
        s.PROTECTED_FROM: "Row that it would have been removed for",
        s.VALUE: "What must agree, of this row, as JSON; null where a pair of never_merge saved it",
        s.OTHER_VALUE: "The same of the other row",
    },
    s.REVIEW: {
        s.ID: "Key of a kept row: an earlier row is similar enough for select.review, not for eps",
        s.NEIGHBOR_ID: "That earlier row",
        s.SURVIVOR_ID: "Kept row that stands for that one, and would stand for this one: the row "
        "to compare it with",
        s.SIMILARITY: "Cosine similarity to the neighbor",
        s.SURVIVOR_SIMILARITY: "Cosine similarity to the survivor, computed directly",
        s.COVERED: "Whether survivor_similarity is itself > 1 - review",
        s.CLUSTER_ID: "Cluster of the row",
    },
    s.OVERRIDES: {
        s.ID: "Key of the source row",
        s.ACTION: "keep: it stays in any case; remove: it goes in any case",
        s.REASON: "Why, in the words of who decided",
        s.CHANGED_AT: "When this was decided",
    },
    s.VERDICTS: {
        s.ID: "Key of a row that was removed, or in review, when it was judged",
        s.SURVIVOR_ID: "Row that it was shown with: the kept row that stood for it",
        s.JUDGEMENT: "duplicate: it is one of that row; not: it is none; skip: nobody can say",
        s.REVIEWER: "Who judged",
        s.JUDGED_AT: "When, UTC; of two verdicts of a reviewer the newer one counts",
    },
    s.NEVER_MERGE: {
        s.ID: "Key of a row",
        s.SURVIVOR_ID: "Row that must not stand for it; another one may",
        s.REASON: "Why, in words",
        s.CHANGED_AT: "When this was decided",
    },
    s.ALSO_MERGE: {
        s.ID: "Key of a row",
        s.SURVIVOR_ID: "Row that it is a duplicate of: where review would list this pair, the row "
        "is removed",
        s.REASON: "Why, in words",
        s.CHANGED_AT: "When this was decided",
    },
    s.QUARANTINE: {
        s.ID: "Key of the rejected row, null where the key was null",
        s.STAGE: "Stage that rejected it",
        s.REASON: "Reason code, such as empty_text or undecodable_image",
        s.MESSAGE: "What was wrong, in words",
        s.BATCH: "Number of the batch that brought the row",
        s.CONTENT_HASH: "xxhash64 of what the encoder refused; null where it was not asked",
        s.SOURCE: "The source row's own columns, unchanged",
    },
    s.RUNS: {
        "run_id": "Name of the run, from --run-id or the time. Tries of one run share it",
        s.STAGE: "embed, reference, cluster, score, select, select:NAME, prune; failed: the run",
        "started_at": "Start of the stage, UTC; later than in all rows before, whatever the clock",
        "seconds": "Wall time of the stage",
        "reused": "Whether an earlier run's output was still valid and nothing was computed",
        "why": "Why the stage was computed or reused, in words; what a run failed of",
        "config": "Settings that decide the result, as JSON",
        "config_hash": "SHA-256 of config",
        "result_key": "Identity of the output: hash of config and of everything it was made from",
        "inputs": "What the stage read, and its version or fingerprint",
        "outputs": "Tables written and their Delta versions afterwards",
        "counts": "Numbers of rows and of other things, by name",
        "metrics": "Measured numbers, such as the objective or eps",
        "software": "Versions of the software that ran",
        "marks": "The mark of each table in outputs, as JSON, for when Delta's log forgets it",
    },
    s.LEASES: {
        "run_id": "Run that works on this output, or did",
        "event": "claimed, renewed or released",
        "happened_at": "When, by the clock of that run's machine, UTC",
        "holder": "Host and process number of its driver",
        "seconds": "The lease ends by itself so long after its last event",
    },
}

# Tables with the columns of another one.
SAME_COLUMNS = {s.REFERENCE: s.EMBEDDINGS, s.REFERENCE_QUARANTINE: s.QUARANTINE}
