"""Every table and column of the output, once: names, types, and what they mean.

Column comments travel into the Delta tables, so ``DESCRIBE`` explains them to whoever queries.
"""

from __future__ import annotations

EMBEDDINGS = "embeddings"
CENTROIDS = "centroids"
CLUSTERS = "clusters"
SCORES = "scores"
DEDUPLICATED = "deduplicated"
DUPLICATES = "duplicates"
ASSIGNMENT = "assignment"
PRUNING = "pruning"
PRUNED = "pruned"
QUARANTINE = "quarantine"
RUNS = "runs"
LEASES = "leases"
OVERRIDES = "overrides"
PROTECTED = "protected"
# Of a second source, that the first is compared with.
REFERENCE = "reference"
REFERENCE_QUARANTINE = "reference_quarantine"

ID = "id"
PAYLOAD = "payload"
SOURCE = "source"
BATCH = "batch"
EMBEDDING = "embedding"
CONTENT_HASH = "content_hash"
NOTE = "note"
CLUSTER_ID = "cluster_id"
CENTROID = "centroid"
CENTROID_SIMILARITY = "centroid_similarity"
RANK_KEY = "rank_key"
MAX_SIMILARITY = "max_similarity"
NEIGHBOR_ID = "neighbor_id"
EXHAUSTIVE = "exhaustive"
SURVIVOR_ID = "survivor_id"
SIMILARITY = "similarity"
SURVIVOR_SIMILARITY = "survivor_similarity"
COVERED = "covered"
COPIES = "copies"
KEPT = "kept"
STAGE = "stage"
REASON = "reason"
MESSAGE = "message"
N_ROWS = "n_rows"
SAMPLE_ROWS = "sample_rows"
MEAN_SIMILARITY = "mean_similarity"
MIN_SIMILARITY = "min_similarity"
MODEL_VERSION = "model_version"
ACTION = "action"
CHANGED_AT = "changed_at"
PROTECTED_FROM = "protected_from"
VALUE = "value"
OTHER_VALUE = "other_value"
# Actions of an override.
KEEP = "keep"
REMOVE = "remove"
# Why a row was removed.
BY_SIMILARITY = "similarity"
BY_COMPONENT = "component"
BY_OVERRIDE = "override"
# What else the table assignment says of a row; beside it stands PROTECTED.
BY_ITSELF = "kept"
QUARANTINED = "quarantined"
CELL_ID = "cell_id"
DUPLICATE_SHARE = "duplicate_share"

# Tables of which each named selection has its own.
OF_SELECTION = (DEDUPLICATED, DUPLICATES, ASSIGNMENT, PROTECTED)

COMMENTS: dict[str, dict[str, str]] = {
    EMBEDDINGS: {
        ID: "Key of the source row, in the type it came in; a file's path for files",
        EMBEDDING: "Embedding, float32, Euclidean length 1",
        CONTENT_HASH: "xxhash64 of what was embedded; with the id it tells whether a row changed",
        BATCH: "Number of the batch that brought the row; 0 is the first",
        NOTE: "What a user may want to know of the embedding, such as that it is that of an "
        "animation's first frame; null for nearly all rows",
        SOURCE: "The source row's own columns, unchanged",
    },
    CENTROIDS: {
        CLUSTER_ID: "Cluster number, from 0",
        CENTROID: "Mean direction of the cluster, float32, Euclidean length 1",
        SAMPLE_ROWS: "Rows of the training sample in this cluster",
        CELL_ID: "Group of near clusters to which this one belongs; null with one level",
        MODEL_VERSION: "Identity of the clustering: hash of settings, input and encoder",
    },
    CLUSTERS: {
        CLUSTER_ID: "Cluster number, as in centroids",
        N_ROWS: "Rows of the whole table in this cluster",
        MEAN_SIMILARITY: "Mean cosine similarity of its rows to the centroid; null without rows",
        MIN_SIMILARITY: "Least cosine similarity of its rows to the centroid; null without rows",
        DUPLICATE_SHARE: "Share of its rows that are duplicates at eps_max; null without rows",
    },
    SCORES: {
        ID: "Key of the source row",
        BATCH: "Number of the batch that brought the row; leads the rank order",
        CLUSTER_ID: "Cluster of the nearest centroid",
        CENTROID_SIMILARITY: "Cosine similarity to the own centroid",
        RANK_KEY: "Rank order is ORDER BY batch, rank_key, id; earlier rows are preferred",
        MAX_SIMILARITY: "Highest cosine similarity to any row that ranks before this one, "
        "at least 0; the row is a duplicate at eps when it is > 1 - eps",
        NEIGHBOR_ID: "The earlier row that attains max_similarity; null when it is 0",
        EXHAUSTIVE: "Whether max_similarity is certified over all clusters up to eps_max",
    },
    DUPLICATES: {
        ID: "Key of the removed row",
        NEIGHBOR_ID: "Most similar earlier row; null when there is none",
        SURVIVOR_ID: "Kept row that stands for this one; by the paper's rule the end of the chain "
        "of neighbors; null for a row that only an override removed",
        SIMILARITY: "Cosine similarity to the neighbor",
        SURVIVOR_SIMILARITY: "Cosine similarity to the survivor, computed directly",
        COVERED: "Whether survivor_similarity is itself > 1 - eps; null without a survivor",
        REASON: "Why it was removed: similarity (to its neighbor), component (linked to its "
        "survivor only through other rows), or override",
        CLUSTER_ID: "Cluster of the removed row",
    },
    ASSIGNMENT: {
        ID: "Key of the source row; null where the key of a quarantined row was null",
        KEPT: "Whether the row is in deduplicated",
        SURVIVOR_ID: "Kept row that stands for this one, itself where it is kept; null where no "
        "row does: it is in quarantine, or only an override removed it",
        SIMILARITY: "Highest cosine similarity to any row that ranks before this one, as "
        "max_similarity in scores; null in quarantine",
        SURVIVOR_SIMILARITY: "Cosine similarity to the survivor; 1 where the row is kept",
        COPIES: "How many rows a kept row stands for, itself included; null where it is not kept",
        CLUSTER_ID: "Cluster of the row; null in quarantine",
        BATCH: "Number of the batch that brought the row",
        REASON: "Why: kept, protected (kept, as select.must_agree says), override (kept or "
        "removed, as people decided), similarity, component (removed), or quarantined",
    },
    PRUNING: {
        ID: "Key of the source row",
        CLUSTER_ID: "Cluster of the nearest centroid",
        CENTROID_SIMILARITY: "Cosine similarity to the own centroid",
        KEPT: "Whether the row is in pruned",
    },
    PROTECTED: {
        ID: "Key of a row that was kept because select.must_agree protects it",
        PROTECTED_FROM: "Row that it would have been removed for",
        VALUE: "What must agree, of this row, as JSON",
        OTHER_VALUE: "The same of the other row",
    },
    OVERRIDES: {
        ID: "Key of the source row",
        ACTION: "keep: it stays in any case; remove: it goes in any case",
        REASON: "Why, in the words of who decided",
        CHANGED_AT: "When this was decided",
    },
    QUARANTINE: {
        ID: "Key of the rejected row, null where the key was null",
        STAGE: "Stage that rejected it",
        REASON: "Reason code, such as empty_text or undecodable_image",
        MESSAGE: "What was wrong, in words",
        BATCH: "Number of the batch that brought the row",
        CONTENT_HASH: "xxhash64 of what the encoder refused; null where it was not asked",
        SOURCE: "The source row's own columns, unchanged",
    },
    RUNS: {
        "run_id": "One for each invocation",
        STAGE: "embed, reference, cluster, score, select or prune; select:NAME for a named one",
        "started_at": "Start of the stage, UTC; later than in all rows before, whatever the clock",
        "seconds": "Wall time of the stage",
        "reused": "Whether an earlier run's output was still valid and nothing was computed",
        "why": "Why the stage was computed or reused, in words",
        "config": "Settings that decide the result, as JSON",
        "config_hash": "SHA-256 of config",
        "result_key": "Identity of the output: hash of config and of everything it was made from",
        "inputs": "What the stage read, and its version or fingerprint",
        "outputs": "Tables written and their Delta versions afterwards",
        "counts": "Row counts",
        "metrics": "Measured numbers, such as the objective or eps",
        "software": "Versions of the software that ran",
        "marks": "The mark of each table in outputs, as JSON, for when Delta's log forgets it",
    },
    LEASES: {
        "run_id": "Run that works on this output, or did",
        "event": "claimed, renewed or released",
        "happened_at": "When, by the clock of that run's machine, UTC",
        "holder": "Host and process number of its driver",
        "seconds": "The lease ends by itself so long after its last event",
    },
}

# Tables with the columns of another one.
SAME_COLUMNS = {REFERENCE: EMBEDDINGS, REFERENCE_QUARANTINE: QUARANTINE}

RUNS_DDL = (
    "run_id string, stage string, started_at timestamp, seconds double, reused boolean, "
    "why string, config string, config_hash string, result_key string, "
    "inputs map<string,string>, outputs map<string,bigint>, counts map<string,bigint>, "
    "metrics map<string,double>, software map<string,string>, marks map<string,string>"
)

CENTROIDS_DDL = (
    f"{CLUSTER_ID} int, {CENTROID} array<float>, {SAMPLE_ROWS} bigint, {CELL_ID} int, "
    f"{MODEL_VERSION} string"
)

CLUSTERS_DDL = (
    f"{CLUSTER_ID} int, {N_ROWS} bigint, {MEAN_SIMILARITY} double, {MIN_SIMILARITY} double, "
    f"{DUPLICATE_SHARE} double"
)

LEASES_DDL = "run_id string, event string, happened_at timestamp, holder string, seconds double"


def scores_ddl(id_type: str, rank_key_type: str) -> str:
    """List the columns of ``scores``.

    Parameters
    ----------
    id_type
        SQL type of the ids.
    rank_key_type
        SQL type of the rank keys.

    Returns
    -------
    str
        A DDL string.
    """
    return (
        f"{ID} {id_type}, {BATCH} int, {CLUSTER_ID} int, {CENTROID_SIMILARITY} float, "
        f"{RANK_KEY} {rank_key_type}, {MAX_SIMILARITY} float, {NEIGHBOR_ID} {id_type}, "
        f"{EXHAUSTIVE} boolean"
    )


def pruning_ddl(id_type: str) -> str:
    """List the columns of ``pruning``.

    Parameters
    ----------
    id_type
        SQL type of the ids.

    Returns
    -------
    str
        A DDL string.
    """
    return f"{ID} {id_type}, {CLUSTER_ID} int, {CENTROID_SIMILARITY} float, {KEPT} boolean"


def of_selection(table: str, name: str | None) -> str:
    """Name a table of a selection.

    Parameters
    ----------
    table
        Such as ``duplicates``.
    name
        Of the selection; ``None`` for the unnamed one.

    Returns
    -------
    str
        Such as ``duplicates_strict``.
    """
    return f"{table}_{name}" if name else table


def selection_stage(name: str | None) -> str:
    """Name the stage that makes a selection, as the ledger does.

    Parameters
    ----------
    name
        Of the selection; ``None`` for the unnamed one.

    Returns
    -------
    str
        ``select``, or such as ``select:strict``.
    """
    return f"select:{name}" if name else "select"


def quoted(name: str) -> str:
    """Put a name between backticks, so that SQL and ``F.col`` take any name.

    Parameters
    ----------
    name
        Of a column.

    Returns
    -------
    str
        The quoted name.
    """
    return "`" + name.replace("`", "``") + "`"
