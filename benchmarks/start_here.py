"""Where an eps may begin, for each encoder: how alike are random rows, edited copies, paraphrases?

``python benchmarks/start_here.py``
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from measuring import Clock, print_table, write_json
from PIL import Image, ImageEnhance, ImageOps
from vectors import DATA, FloatArray

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.kernels.vectors import paired_similarity

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
IMAGE_ENCODERS = {
    "pixels, 32": EncoderSpec("pixels", image_size=32, device="cpu"),
    "efficientnet-lite0": EncoderSpec("efficientnet-lite0", device="cpu"),
}

Edit = Callable[[Image.Image], Image.Image]


def _cut(image: Image.Image) -> Image.Image:
    """Without 2 % of the width and the height at each border."""
    x, y = image.width // 50, image.height // 50
    return image.crop((x, y, image.width - x, image.height - y))


PICTURE_EDITS: dict[str, Edit] = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "a quarter of the size": lambda image: image.resize((image.width // 4, image.height // 4)),
    "JPEG, quality 50": lambda image: image,
    "5 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "2 % cut off at each border": _cut,
    "mirrored": ImageOps.mirror,
}


def photos(data: Path) -> list[Image.Image]:
    """Of UKBench and of clip-retrieval; no two show the same."""
    folders = (data / "imagededup_tests" / "base_images", data / "clip_retrieval_wds/test_images")
    files = sorted(path for folder in folders for path in folder.rglob("*.jpg"))
    return [Image.open(path).convert("RGB") for path in files]


def as_jpeg(image: Image.Image, quality: int = 92) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def encoded(spec: EncoderSpec, payloads: Sequence[str | bytes]) -> FloatArray:
    found = encode_payloads(load_encoder(spec), list(payloads))
    assert not any(found.reasons), set(found.reasons)
    return found.X


def pictures(data: Path) -> list[tuple[object, ...]]:
    """(encoder, what, pairs, lowest, median, highest cosine)."""
    originals, lines = photos(data), list[tuple[object, ...]]()
    for name, spec in IMAGE_ENCODERS.items():
        X = encoded(spec, [as_jpeg(image) for image in originals])
        different = (X @ X.T)[np.triu_indices(len(X), 1)]
        lines.append(_line(name, "two different photos", different))
        for edit, apply in PICTURE_EDITS.items():
            quality = 50 if "JPEG" in edit else 92
            copies = encoded(spec, [as_jpeg(apply(image), quality) for image in originals])
            lines.append(_line(name, edit, paired_similarity(X, copies)))
    return lines


def _line(encoder: str, what: str, cosines: FloatArray) -> tuple[object, ...]:
    low, middle, high = np.quantile(cosines, [0.05, 0.5, 0.999])
    return encoder, what, len(cosines), float(cosines.min()), low, middle, high, cosines.max()


def _typo(text: str) -> str:
    """Two letters in the middle change places."""
    at = len(text) // 2
    return text[:at] + text[at + 1 : at + 2] + text[at] + text[at + 2 :]


TEXT_EDITS: dict[str, Callable[[str], str]] = {
    "case and full stop": lambda text: text.lower().rstrip("."),
    "spaces and lines": lambda text: "  " + text.replace(" ", "  ") + "\n",
    "a typing error": _typo,
    "a word twice": lambda text: f"{text.split(' ')[0]} {text}",
    "without the last word": lambda text: text.rstrip(". ").rpartition(" ")[0],
}


def texts(data: Path, n: int) -> list[tuple[object, ...]]:
    """The same of MiniLM: captions and their edits, and the pairs that people judged."""
    spec, random = EncoderSpec("minilm", device="cpu"), np.random.default_rng(0)
    with gzip.open(data / "coco_captions_val2017" / "captions_val2017.json.gz", "rt") as file:
        notes = json.load(file)["annotations"]
    captions = sorted({note["image_id"]: note["caption"].strip() for note in notes}.values())
    captions = [captions[i] for i in random.permutation(len(captions))[:n]]
    X = encoded(spec, captions)
    different = (X @ X.T)[np.triu_indices(len(X), 1)]
    lines = [_line("minilm", "captions of two pictures", different)]
    for edit, apply in TEXT_EDITS.items():
        copies = encoded(spec, [apply(text) for text in captions])
        lines.append(_line("minilm", edit, paired_similarity(X, copies)))
    with (data / "stsb_en" / "stsb-en-test.csv").open(newline="") as lines_of_pairs:
        pairs = [(a, b, float(score)) for a, b, score in csv.reader(lines_of_pairs)]
    A, B = encoded(spec, [pair[0] for pair in pairs]), encoded(spec, [pair[1] for pair in pairs])
    score, cosines = np.array([pair[2] for pair in pairs]), paired_similarity(A, B)
    for low, high, what in (
        (4.5, 5.1, "the same, say people (4.5 to 5)"),
        (3.0, 4.0, "roughly the same (3 to 4)"),
        (1.0, 2.0, "on one topic (1 to 2)"),
    ):
        lines.append(_line("minilm", what, cosines[(score >= low) & (score < high)]))
    return lines


@click.command()
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--captions", default=1000, show_default=True)
@click.option("--json", "json_path", type=_FILE)
def main(data: Path, captions: int, json_path: Path | None) -> None:
    with Clock("photos"):
        lines = pictures(data)
    with Clock("texts"):
        lines += texts(data, captions)
    header = ("encoder", "pairs of", "n", "least", "5 %", "median", "99.9 %", "most")
    print_table("cosine similarity", header, lines)
    write_json(json_path, {"lines": [list(map(str, line)) for line in lines]})


if __name__ == "__main__":
    main()
