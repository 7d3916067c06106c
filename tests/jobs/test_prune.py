"""Pruning by cluster as a job: quotas, alignment, and that partitions do not matter."""

from __future__ import annotations

import io
import json
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdedup_spark import open_job
from semdedup_spark.cli import cli
from semdedup_spark.datasets import load_images
from semdedup_spark.kernels.pruning import prune_clusters
from semdedup_spark.kernels.quotas import cluster_quotas
from semdedup_spark.kernels.statistics.cramers_v import cramers_v
from semdedup_spark.pipeline import run_prune, run_pruning_job
from tests.jobs.jobfiles import near_duplicates, rows_of, table, vectors_job, write_vectors
from tests.test_datasets import write_idx

JOBS = Path(__file__).parents[2] / "jobs"
N = 203


def prune(spark, config, *, only=False):
    return (run_prune if only else run_pruning_job)(open_job(spark, config))


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A finished job over N vectors, as the most similar quarter of each cluster."""
    root = tmp_path_factory.mktemp("lake")
    write_vectors(spark, root / "source", near_duplicates(N))
    rule = {"ratio": 25, "rank_type": "cossim", "prune_type": "common"}
    config = vectors_job(root / "out", root / "source", prune=rule)
    return root, config, prune(spark, config)


@pytest.fixture(scope="module")
def chosen(spark, lake):
    """Rows of ``pruning`` with the seeded hash, in the order of their ids."""
    rows = table(spark, lake[0] / "out", "pruning")
    return rows.selectExpr("*", "xxhash64(0, id) AS key").orderBy("id").toPandas()


def test_each_cluster_keeps_its_quarter_rounded_up(lake, chosen):
    sizes = chosen.groupby("cluster_id").size()
    kept = chosen[chosen["kept"]].groupby("cluster_id").size()
    assert kept.to_list() == cluster_quotas(sizes.to_numpy(), 25).tolist()
    counts = lake[2].counts
    assert counts["kept"] == kept.sum()
    assert counts["kept"] + counts["removed"] == counts["read"] == N


def test_the_rank_is_the_true_cosine_to_the_own_and_nearest_centroid(spark, lake, chosen):
    embeddings = table(spark, lake[0] / "out", "embeddings").orderBy("id").toPandas()
    centroids = table(spark, lake[0] / "out", "centroids").orderBy("cluster_id").toPandas()
    X, C = (np.stack(f.to_list()) for f in (embeddings["embedding"], centroids["centroid"]))
    cosines = (X @ C.T) / np.linalg.norm(X, axis=1)[:, None] / np.linalg.norm(C, axis=1)
    assert chosen["cluster_id"].to_list() == cosines.argmax(axis=1).tolist()
    np.testing.assert_allclose(chosen["centroid_similarity"], cosines.max(axis=1), atol=1e-6)


def test_the_rows_kept_are_those_the_kernel_keeps(chosen):
    labels, key = chosen["cluster_id"].to_numpy(), chosen["key"].to_numpy().view(np.uint64)
    kept = prune_clusters(labels, chosen["centroid_similarity"], key, 25, "common")
    assert chosen["kept"].to_list() == kept.tolist()


def test_pruned_has_the_source_s_own_columns_each_beside_its_id(spark, lake, chosen):
    source = {str(r) for r in spark.read.format("delta").load(str(lake[0] / "source")).collect()}
    pruned = table(spark, lake[0] / "out", "pruned")
    assert pruned.columns == ["doc", "v", "note"]
    rows = pruned.collect()
    assert {str(row) for row in rows} < source
    assert {row["doc"] for row in rows} == set(chosen[chosen["kept"]]["id"])


@pytest.mark.long
def test_partitions_and_the_order_of_arrival_do_not_matter(spark, lake, tmp_path):
    order = np.random.default_rng(1).permutation(N)
    write_vectors(spark, tmp_path / "source", near_duplicates(N), files=5, order=order.tolist())
    config = vectors_job(tmp_path / "out", tmp_path / "source", prune=lake[1].prune.model_dump())
    prune(spark, config)
    again = rows_of(spark, tmp_path / "out", "pruning")
    assert again == rows_of(spark, lake[0] / "out", "pruning")


def test_the_same_rule_is_reused_and_another_computes_only_the_pruning(spark, lake):
    root, config, _ = lake
    before = rows_of(spark, root / "out", "pruned", "doc")
    assert prune(spark, config).reused
    exact = {"ratio": 10, "rank_type": "random", "prune_type": "systematic", "exact_total": True}
    other = prune(spark, vectors_job(root / "out", root / "source", prune=exact), only=True)
    assert "ratio 25.0 -> 10.0" in other.why
    assert other.counts["kept"] == 21  # ceil of a tenth of 203
    assert not prune(spark, config, only=True).reused
    assert rows_of(spark, root / "out", "pruned", "doc") == before


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder as of MNIST: picture i of class c has c in its first pixel and i in the second."""
    root = tmp_path_factory.mktemp("data")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 10
    pixels[:, 0, 0], pixels[:, 0, 1] = labels, np.arange(60)
    write_idx(root / "train-images-idx3-ubyte.gz", pixels)
    write_idx(root / "train-labels-idx1-ubyte.gz", labels)
    return root


@pytest.mark.long
def test_a_named_data_set_is_pruned_with_pictures_labels_and_ids_aligned(
    spark, pictures, tmp_path, monkeypatch
):
    words = (
        "prune --ratio 30 --n_clusters 4 --rank_type random --prune_type stratified --seed 3 "
        f"--dataset mnist --root {pictures} --output {tmp_path}"
    ).split()
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0, shown.output
    clusters = {r["id"]: r["cluster_id"] for r in table(spark, tmp_path, "pruning").collect()}
    association = cramers_v(list(clusters.values()), [int(id_[-5:]) % 10 for id_ in clusters])
    assert f"cluster by label {association:.3f}" in shown.output
    rows = table(spark, tmp_path, "pruned").collect()
    assert f"kept {len(rows)} of 60 rows" in shown.output
    for row in rows:
        picture = np.asarray(Image.open(io.BytesIO(row["image"])))
        label, index = picture[0, :2].tolist()
        assert (row["label"], row["index"], row["id"]) == (label, index, f"train-{index:05d}")
    assert all(n == 1 for n in Counter(row["id"] for row in rows).values())
    settings = json.loads(table(spark, tmp_path, "runs").where("stage = 'prune'").first()["config"])
    wanted = {"ratio": 30, "seed": 3, "rank_type": "random", "prune_type": "stratified"}
    assert wanted.items() <= settings.items()
    # What spark-submit is given: the same words, and the same result.
    monkeypatch.setattr("sys.argv", ["jobs/prune.py", *words[1:]])
    runpy.run_path(str(JOBS / "prune.py"), run_name="__main__")
    runs = table(spark, tmp_path, "runs").orderBy("started_at").collect()
    assert [row["reused"] for row in runs] == [False] * 3 + [True] * 3
    assert len(load_images("mnist", pictures, "train", fetch=False)) == 60
    gone = rows[0]["id"]  # the job file has the settings, and nothing was scored that need be
    forget = ["forget", "--config", f"{tmp_path}/job.yml", "--id", gone]
    shown = CliRunner().invoke(cli, forget)
    assert shown.exit_code == 0, shown.output
    assert gone not in {row["id"] for row in table(spark, tmp_path, "pruned").collect()}
    assert not (tmp_path / "scores").exists()
