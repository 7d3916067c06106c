"""Whole jobs over shards and matrices: what was read comes out as kept, removed or quarantined."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import run_embed
from semdedup_spark.pipeline.stages.embed import embed_commits
from tests.jobs.jobfiles import near_duplicates, run, table
from tests.sources.shards import tar_bytes


def test_shards_of_photos_are_deduplicated(spark, shared_data, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for shard in (shared_data / "clip_retrieval_wds" / "test_tars").glob("*.tar"):
        (folder / shard.name).write_bytes(shard.read_bytes())
    cut = (folder / "image2.tar").read_bytes()
    (folder / "image9.tar").write_bytes(cut[:30_000])
    config = parse_config(
        {
            "output": str(tmp_path / "out"),
            "source": {"kind": "images", "format": "webdataset", "path": str(folder)},
            "embed": {"encoder": "pixels", "image_size": 8},
            "cluster": {"n_clusters": 1},
            "select": {"eps": 0.0001},
        }
    )
    summary = run(spark, config)
    # 11 samples of 7 photos; of the cut shard one whole sample, one in pieces, and the shard's row.
    assert (summary.read, summary.quarantined) == (14, 2)
    assert (summary.kept, summary.removed) == (7, 5)
    kept = table(spark, tmp_path / "out", "deduplicated").collect()
    assert len({row["key"] for row in kept}) == 7
    reasons = {row["reason"] for row in table(spark, tmp_path / "out", "quarantine").collect()}
    assert reasons == {"damaged_shard"}


@pytest.mark.long
def test_commits_of_a_folder_and_of_shards_hold_every_row_once(spark, tmp_path, monkeypatch):
    monkeypatch.setitem(embed_commits.FIRST_COMMIT, "pixels", 9)
    folder, shards = tmp_path / "files", tmp_path / "shards"
    folder.mkdir()
    shards.mkdir()
    files = []
    for i in range(30):
        picture = io.BytesIO()
        Image.new("RGB", (4, 4), (8 * i, 255 - 8 * i, i)).save(picture, "PNG")
        files.append((f"{i:03d}.png", picture.getvalue()))
        (folder / files[-1][0]).write_bytes(files[-1][1])
    (shards / "0.tar").write_bytes(tar_bytes(files[:20]))
    (shards / "1.tar").write_bytes(tar_bytes(files[20:]))
    found = []
    for form, path in (("files", folder), ("webdataset", shards)):
        config = parse_config(
            {
                "output": str(tmp_path / f"out-{form}"),
                "source": {"kind": "images", "format": form, "path": str(path)},
                "embed": {"encoder": "pixels", "image_size": 4},
            }
        )
        counts = run_embed(open_job(spark, config)).counts
        assert (counts["read"], counts["embedded"], counts["quarantined"]) == (30, 30, 0)
        embedded = table(spark, tmp_path / f"out-{form}", "embeddings").collect()
        names = {row["id"].rpartition("/")[2].removesuffix(".png"): row for row in embedded}
        found.append({name: row["embedding"] for name, row in names.items()})
    assert len(found[0]) == 30
    assert found[0] == found[1]


@pytest.mark.long
def test_a_matrix_is_deduplicated_as_a_table_of_its_rows_is(spark, tmp_path):
    X = near_duplicates(60, 6).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    rows = [(i, x.tobytes()) for i, x in enumerate(X)]
    spark.createDataFrame(rows, "row long, v binary").write.parquet(str(tmp_path / "x.parquet"))
    sources = {
        "npy": {"format": "npy", "path": str(tmp_path / "x.npy")},
        "packed": {
            "format": "parquet",
            "path": str(tmp_path / "x.parquet"),
            "id": "row",
            "content": "v",
            "columns": ["row"],
        },
    }
    found = []
    for name, source in sources.items():
        config = parse_config(
            {
                "output": str(tmp_path / name),
                "source": {"kind": "vectors", **source},
                "embed": {"encoder": "none"},
                "cluster": {"n_clusters": 1},
            }
        )
        summary = run(spark, config)
        assert summary.kept + summary.removed == summary.read == 60
        found.append(sorted(table(spark, tmp_path / name, "deduplicated").collect()))
    assert found[0] == found[1]
    assert 0 < len(found[0]) < 60
