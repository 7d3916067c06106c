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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from cells import BUDGETS, KEPT, ORDERS, Cell, Selector, grid, spread_table, trained
from corpus import Corpus, load_corpus
from kneser_ney import KneserNey
from models import vectors_of
from neardup import max_jaccard
from scored import FloatArray, study_options
from tables import Table

METHODS = ("SemDeDup", "NearDup", "random")
_HELD_OUT = 0.05
_N_TOKENS = 4096
_END = "<end>"


@dataclass(frozen=True)
class Result(Cell):
    """What came of a cell; ``once``: the perplexity on one text of each held-out source package."""

    tokens: int
    perplexity: float
    once: float
    seconds: float


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
    """Everything to train. An n-gram model counts once, and is quick enough for all orders."""
    if model == "n-gram":
        return list(grid(model, seeds, percents, {"epochs": (*METHODS, *ORDERS)}))
    return list(grid(model, seeds, percents, dict.fromkeys(budgets, METHODS)))


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
    import small_gpt
    from small_gpt import Size, packed, perplexity

    size = Size()
    windows = packed(documents, 0, size.context)
    whole = packed(material.train, 0, size.context)
    of = whole if cell.budget == "steps" else windows
    steps = max(1, len(of) // size.batch)
    model = small_gpt.trained(windows, _N_TOKENS, steps, cell.seed, size)
    tests = (packed(test, 0, size.context) for test in (material.test, material.once))
    found, once = (perplexity(model, test) for test in tests)
    return found, once


def study(material: Material, wanted: Sequence[Cell], file: Path) -> list[Result]:
    """Train what is missing; return the results of all."""
    selector = Selector(material.X, {"NearDup": lambda rank: max_jaccard(material.texts, rank)[0]})
    return trained(
        wanted, file, Result, lambda cell: run(cell, material, selector), lambda r: r.perplexity
    )


def summaries(results: Sequence[Result]) -> dict[str, Table]:
    """Mean and deviation over the seeds, by the names of their files."""
    what: dict[str, tuple[str, Callable[[Result], float]]] = {
        "summary": ("Perplexity a token on held-out source packages", lambda r: r.perplexity),
        "once": ("The same on one text of each held-out source package", lambda r: r.once),
        "tokens": ("Thousands of tokens to train on", lambda r: r.tokens / 1000),
    }
    return {name: spread_table(title, results, value) for name, (title, value) in what.items()}


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
    for kind in kinds:
        folder = out / "language"
        file = folder / f"{kind}-{rows}-{encoder}.csv"
        results = study(material, cells(kind, seeds, percents, budgets), file)
        for name, table in summaries(results).items():
            table.show()
            table.write(folder / f"{kind}-{name}.csv")


if __name__ == "__main__":
    main()
