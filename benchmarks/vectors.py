"""Vectors for the benchmarks: embeddings of real texts and images, and many more of their shape.

``python benchmarks/vectors.py`` fills the cache: a few minutes, once.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FloatArray = npt.NDArray[np.float32]

DATA = Path(__file__).parents[2] / "shared" / "data"
CACHE = Path(tempfile.gettempdir()) / "semdedup-bench"
CHUNK_ROWS = 32_768
COPIES = 0.3  # share of the rows of `enlarge` that copy another one
EXACT = 0.1  # share of the copies that are exact
LEAST_NOISE, MOST_NOISE = 1e-4, 0.3  # cosine distance of the others, log-uniform between
_ROW_GROUP = 8192  # so that Spark can split a file
_ENCODE_AT_ONCE = 512


def base_texts(data: Path = DATA) -> list[str]:
    """About 13,000 different short texts, the same ones each time: captions (five of each image),
    headlines, questions to a bank, and pairs of sentences.
    """
    with gzip.open(data / "coco_captions_val2017" / "captions_val2017.json.gz", "rt") as file:
        annotations = json.load(file)["annotations"]
    annotations.sort(key=lambda row: (row["image_id"], row["id"]))
    texts = [row["caption"] for row in annotations[:4500]]
    for name in ("clickbait_data.gz", "non_clickbait_data.gz"):
        with gzip.open(data / "clickbait_headlines" / name, "rt", encoding="utf-8") as file:
            texts += [line for line in file if line.strip()][::9]
    with (data / "banking77" / "train.csv").open(newline="", encoding="utf-8") as file:
        texts += [row[0] for row in list(csv.reader(file))[1:2501]]
    with (data / "stsb_en" / "stsb-en-train.csv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[:1300]:
            texts += row[:2]
    return list(dict.fromkeys(text.strip() for text in texts))


def base_vectors(cache: Path = CACHE, data: Path = DATA) -> FloatArray:
    """(n, 384) float32 unit rows: MiniLM's embeddings of :func:`base_texts`."""
    spec = EncoderSpec("minilm", device="cpu")
    return cached_vectors(cache, "text", spec, base_texts(data))


def image_vectors(n: int, cache: Path = CACHE, data: Path = DATA) -> FloatArray:
    """(n, 3072) float32 unit rows: pixels of CIFAR-10, first the images of the published lists of
    its near duplicates (ciFAIR). The last tenth are images from before, saved again as JPEG of
    lower quality: duplicates at a cosine distance of about 1e-4 and 2e-3.
    """
    folder = data / "cifar10"
    table = pq.read_table(folder / "cifar10_jpeg_60000.parquet")
    keys = zip(table["split"].to_pylist(), table["cifar_index"].to_pylist(), strict=True)
    place = {key: row for row, key in enumerate(keys)}
    listed = []
    for name, other in (("duplicates_cifar10", "train"), ("duplicates_cifar10_test", "test")):
        with (folder / f"{name}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                listed += [place["test", int(row["TestID"])], place[other, int(row["TrainID"])]]
    tests = [row for (split, _), row in place.items() if split == "test"]
    chosen = list(dict.fromkeys([*listed, *tests, *place.values()]))[: n - n // 10]
    images = table["image"].take(chosen).to_pylist()
    saved_again = [
        _saved_again(image, (90, 50)[turn % 2]) for turn, image in enumerate(images[: n // 10])
    ]
    return cached_vectors(cache, "image", EncoderSpec("pixels"), images + saved_again)


def _saved_again(image: bytes, quality: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    with Image.open(io.BytesIO(image)) as opened:
        opened.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()


def cached_vectors(
    cache: Path, kind: str, spec: EncoderSpec, payloads: Sequence[Any]
) -> FloatArray:
    """(n, d) float32 unit rows of n payloads, encoded once; ``kind`` is in the file's name."""
    digest = hashlib.sha256(encoder_identity(spec).encode())
    for payload in payloads:
        digest.update(payload.encode() if isinstance(payload, str) else payload)
    path = cache / f"{kind}-{len(payloads)}-{digest.hexdigest()[:12]}.npy"
    if not path.exists():
        X = _encode(spec, payloads)
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as file:
            np.save(file, X)
        unfinished.replace(path)
    vectors: FloatArray = np.load(path)
    return vectors


def _encode(spec: EncoderSpec, payloads: Sequence[Any]) -> FloatArray:
    encoder = load_encoder(spec)
    if spec.name == "minilm":
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
    parts, begun = [], time.monotonic()
    for start in range(0, len(payloads), _ENCODE_AT_ONCE):
        parts.append(encode_payloads(encoder, payloads[start : start + _ENCODE_AT_ONCE]).X)
        done = min(start + _ENCODE_AT_ONCE, len(payloads))
        rate = done / (time.monotonic() - begun)
        print(f"{spec.name}: {done:,} of {len(payloads):,} rows, {rate:.0f} rows/s", flush=True)
    return np.concatenate(parts)


def enlarge(base: FloatArray, n: int, seed: int = 0) -> FloatArray:
    """(n, d) float32 unit rows; see :func:`enlarged_chunks`. Fewer rows are a prefix of more."""
    X = np.empty((n, base.shape[1]), dtype=np.float32)
    first = 0
    for chunk in enlarged_chunks(base, n, seed):
        X[first : first + len(chunk)] = chunk
        first += len(chunk)
    return X


def enlarged_chunks(base: FloatArray, n: int, seed: int = 0) -> Iterator[FloatArray]:
    """n unit rows in chunks of ``CHUNK_ROWS``, made one at a time.

    Most rows mix two rows of ``base`` (m, d): new directions with the spectrum of the real ones.
    The share ``COPIES`` copies a mixed row of this chunk or of one random chunk before it: exactly,
    or turned to a log-uniform cosine distance by a difference of two rows of ``base``.
    """
    for chunk in range(-(-n // CHUNK_ROWS)):
        yield _enlarged_chunk(base, seed, chunk)[: n - chunk * CHUNK_ROWS]


def _enlarged_chunk(base: FloatArray, seed: int, chunk: int) -> FloatArray:
    X = _mixed(base, seed, chunk)
    random = np.random.default_rng((seed, chunk, 1))
    is_copy = random.random(CHUNK_ROWS) < COPIES
    is_copy[0] = False
    originals, copies = np.flatnonzero(~is_copy), np.flatnonzero(is_copy)
    # A copy comes after its original: one of the first originals, as many as precede the copy.
    before = np.searchsorted(originals, copies)
    source = X[originals[(random.random(len(copies)) * before).astype(np.int64)]]
    if chunk:
        far = _mixed(base, seed, int(random.integers(chunk)))
        there = random.random(len(copies)) < 0.5
        source[there] = far[random.integers(CHUNK_ROWS, size=int(there.sum()))]
    X[copies] = _turned(source, base, random)
    return X


def _mixed(base: FloatArray, seed: int, chunk: int) -> FloatArray:
    random = np.random.default_rng((seed, chunk, 0))
    a, b = random.integers(len(base), size=(2, CHUNK_ROWS))
    weight = random.uniform(0.3, 0.7, (CHUNK_ROWS, 1)).astype(np.float32)
    return _unit(weight * base[a] + (1 - weight) * base[b])


def _turned(X: FloatArray, base: FloatArray, random: np.random.Generator) -> FloatArray:
    """Each row of ``X`` at a cosine distance of its own from where it was; some not moved."""
    a, b = random.integers(len(base), size=(2, len(X)))
    aside = base[a] - base[b]
    aside -= (aside * X).sum(axis=1, keepdims=True) * X
    distance = np.exp(random.uniform(np.log(LEAST_NOISE), np.log(MOST_NOISE), (len(X), 1)))
    cosine = (1 - distance).astype(np.float32)
    turned = _unit(cosine * X + np.sqrt(1 - cosine**2) * _unit(aside))
    exact = random.random((len(X), 1)) < EXACT
    return np.where(exact, X, turned)


def _unit(X: npt.NDArray[np.floating]) -> FloatArray:
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    unit: FloatArray = (X / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)
    return unit


def write_source(spark: SparkSession, chunks: Iterable[FloatArray], path: Path) -> int:
    """A Delta table (id bigint, v array<float>) of the chunks' rows; ids count from 0. The driver
    holds one chunk at a time. Returns the number of rows.
    """
    path.mkdir(parents=True)
    n = 0
    for part, X in enumerate(chunks):
        offsets = pa.array(np.arange(0, X.size + 1, X.shape[1], dtype=np.int32))
        lists = pa.ListArray.from_arrays(offsets, pa.array(X.reshape(-1)))
        rows = pa.table({"id": pa.array(np.arange(n, n + len(X))), "v": lists})
        pq.write_table(
            rows,
            path / f"part-{part:05d}.parquet",
            row_group_size=_ROW_GROUP,
            compression="none",
            use_dictionary=False,
        )
        n += len(X)
    spark.sql(f"CONVERT TO DELTA parquet.`{path}` NO STATISTICS")
    return n


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
def main(cache: Path, data: Path) -> None:
    """Embed the real texts and images once, and keep the vectors in the cache."""
    for name, X in (("text", base_vectors(cache, data)), ("image", image_vectors(12_000, cache))):
        print(f"{name}: {X.shape[0]:,} x {X.shape[1]} in {cache}")


if __name__ == "__main__":
    main()
