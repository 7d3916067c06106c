"""NearDup decides by the true Jaccard similarity, and the study counts what each method removes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.rows import families, texts_of

pytest.importorskip("datasketch")

import baselines
from corpus import Corpus
from neardup import jaccard, max_jaccard, shingles


def test_shingles_are_runs_of_words_or_a_short_text_itself():
    assert shingles("A b  c d e F") == {"a b c d e", "b c d e f"}
    assert shingles("two words") == {"two words"}
    assert jaccard(shingles("a b c d e f"), shingles("x b c d e f")) == 1 / 3


def test_the_score_is_the_true_jaccard_to_the_earlier_row():
    texts = texts_of(families()[1][:60])
    rank = np.arange(len(texts))[::-1].copy()  # the last row ranks first
    best, neighbor = max_jaccard(texts, rank)
    sets = [shingles(text) for text in texts]
    assert best[-1] == 0
    assert neighbor[-1] == -1
    near, found = 0, 0
    for row in range(len(texts) - 1):
        true = max(jaccard(sets[row], sets[other]) for other in range(row + 1, len(texts)))
        assert best[row] <= true + 1e-6
        near += true > 0.6
        found += true > 0.6 and best[row] == pytest.approx(true, abs=1e-6)
    assert found > 0.9 * near > 0  # MinHash overlooks few


def test_the_study_counts_exact_copies_and_what_one_method_alone_removes():
    X, family = families(n_families=40)
    texts = texts_of(family)
    texts[3] = texts[2]
    tables = baselines.study(Corpus("made up", texts, [str(each) for each in family]), X)
    rows = {row[0]: row for row in tables["overview"].rows}
    assert rows["exact duplicates"][2] == 1
    assert rows["SemDeDup, 80.0 %"][2] == rows["random, 80.0 %"][2] == 40
    assert rows["SemDeDup, 80.0 %"][4] == 1  # every twin is of the family
    for _, both, words, vectors in tables["differences"].rows:
        assert words >= 0
        assert both + vectors > 0
