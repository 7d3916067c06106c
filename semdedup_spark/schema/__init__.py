"""Every table and column of the output, once: names and types; ``comments`` says what they mean."""

from __future__ import annotations

EMBEDDINGS = "embeddings"
CENTROIDS = "centroids"
CLUSTERS = "clusters"
SCORES = "scores"
DEDUPLICATED = "deduplicated"
# Clones of the source that leave rows out, which take turns.
CLONED = "cloned"
DUPLICATES = "duplicates"
ASSIGNMENT = "assignment"
PRUNING = "pruning"
PRUNED = "pruned"
QUARANTINE = "quarantine"
RUNS = "runs"
LEASES = "leases"
OVERRIDES = "overrides"
VERDICTS = "verdicts"
NEVER_MERGE = "never_merge"
ALSO_MERGE = "also_merge"
PROTECTED = "protected"
REVIEW = "review"
# Of a second source, that the first is compared with.
REFERENCE = "reference"
REFERENCE_QUARANTINE = "reference_quarantine"

ID = "id"
PAYLOAD = "payload"
SOURCE = "source"
BATCH = "batch"
EMBEDDING = "embedding"
CONTENT_HASH = "content_hash"
ROW_HASH = "row_hash"
ORDER_HASH = "order_hash"
RANK_TERMS = "rank_terms"
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
# What stands in place of a stage in the row of a run that failed.
FAILED = "failed"
REASON = "reason"
MESSAGE = "message"
N_ROWS = "n_rows"
SAMPLE_ROWS = "sample_rows"
MEAN_SIMILARITY = "mean_similarity"
MIN_SIMILARITY = "min_similarity"
MODEL_VERSION = "model_version"
ACTION = "action"
CHANGED_AT = "changed_at"
JUDGEMENT = "judgement"
REVIEWER = "reviewer"
JUDGED_AT = "judged_at"
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
BY_VERDICT = "verdict"
# What else the table assignment says of a row; beside it stands PROTECTED.
BY_ITSELF = "kept"
QUARANTINED = "quarantined"
# A count of the stage embed: rows erased from its tables. Absent where none were erased.
ERASED = "erased"
CELL_ID = "cell_id"
DUPLICATE_SHARE = "duplicate_share"

# Tables that commands of people write, and no stage.
BY_PEOPLE = (OVERRIDES, VERDICTS, NEVER_MERGE, ALSO_MERGE)
# Those of them that hold pairs of rows.
OF_PAIRS = (VERDICTS, NEVER_MERGE, ALSO_MERGE)
# Tables of which each named selection has its own.
OF_SELECTION = (DEDUPLICATED, DUPLICATES, ASSIGNMENT, PROTECTED, REVIEW)

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


def clones_of(name: str | None) -> tuple[str, str]:
    """Name the two clones of a selection. No selection has a name that makes one of them twice.

    Parameters
    ----------
    name
        Of the selection; ``None`` for the unnamed one.

    Returns
    -------
    tuple[str, str]
        Such as ``cloned_strict_1`` and ``cloned_strict_2``.
    """
    table = of_selection(CLONED, name)
    return f"{table}_1", f"{table}_2"


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
