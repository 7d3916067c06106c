"""Whole jobs over real images, from folders and from tables."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import run_embed
from tests.jobs.jobfiles import run, table

SAME_BYTES = (
    "base_images/ukbench09380.jpg",
    "formats_images/ukbench09380.bmp",
    "formats_images/ukbench09380.jpeg",
    "formats_images/ukbench09380.png",
    "formats_images/ukbench09380.svg",
)


def images_job(output, source, **embed):
    return parse_config(
        {
            "output": str(output),
            "source": {"kind": "images", **source},
            "embed": {"encoder": "pixels", "image_size": 8, **embed},
            "cluster": {"n_clusters": 3},
            "select": {"eps": 0.0001},
        }
    )


def test_a_folder_of_images_is_deduplicated_by_what_they_show(spark, shared_data, tmp_path):
    folder = tmp_path / "in"
    # The .webp is a near copy that might outlive the equal files, and cloud the picture.
    original = shared_data / "imagededup_tests"
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("*.webp"), copy_function=copy)
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    summary = run(spark, images_job(tmp_path / "out", {"format": "files", "path": str(folder)}))

    def names(rows):
        return {row["path"].removeprefix(f"file:{folder}/") for row in rows}

    def ids(name):
        return table(spark, tmp_path / "out", name).withColumnRenamed("id", "path").collect()

    rejected = table(spark, tmp_path / "out", "quarantine").collect()
    reasons = {row["id"].removeprefix(f"file:{folder}/"): row["reason"] for row in rejected}
    bad = ("LICENSE", "README.txt", "mixed_images/ukbench09268_corrupt.jpg")
    assert reasons == dict.fromkeys(bad, "undecodable_image")
    duplicates = ids("duplicates")
    kept, removed = (
        names(table(spark, tmp_path / "out", "deduplicated").collect()),
        names(duplicates),
    )
    assert summary.read == len(files) == 28
    assert (summary.kept, summary.removed) == (len(kept), len(removed))
    assert summary.quarantined == len(reasons)
    assert kept | removed | set(reasons) == files
    assert summary.kept + summary.removed + summary.quarantined == summary.read

    survivors = kept & set(SAME_BYTES)
    assert len(survivors) == 1
    copies = {row["path"].removeprefix(f"file:{folder}/"): row for row in duplicates}
    for name in set(SAME_BYTES) - survivors:
        assert copies[name]["similarity"] == 1.0
        assert copies[name]["survivor_id"].removeprefix(f"file:{folder}/") in survivors
    # Different photos stay.
    photos = {name for name in files if name.startswith("base_images/")} - {SAME_BYTES[0]}
    twice = {"base_images/ukbench00120.jpg", "base_images/ukbench09268.jpg"}
    assert photos - twice <= kept
    for name in twice:
        assert len({name, name.replace("base", "mixed")} & kept) == 1


def copy(source, target):
    """Content only: the originals are read-only, and copies of them could not be cleaned up."""
    shutil.copyfile(source, target)
    return target


@pytest.fixture(scope="module")
def pictures(shared_data, tmp_path_factory):
    """A Parquet file of 200 real images, as bytes and as a struct, the first one there twice."""
    small = pq.read_table(
        shared_data / "cifar10" / "cifar10_jpeg_60000.parquet", columns=["path", "image"]
    ).slice(0, 200)
    rows = pa.concat_tables([small, small.slice(0, 1)])
    ids = pa.array(range(len(rows)), pa.int64())
    images, paths = (rows.column(name).combine_chunks() for name in ("image", "path"))
    both = pa.StructArray.from_arrays([images, paths.cast(pa.string())], names=["bytes", "path"])
    file = tmp_path_factory.mktemp("pictures") / "pictures.parquet"
    pq.write_table(pa.table({"id": ids, "image": images, "picture": both}), file)
    return file


def from_parquet(file, column):
    return {
        "format": "parquet",
        "path": str(file),
        "id": "id",
        "content": column,
        "columns": ["id"],
    }


def test_images_in_a_table_are_deduplicated(spark, pictures, tmp_path):
    summary = run(spark, images_job(tmp_path / "out", from_parquet(pictures, "image")))
    assert (summary.read, summary.quarantined) == (201, 0)
    assert summary.kept + summary.removed == 201
    assert len(table(spark, tmp_path / "out", "embeddings").first()["embedding"]) == 8 * 8 * 3
    exact = table(spark, tmp_path / "out", "duplicates").filter("similarity = 1.0").collect()
    assert [{row["id"], row["survivor_id"]} for row in exact] == [{0, 200}]


@pytest.mark.long
def test_images_in_a_struct_have_the_same_vectors(spark, pictures, tmp_path):
    found = []
    for column in ("image", "picture"):
        config = images_job(tmp_path / column, from_parquet(pictures, column))
        counts = run_embed(open_job(spark, config)).counts
        assert (counts["embedded"], counts["quarantined"]) == (201, 0)
        rows = table(spark, tmp_path / column, "embeddings").select("id", "embedding").collect()
        found.append(sorted(map(tuple, rows)))
    assert found[0] == found[1]
