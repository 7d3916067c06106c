"""Small job configurations and inputs for whole-job tests."""

from __future__ import annotations

import json

from semdedup_spark import open_job, parse_config, run_job
from semdedup_spark.pipeline import held_output, run_cluster, run_embed, run_score
from tests import planted

near_duplicates = planted.near_duplicates


def vectors_job(output, source, *, form="delta", **stages):
    """A job over ready-made vectors with the key ``doc``."""
    return parse_config(
        {
            "output": str(output),
            "source": {
                "kind": "vectors",
                "format": form,
                "path": str(source),
                "id": "doc",
                "content": "v",
            },
            "embed": {"encoder": "none"},
            "cluster": {"n_clusters": 5},
            **stages,
        }
    )


def run(spark, config, **options):
    return run_job(open_job(spark, config, **options))


def scored(spark, config):
    """The records of the stages up to the scores, where nobody looks at what is then selected."""
    job = open_job(spark, config)
    with held_output(job):
        embed = run_embed(job)
        cluster = run_cluster(job, embed)
        return [embed, cluster, run_score(job, embed, cluster)]


def write_vectors(spark, path, X, *, files=1, order=None, ids=None, note="note"):
    ids = ids or [f"row-{i:05d}" for i in range(len(X))]
    rows = [
        (ids[i], [float(v) for v in X[i]], f"{note} {i}")
        for i in (order if order is not None else range(len(X)))
    ]
    df = spark.createDataFrame(rows, "doc string, v array<double>, note string")
    df.repartition(files).write.format("delta").mode("overwrite").save(str(path))


def table(spark, output, name):
    return spark.read.format("delta").load(f"{output}/{name}")


def rows_of(spark, output, name, order="id"):
    return sorted((tuple(r) for r in table(spark, output, name).collect()), key=str)


def write_jsonl(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
