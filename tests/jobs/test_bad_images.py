"""736 broken, hostile or unusual files: what loads is embedded, of the others we learn why not."""

from __future__ import annotations

import csv
import io
import time
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from PIL import Image

from semdedup_spark import open_job, parse_config
from semdedup_spark.pipeline import run_embed
from tests.jobs.jobfiles import table


@pytest.fixture(scope="module")
def manifest(shared_data):
    """By path: the MANIFEST's row."""
    with (shared_data / "bad_images" / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def bad_images_job(output, folder):
    return parse_config(
        {
            "output": str(output),
            "source": {"kind": "images", "format": "files", "path": str(folder)},
            "embed": {"encoder": "pixels", "image_size": 8},
        }
    )


def names(rows, folder):
    prefix = f"file:{folder}/"
    return {row["id"].removeprefix(prefix): row for row in rows}


def loads_here(file):
    """Whether this Pillow loads the file; the manifest may have met another build."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.open(io.BytesIO(file.read_bytes())).load()
    except Exception:
        return False
    return True


def test_every_file_that_loads_is_embedded_and_every_other_one_has_a_reason(
    spark, shared_data, manifest, tmp_path, capsys
):
    folder = Path(shared_data / "bad_images").resolve()
    begun = time.monotonic()
    counts = run_embed(open_job(spark, bad_images_job(tmp_path / "out", folder))).counts
    seconds = time.monotonic() - begun
    good = names(table(spark, tmp_path / "out", "embeddings").select("id").collect(), folder)
    bad = names(table(spark, tmp_path / "out", "quarantine").collect(), folder)
    outcome = {**dict.fromkeys(good, "embedded"), **{n: r["reason"] for n, r in bad.items()}}
    assert counts["read"] == len(outcome) == counts["embedded"] + counts["quarantined"]
    assert manifest.keys() <= outcome.keys()
    # Raw pixels that are all black have no direction; the image was decoded all the same.
    decoded = {path for path in manifest if outcome[path] in ("embedded", "zero_vector")}
    listed = {path for path, row in manifest.items() if row["status_pillow13"] == "ok"}
    print_counts(capsys, manifest, outcome, seconds, sorted(decoded ^ listed))
    assert all(loads_here(folder / path) for path in decoded - listed)
    assert not any(loads_here(folder / path) for path in listed - decoded)
    assert len(decoded & listed) > 0.98 * len(listed) > 500
    reasons = {outcome[path] for path in manifest} - {"embedded", "zero_vector"}
    assert reasons <= {"undecodable_image", "truncated_image", "too_many_pixels", "empty_image"}
    assert all(row["message"] for row in bad.values())


def print_counts(capsys, manifest, outcome, seconds, differing):
    found = Counter((row["status_pillow13"], outcome[path]) for path, row in manifest.items())
    with capsys.disabled():
        print(f"\nbad images: {len(manifest)} files in {seconds:.1f} s, Pillow {version('pillow')}")
        for (status, here), n in sorted(found.items()):
            print(f"  manifest {status:<11} here {here:<18} {n:4d}")
        for path in differing:
            print(f"  otherwise than the manifest: {path} {manifest[path]['error']!r}")
