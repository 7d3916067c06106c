"""Duplicates that people judged, found by an embedding and by pixels, at the same kept fraction.

``python benchmarks/cifair.py``
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet as pq
from measuring import Clock, print_table, write_json
from vectors import CACHE, DATA, FloatArray, cached_vectors

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.kernels.score.similarity import max_earlier_similarity
from semdedup_spark.kernels.vectors import unit_rows

KEPT = (0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.63, 0.5)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_LISTS = (("duplicates_cifar10.csv", "train"), ("duplicates_cifar10_test.csv", "test"))
_JUDGEMENTS = {1: "near-duplicate", 2: "very similar"}


@dataclass(frozen=True)
class Judged:
    """``images``: n encoded images in rank order; ``pairs``: (p, 2) positions in it, the earlier
    first; ``judgement``: (p,) 1 near-duplicate, 2 very similar.
    """

    images: list[bytes]
    pairs: np.ndarray
    judgement: np.ndarray


def judged_images(data: Path, others: int, seed: int) -> Judged:
    """All images of the judged pairs and ``others`` more of CIFAR-10, in a random order."""
    folder = data / "cifar10"
    table = pq.read_table(folder / "cifar10_jpeg_60000.parquet")
    keys = zip(table["split"].to_pylist(), table["cifar_index"].to_pylist(), strict=True)
    place = {key: row for row, key in enumerate(keys)}
    pairs, judgement = [], []
    for name, split in _LISTS:
        with (folder / name).open(newline="") as file:
            for row in csv.DictReader(file):
                pairs.append((place["test", int(row["TestID"])], place[split, int(row["TrainID"])]))
                judgement.append(int(row["Judgment"]))
    random = np.random.default_rng(seed)
    listed = np.unique(pairs)
    rest = random.permutation(np.setdiff1d(np.arange(len(table)), listed))[:others]
    chosen = random.permutation(np.concatenate([listed, rest]))
    position = {row: rank for rank, row in enumerate(chosen.tolist())}
    ranks = np.array([[position[row] for row in pair] for pair in pairs])
    images = table["image"].take(chosen).to_pylist()
    return Judged(images, np.sort(ranks, axis=1), np.array(judgement))


@dataclass(frozen=True)
class Found:
    """At each fraction of ``KEPT``: ``eps`` that keeps it; ``share``: of the judged pairs, those
    more alike than 1 - eps, so that the later of the two is removed because of the other.
    """

    eps: list[float]
    share: dict[str, list[float]]


def found_at_each(X: FloatArray, judged: Judged) -> Found:
    """``X``: (n, d) float32 unit rows, in rank order."""
    scores = max_earlier_similarity(X).max_similarity
    a, b = (X[side].astype(np.float64) for side in judged.pairs.T)
    similarity = np.einsum("ij,ij->i", a, b)
    eps, share = [], {name: list[float]() for name in ("all", *_JUDGEMENTS.values())}
    for kept in KEPT:
        limit = float(np.quantile(scores, kept, method="higher"))
        eps.append(1 - limit)
        found = similarity > limit
        for kind, of_kind in share.items():
            of_kind.append(float(found[_of_kind(judged, kind)].mean()))
    return Found(eps, share)


def centred(X: FloatArray) -> FloatArray:
    """Rows less the mean row, of unit length again: the cosine of pixels at its best."""
    return unit_rows(X - X.mean(axis=0)).X


def encode_both(judged: Judged, cache: Path) -> dict[str, FloatArray]:
    """(n, d) float32 unit rows of each representation, by name."""
    vectors = {}
    for name in ("pixels", "efficientnet-lite0"):
        with Clock(f"{len(judged.images):,} images by {name}"):
            spec = EncoderSpec(name, device="cpu")
            vectors[name] = cached_vectors(cache, f"cifair-{name}", spec, judged.images)
    return {**vectors, "pixels, centred": centred(vectors["pixels"])}


@click.command()
@click.option("--others", default=8000, show_default=True, help="images beside the judged ones")
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def main(others: int, seed: int, cache: Path, data: Path, json_file: Path | None) -> None:
    """See the module."""
    judged = judged_images(data, others, seed)
    found = {name: found_at_each(X, judged) for name, X in encode_both(judged, cache).items()}
    order = ("pixels", "pixels, centred", "efficientnet-lite0")
    for kind in ("all", *_JUDGEMENTS.values()):
        chosen = judged.pairs[_of_kind(judged, kind)]
        title = f"share of {len(chosen)} judged pairs ({kind}) found, {len(judged.images):,} images"
        rows = [
            [f"{kept:g}", ceiling, *(found[name].share[kind][column] for name in order)]
            for column, (kept, ceiling) in enumerate(
                zip(KEPT, ceilings(judged, chosen), strict=True)
            )
        ]
        print_table(title, ["kept", "at most", *order], rows)
    rows = [
        [f"{kept:g}", *(found[name].eps[column] for name in order)]
        for column, kept in enumerate(KEPT)
    ]
    print_table("eps that keeps so much", ["kept", *order], rows)
    by_name = {name: {"eps": each.eps, "found": each.share} for name, each in found.items()}
    write_json(json_file, {"images": len(judged.images), "kept": KEPT, "found": by_name})


def ceilings(judged: Judged, pairs: np.ndarray) -> list[float]:
    """At each fraction of ``KEPT`` the most that could be found: no more rows are removed."""
    _, repeats = np.unique(pairs[:, 1], return_counts=True)
    most = np.cumsum(np.sort(repeats)[::-1]) / len(pairs)  # by removed rows, the best ones first
    removed = [int((1 - kept) * len(judged.images)) for kept in KEPT]
    return [float(most[min(rows, len(most)) - 1]) if rows else 0.0 for rows in removed]


def _of_kind(judged: Judged, kind: str) -> np.ndarray:
    codes = [code for code, name in _JUDGEMENTS.items() if kind in ("all", name)]
    return np.isin(judged.judgement, codes)


if __name__ == "__main__":
    main()
