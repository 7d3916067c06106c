"""Two small jobs, of vectors and of texts, whose tables must be the same on every Spark.

`python -m tests.jobs.same_tables` writes what they say on the installed one to same_tables.json.
`make test-spark` compares each of the others with it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark import open_job, open_session, parse_config, run_job
from tests.planted import near_duplicates

WRITTEN = Path(__file__).with_suffix(".json")
TABLES = (
    "embeddings",
    "centroids",
    "clusters",
    "scores",
    "deduplicated",
    "duplicates",
    "assignment",
    "quarantine",
    "runs",
)
# Times, places, and hashes of them.
_OF_THE_RUN = ("run_id", "started_at", "seconds", "why", "config", "config_hash", "result_key")
_LEFT_OUT = {*_OF_THE_RUN, "inputs", "outputs", "software", "marks", "metrics", "model_version"}
_NUMBERS = 8  # of a vector, that stand for all of it
_SUBJECTS = ("The harbour", "A violin", "The comet", "Her grandmother", "The printer", "Basalt")
_ENDS = (
    "was closed for two days after the storm.",
    "needs more care than most people think.",
    "is described in the third chapter of the book.",
    "appeared again in the spring of 1986.",
)


def _vectors_job(root):
    X = near_duplicates(60)
    X[9] = 0.0
    rows = {"doc": [2**60 + i for i in range(len(X))], "v": [*X[:-1].tolist(), None]}
    pq.write_table(pa.table(rows), root / "vectors.parquet")
    return {
        "output": str(root / "vectors"),
        "source": {
            "kind": "vectors",
            "format": "parquet",
            "path": str(root / "vectors.parquet"),
            "id": "doc",
            "content": "v",
        },
        "embed": {"encoder": "none"},
        "cluster": {"n_clusters": 4},
    }


def _texts_job(root):
    texts = [f"{subject} {end}" for subject in _SUBJECTS for end in _ENDS]
    texts += [text.replace(".", " !") for text in texts[::3]] + [texts[4].upper(), texts[7], " "]
    lines = [json.dumps({"doc": f"text-{i:02d}", "text": text}) for i, text in enumerate(texts)]
    (root / "texts.jsonl").write_text("\n".join(lines) + "\n")
    return {
        "output": str(root / "texts"),
        "source": {
            "kind": "text",
            "format": "jsonl",
            "path": str(root / "texts.jsonl"),
            "id": "doc",
            "content": "text",
        },
        "embed": {"encoder": "minilm"},
        "score": {"recall": "exact", "rank_by": "length(text) DESC"},
        "select": {"eps": 0.1},
    }


JOBS = {"vectors": _vectors_job, "texts": _texts_job}


def tables_of(spark, kind, root):
    """Run a job. Its tables by name: the types of the columns, and the rows in a fixed order."""
    config = parse_config(JOBS[kind](root))
    run_job(open_job(spark, config))
    return {name: content(spark, f"{config.output}/{name}") for name in TABLES}


def content(spark, path):
    """A table: the types of its columns, and its rows in a fixed order."""
    frame = spark.read.format("delta").load(path)
    named = [name for name in frame.columns if name not in _LEFT_OUT]
    rows = [[_plain(row[name]) for name in named] for row in frame.collect()]
    return {"types": dict(frame.dtypes), "columns": named, "rows": sorted(rows, key=json.dumps)}


def _plain(value):
    if isinstance(value, float):
        return round(value, 7)
    if isinstance(value, (bytes, bytearray)):  # Spark 3.5 gives the latter
        return bytes(value).hex()
    if isinstance(value, list):
        return [_plain(each) for each in value[:_NUMBERS]]
    if hasattr(value, "asDict"):
        value = value.asDict()
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    return value


def differences(found, written, place=""):
    """Where two contents differ by more than processors do."""
    if isinstance(found, float) and isinstance(written, (int, float)):
        return [] if math.isclose(found, written, abs_tol=2e-6) else [(place, found, written)]
    if isinstance(found, dict) and isinstance(written, dict) and found.keys() == written.keys():
        pairs = [(key, found[key], written[key]) for key in found]
    elif isinstance(found, list) and isinstance(written, list) and len(found) == len(written):
        pairs = [(i, one, other) for i, (one, other) in enumerate(zip(found, written, strict=True))]
    else:
        return [] if found == written else [(place, found, written)]
    return [d for key, a, b in pairs for d in differences(a, b, f"{place}/{key}")]


def _as_lines(contents):
    """JSON with one row a line."""
    return _block(
        contents,
        lambda tables: _block(
            tables,
            lambda table: _block(
                table, lambda part: json.dumps(part) if isinstance(part, dict) else _rows(part)
            ),
        ),
    )


def _block(pairs, write):
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {write(pairs[key])}" for key in pairs) + "\n}"


def _rows(rows):
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]"


def main():
    spark = open_session()
    with TemporaryDirectory() as root:
        contents = {kind: tables_of(spark, kind, Path(root)) for kind in JOBS}
    spark.stop()
    WRITTEN.write_text(_as_lines(contents) + "\n")


if __name__ == "__main__":
    main()
