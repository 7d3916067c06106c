"""The language models of the study: probabilities that add up, and selections of the right size."""

from __future__ import annotations

import csv

import numpy as np
import pytest

pytest.importorskip("datasketch")

import language
from cells import ALL, BUDGETS, ORDERS
from corpus import Corpus
from kneser_ney import KneserNey

from tests.benchmarks.rows import families, texts_of


def test_probabilities_of_all_tokens_add_up_to_one():
    rng = np.random.default_rng(0)
    model = KneserNey([rng.integers(6, size=n) for n in (5, 9, 1, 30)], n_tokens=7, order=3)
    for context in ([], [1], [2, 5], [6, 6], [0, 1, 2]):
        bits = [
            model.log2_probabilities([np.array([*context, token])])[-1] for token in range(7)
        ]  # token 6 was never seen
        assert (2 ** np.array(bits)).sum() == pytest.approx(1)


def test_bigrams_are_those_counted_by_hand():
    """Of "a b a c": a is followed by b and by c, so n1 = 4 of 4 bigrams and the discount is 1: only
    the lower level is left, in which a, b and c each follow one kind of token (a two: the start and
    b), each with the discount n1 / (n1 + 2 n2) = 2 / 4.
    """
    model = KneserNey([np.array([0, 1, 0, 2])], n_tokens=3, order=2)
    lower = np.array([2 - 0.5, 1 - 0.5, 1 - 0.5]) / 4 + 0.5 * 3 / 4 / 3
    found = [2 ** model.log2_probabilities([np.array([0, token])])[-1] for token in range(3)]
    assert found == pytest.approx(lower.tolist())


def test_what_was_seen_is_less_surprising_than_what_was_not():
    seen = [np.array([1, 2, 3, 4, 5] * 4)]
    model = KneserNey(seen, n_tokens=10)
    assert model.perplexity(seen) < 2
    assert model.perplexity([np.array([5, 4, 3, 2, 1] * 4)]) > 5


def test_grams_that_do_not_fit_into_a_number_are_refused():
    with pytest.raises(ValueError, match="64 bits"):
        KneserNey([np.array([1])], n_tokens=10**6, order=4)


@pytest.fixture(scope="module")
def material():
    X, family = families(n_families=40)
    return language.prepared(Corpus("made up", texts_of(family), [f"p{i}" for i in family]), X)


def test_a_source_package_is_held_out_as_a_whole_and_unknown_to_the_tokens(material):
    assert len(material.train) + len(material.test) == 200
    assert len(material.test) % 5 == 0
    assert 0 < len(material.test) == 5 * len(material.once) < 50
    assert len(material.X) == len(material.texts) == len(material.train)


def test_a_stopped_study_goes_on_where_it_was_and_tells_the_same(material, tmp_path):
    wanted = language.cells("n-gram", 2, (80, 50), BUDGETS)
    assert len(wanted) == len(set(wanted)) == 2 * (1 + 2 * 5)
    whole = language.study(material, wanted, tmp_path / "whole.csv")
    language.study(material, wanted[:5], tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(newline="") as file:
        before = list(csv.reader(file))
    parts = language.study(material, wanted, tmp_path / "parts.csv")
    with (tmp_path / "parts.csv").open(newline="") as file:
        assert list(csv.reader(file))[: len(before)] == before
    assert [r.perplexity for r in parts] == [r.perplexity for r in whole]
    for table in language.summaries(whole).values():
        assert [row[2] for row in table.rows] == [
            ALL,
            *language.METHODS,
            *ORDERS,
        ]


def test_a_small_transformer_learns_and_repeats(material):
    from small_gpt import Size, packed, perplexity, trained

    size = Size(width=16, layers=1, heads=2, context=16, batch=4)
    windows = packed(material.train, 0, size.context)
    assert windows.shape[1] == size.context + 1
    n_tokens = int(windows.max()) + 1
    first, again, longer = (trained(windows, n_tokens, steps, 0, size) for steps in (2, 2, 30))
    assert perplexity(first, windows) == perplexity(again, windows)
    assert perplexity(longer, windows) < perplexity(first, windows)


def test_documents_shorter_than_a_window_fill_one():
    from small_gpt import packed

    assert packed([np.array([1, 2])], 0, 8).tolist() == [[1, 2, 0, 1, 2, 0, 1, 2, 0]]
    assert packed([np.arange(1, 18)], 0, 8).shape == (2, 9)
