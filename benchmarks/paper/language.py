"""Study 5: what a language model learns from what is kept (figures 5 and 6 of the paper), held out
by source package.

``python benchmarks/paper/language.py``

Models are trained on what SemDeDup, NearDup and chance keep. *Steps* are those of one epoch over
all rows: the same number of tokens is seen, some of them several times ("train longer"). *Epochs*
is one epoch over what is kept. What is stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from corpus import Corpus, load_corpus
from kneser_ney import KneserNey
from language_cells import KEPT, Cell, Result, add_result, read_results, summaries
from models import vectors_of
from neardup import max_jaccard
from scored import FloatArray, Mask, all_pairs, random_rank, removed_at, study_options

from semdedup_spark.in_memory import cluster_vectors

BUDGETS = ("steps", "epochs")
METHODS = ("SemDeDup", "NearDup", "random")
# Which of two duplicates stays: the one farther from the centroid, as in the paper, or the nearer.
ORDERS = ("SemDeDup low", "SemDeDup high")
ALL = "all rows"
_HELD_OUT = 0.05
_N_TOKENS = 4096
_END = "<end>"


@dataclass(frozen=True)
class Material:
    """Documents as ids of tokens, to train on and held out; vectors and texts of the former."""

    train: list[np.ndarray]
    test: list[np.ndarray]
    once: list[np.ndarray]
    X: FloatArray
    texts: list[str]


def is_held_out(group: str) -> bool:
    """Whether a source package is held out: its hash decides."""
    return hashlib.sha256(f"test {group}".encode()).digest()[0] < 256 * _HELD_OUT


def prepared(corpus: Corpus, X: FloatArray) -> Material:
    """Split by source package; train byte-pair tokens on what is not held out."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    held = np.array([is_held_out(group) for group in corpus.groups])
    texts = [text for text, out in zip(corpus.texts, held, strict=True) if not out]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_N_TOKENS, special_tokens=[_END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)

    def encoded(some: Sequence[str]) -> list[np.ndarray]:
        return [np.array(each.ids) for each in tokenizer.encode_batch(list(some))]

    both = zip(corpus.texts, corpus.groups, held, strict=True)
    test = [(text, group) for text, group, out in both if out]
    first = {group: text for text, group in reversed(test)}
    test_texts = [text for text, _ in test]
    return Material(
        encoded(texts), encoded(test_texts), encoded([*first.values()]), X[~held], texts
    )


def cells(model: str, seeds: int, percents: Sequence[int], budgets: Sequence[str]) -> list[Cell]:
    """Everything to train, the first seed of all first. An n-gram model counts once, and is quick
    enough for all orders.
    """
    if model == "n-gram":
        return list(_cells(model, seeds, percents, ("epochs",), (*METHODS, *ORDERS)))
    return list(_cells(model, seeds, percents, budgets, METHODS))


def _cells(
    model: str,
    seeds: int,
    percents: Sequence[int],
    budgets: Sequence[str],
    methods: Sequence[str],
) -> Iterator[Cell]:
    for seed in range(seeds):
        yield Cell(model, budgets[0], ALL, 100, seed)
        for budget in budgets:
            for kept in percents:
                yield from (Cell(model, budget, method, kept, seed) for method in methods)


class Selector:
    """What each method keeps, by the rank order of each seed."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._scores: dict[tuple[str, int], FloatArray] = {}

    def kept(self, cell: Cell) -> Mask:
        """(n,) the rows to train on."""
        if cell.method == ALL:
            return np.ones(len(self._material.texts), dtype=bool)
        key = (cell.method, cell.seed)
        if key not in self._scores:
            self._scores[key] = self._score(*key)
        return ~removed_at(self._scores[key], cell.kept)

    def _score(self, method: str, seed: int) -> FloatArray:
        X, rank = self._material.X, random_rank(len(self._material.texts), seed)
        if method in ORDERS:
            nearness = cluster_vectors(X, round(len(X) ** 0.5), seed=seed).similarity
            order = np.argsort(-nearness if method.endswith("high") else nearness, kind="stable")
            rank[order] = np.arange(len(X))
        if method.startswith("SemDeDup"):
            return all_pairs(X, rank).max_similarity
        if method == "NearDup":
            return max_jaccard(self._material.texts, rank)[0]
        return rank.astype(np.float32)


def run(cell: Cell, material: Material, selector: Selector) -> Result:
    """Train one model and measure it on what is held out."""
    begun = time.perf_counter()
    kept = np.flatnonzero(selector.kept(cell))
    documents = [material.train[row] for row in kept]
    tokens = sum(map(len, documents))
    if cell.model == "n-gram":
        model = KneserNey(documents, _N_TOKENS)
        found, once = (model.perplexity(test) for test in (material.test, material.once))
    else:
        found, once = _transformer(cell, documents, material)
    seconds = time.perf_counter() - begun
    return Result(**asdict(cell), tokens=tokens, perplexity=found, once=once, seconds=seconds)


def _transformer(
    cell: Cell, documents: Sequence[np.ndarray], material: Material
) -> tuple[float, float]:
    from small_gpt import Size, packed, perplexity, trained

    size = Size()
    windows = packed(documents, 0, size.context)
    whole = packed(material.train, 0, size.context)
    of = whole if cell.budget == "steps" else windows
    steps = max(1, len(of) // size.batch)
    model = trained(windows, _N_TOKENS, steps, cell.seed, size)
    tests = (packed(test, 0, size.context) for test in (material.test, material.once))
    found, once = (perplexity(model, test) for test in tests)
    return found, once


def study(material: Material, wanted: Sequence[Cell], file: Path) -> list[Result]:
    """Train what is missing, with an estimate of what is left; return the results of all."""
    known, selector = read_results(file), Selector(material)
    spent: list[float] = []
    for number, cell in enumerate(wanted):
        if cell in known:
            continue
        known[cell] = run(cell, material, selector)
        add_result(file, known[cell])
        spent.append(known[cell].seconds)
        left = (len(wanted) - number - 1) * sum(spent) / len(spent) / 60
        print(
            f"{number + 1} of {len(wanted)}: {cell} {known[cell].perplexity:.2f}, about {left:.0f} "
            "min left",
            flush=True,
        )
    return [known[cell] for cell in wanted]


@click.command(help=__doc__)
@study_options(rows=20_000)
@click.option("--encoder", default="static", show_default=True)
@click.option("--seeds", type=int, default=3, show_default=True)
@click.option("--kept", "percents", type=int, multiple=True, default=KEPT, show_default=True)
@click.option("--budget", "budgets", multiple=True, type=click.Choice(BUDGETS), default=BUDGETS)
@click.option(
    "--model", "kinds", multiple=True, type=click.Choice(["n-gram", "transformer"]),
    default=["n-gram"], show_default=True,
)  # fmt: skip
def main(
    rows: int,
    cache: Path,
    out: Path,
    encoder: str,
    seeds: int,
    percents: tuple[int, ...],
    budgets: tuple[str, ...],
    kinds: tuple[str, ...],
) -> None:
    corpus = load_corpus(rows, cache)
    material = prepared(corpus, vectors_of(encoder, corpus.texts, cache))
    print(
        f"{corpus.name}: {len(material.train):,} texts to train on, "
        f"{sum(map(len, material.train)):,} tokens; {len(material.test):,} held out"
    )
    results = []
    for kind in kinds:
        file = out / "language" / f"{kind}-{rows}-{encoder}.csv"
        results += study(material, cells(kind, seeds, percents, budgets), file)
    for name, table in summaries(results).items():
        table.show()
        table.write(out / "language" / f"{name}.csv")


if __name__ == "__main__":
    main()
