"""Real texts, and photos cut from real ones, as many as wanted, all different."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_JPEG_QUALITY = 85
_FILE_ROWS = 4096


def texts(data: Path) -> Iterator[str]:
    """About 85,000 captions, headlines, questions and sentences."""
    with gzip.open(data / "coco_captions_val2017" / "captions_val2017.json.gz", "rt") as file:
        yield from (row["caption"] for row in json.load(file)["annotations"])
    for name in ("clickbait_data.gz", "non_clickbait_data.gz"):
        with gzip.open(data / "clickbait_headlines" / name, "rt", encoding="utf-8") as file:
            yield from file
    with (data / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        yield from (row[0] for row in list(csv.reader(file))[1:])
    with (data / "stsb_en" / "stsb-en-train.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            yield from row[:2]


def photos(data: Path, n: int) -> Iterator[bytes]:
    """JPEGs of about 400 x 300 pixels, cut at random out of photos of 640 x 480."""
    from PIL import Image

    random = np.random.default_rng(0)
    originals = [
        Image.open(path).convert("RGB")
        for path in sorted((data / "imagededup_tests" / "base_images").glob("*.jpg"))
    ]
    for turn in range(n):
        image = originals[turn % len(originals)]
        left, top = (int(random.integers(0, side - side // 2)) for side in image.size)
        width, height = (side // 2 + int(random.integers(side // 4)) for side in image.size)
        box = (left, top, min(left + width, image.width), min(top + height, image.height))
        out = io.BytesIO()
        image.crop(box).save(out, "JPEG", quality=_JPEG_QUALITY)
        yield out.getvalue()


def source_file(cache: Path, data: Path, kind: str, n: int) -> Path:
    """A Parquet file (id bigint, payload) of n different payloads, in random order."""
    path = cache / "sources" / f"payloads-{kind}-{n}.parquet"
    if path.exists():
        return path
    found: list[Any]
    if kind == "text":
        found = list(dict.fromkeys(text.strip() for text in texts(data) if text.strip()))
        found = [found[i] for i in np.random.default_rng(0).permutation(len(found))[:n]]
    else:
        found = list(photos(data, n))
    if len(found) < n:
        raise SystemExit(f"--rows must be at most {len(found)} for {kind}. Got {n}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    column = pa.array(found, pa.string() if kind == "text" else pa.binary())
    rows = pa.table({"id": pa.array(range(n), pa.int64()), "payload": column})
    pq.write_table(rows, unfinished, row_group_size=_FILE_ROWS)
    unfinished.replace(path)
    return path
