"""`semdedup report` on finished jobs."""

import base64
import io
import re

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image, ImageDraw

from semdedup_spark.cli import cli
from semdedup_spark.config import load_config
from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline import open_job, run_job
from semdedup_spark.pipeline.queries.pictures import pictures
from semdedup_spark.pipeline.queries.reference_side import own_side
from semdedup_spark.pipeline.queries.report_data import run_overview
from semdedup_spark.report.html import render_report
from tests.queries.test_report_page import Page


@pytest.fixture(scope="module")
def overview(finished):
    return run_overview(finished.job(), by="site")


def test_numbers_in_the_report_are_those_of_the_tables(finished, overview):
    duplicates = finished.table("duplicates").toPandas()
    sizes = duplicates.groupby("survivor_id").size()
    assert overview.counts["removed"] == len(duplicates)
    assert overview.n_groups == len(sizes)
    assert sum(overview.cluster_sizes) == overview.tuning.rows == 240
    assert sum(overview.removed_per_cluster) == len(duplicates)
    assert [g.size for g in overview.largest] == sorted(sizes, reverse=True)[:10]
    assert {(r.reason, r.rows) for r in overview.reasons} == {
        ("null_vector", 1),
        ("wrong_length", 1),
    }
    assert [line.stage for line in overview.lineage] == ["embed", "cluster", "score", "select"]
    assert overview.lineage[-1].run_id == "loose"


def test_members_of_a_group_are_its_least_similar_rows(finished, overview):
    duplicates = finished.table("duplicates").toPandas().astype({"survivor_similarity": float})
    for group in (*overview.largest, *overview.drawn):
        rows = duplicates[duplicates["survivor_id"] == int(group.survivor.id)]
        rows = rows.sort_values(["survivor_similarity", "id"])
        assert [m.id for m in group.members] == [str(i) for i in rows["id"][:7]]
        assert all(m.text or m.columns for m in group.members)
        assert not any(m.text.startswith("{") for m in group.members)


def test_the_same_seed_draws_the_same_groups(finished, overview):
    again = run_overview(finished.job(), by="site")
    assert again == overview


def test_the_command_writes_one_file_and_no_table(finished, tmp_path):
    versions = [finished.table("duplicates").count(), len(list(finished.output.rglob("*")))]
    out = tmp_path / "report.html"
    base = ["report", "--config", str(finished.job_file), "--out"]
    done = CliRunner().invoke(cli, [*base, str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    page = Page(out.read_text("utf-8"))
    assert page.open == []
    assert "At the edge of the threshold" in page.text
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert versions == [
        finished.table("duplicates").count(),
        len(list(finished.output.rglob("*"))),
    ]
    nowhere = str(tmp_path / "no" / "report.html")
    with pytest.raises(ConfigError, match="--out must name a file"):
        CliRunner().invoke(cli, [*base, nowhere], catch_exceptions=False)


def drawing(i):
    image = Image.new("RGB", (300, 200), (40 * (i % 6), 80, 200 - 30 * (i % 6)))
    ImageDraw.Draw(image).rectangle([20 * (i % 5), 30, 120 + 20 * (i % 5), 150], fill="white")
    return image


@pytest.fixture(scope="module")
def photos(spark, tmp_path_factory):
    """A finished job on a folder of 24 pictures, every one of twelve twice, with hard names."""
    root = tmp_path_factory.mktemp("photos")
    (root / "in").mkdir()
    for i in range(24):
        drawing(i % 12).save(root / "in" / f"no {i} <b>%20[x].png")
    config = {
        "output": str(root / "out"),
        "source": {"kind": "images", "format": "files", "path": str(root / "in")},
        "embed": {"encoder": "pixels", "image_size": 16},
        "cluster": {"n_clusters": 1},
        "select": {"eps": 0.001},
    }
    (root / "job.yml").write_text(yaml.safe_dump(config))
    job = open_job(spark, load_config(root / "job.yml"))
    run_job(job)
    return root, job


def test_a_report_on_images_shows_them_small(photos):
    _, job = photos
    shown = run_overview(job)
    html = render_report(shown)
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(found) >= 2 * len(shown.drawn)
    assert {picture.width for picture in shown.pictures.values()} == {300}
    for text in found:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            assert image.size == (300, 200)
    assert "no 13 <b>%20[x].png" in Page(html).text


def test_an_image_that_is_gone_is_left_out(photos):
    root, job = photos
    ids = [row["id"] for row in spark_ids(job)]
    gone = root / "in" / "gone.png"
    assert set(pictures(job, own_side(job), [*ids[:2], f"file:{gone}"])) == set(ids[:2])


def spark_ids(job):
    return job.spark.read.format("delta").load(job.root.path("scores")).select("id").collect()


def test_images_of_a_table_come_from_its_column(spark, photos, tmp_path):
    root, _ = photos
    files = sorted((root / "in").iterdir())[:6]
    rows = [(i, {"bytes": file.read_bytes(), "path": file.name}) for i, file in enumerate(files)]
    frame = spark.createDataFrame(rows, "key long, image struct<bytes: binary, path: string>")
    frame.write.parquet(str(tmp_path / "in"))
    config = {
        "output": str(tmp_path / "out"),
        "source": {
            "kind": "images",
            "format": "parquet",
            "path": str(tmp_path / "in"),
            "id": "key",
            "content": "image",
        },
        "embed": {"encoder": "pixels", "image_size": 16},
        "cluster": {"n_clusters": 1},
    }
    from semdedup_spark import parse_config
    from semdedup_spark.pipeline import run_embed

    job = open_job(spark, parse_config(config))
    run_embed(job)
    assert set(pictures(job, own_side(job), [1, 4, 99])) == {1, 4}
    slim = {**config, "source": {**config["source"], "columns": ["key"]}, "output": f"{tmp_path}/b"}
    job = open_job(spark, parse_config(slim))
    run_embed(job)
    assert set(pictures(job, own_side(job), [1, 4, 99])) == {1, 4}  # read from the source again
