"""Long texts are cut, counted and put together without reading more of them than is needed."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark.encoders.protocol import RejectedPayload
from semdedup_spark.encoders.text.token_windows import Tokens, encode_windows
from tests.encoders.textmodels import WORDS, text_of, tokenizer


class Spy:
    """A tokeniser that remembers how many characters it was given."""

    def __init__(self):
        self.inner = tokenizer()
        self.characters = []

    def __call__(self, texts, **settings):
        self.characters.append(sum(len(text) for text in texts))
        return self.inner(texts, **settings)


def ids(text):
    return tokenizer()(text)["input_ids"]


@pytest.mark.parametrize("long_text", ["truncate", "reject"])
def test_of_a_huge_text_only_the_beginning_is_tokenised(long_text):
    spy = Spy()
    huge = " ".join(WORDS) + " w1" * 1_000_000
    [outcome] = Tokens(spy, 16, long_text).prepare([huge])
    assert sum(spy.characters) < 5_000
    if long_text == "truncate":
        assert outcome == [ids(huge[:1000])[:16]]
    else:
        assert isinstance(outcome, RejectedPayload)
        assert outcome.reason == "over_long_text"


@pytest.mark.parametrize("long_text", ["truncate", "reject", "chunk-mean"])
def test_words_behind_a_long_gap_are_still_found(long_text):
    tokens = Tokens(tokenizer(("[CLS] $A", [("[CLS]", 2)])), 16, long_text)
    spaced = "w1" + " " * 100_000 + "w2 w3"
    assert tokens.prepare([spaced]) == tokens.prepare(["w1 w2 w3"])
    far_behind = " " * 500_000 + "w2 w3"
    assert tokens.prepare([far_behind]) == tokens.prepare(["w2 w3"])


def test_a_prompt_does_not_push_texts_out_of_their_batch():
    texts = ["w1 " * 66_660, "w2"]
    prompted = Tokens(tokenizer(), 16, "chunk-mean", "w3 " * 100).prepare(texts)
    assert prompted[1] == Tokens(tokenizer(), 16, "chunk-mean").prepare(["w3 " * 100 + "w2"])[0]
    assert sum(map(len, prompted[0])) == 66_760


def test_a_batch_of_long_texts_is_tokenised_in_parts():
    spy = Spy()
    texts = [text_of(500, start=i) for i in range(300)]
    windows = Tokens(spy, 1000, "truncate").prepare(texts)
    assert windows == [[ids(text)] for text in texts]
    assert max(spy.characters) <= 200_000
    assert len(spy.characters) > 1


def test_chunks_hold_every_token_once_and_in_order():
    text = text_of(50)
    [windows] = Tokens(tokenizer(), 16, "chunk-mean").prepare([text])
    assert [len(window) for window in windows] == [16, 16, 16, 2]
    assert [token for window in windows for token in window] == ids(text)


def test_a_book_is_tokenised_in_pieces_and_loses_no_token():
    for gap in (" ", "\n"):
        spy = Spy()
        book = gap.join(WORDS[i * i % 40] for i in range(150_000))
        [windows] = Tokens(spy, 100, "chunk-mean").prepare([book])
        assert [token for window in windows for token in window] == ids(book)
        assert max(map(len, windows)) == 100
        assert max(spy.characters) <= 200_000
    [windows] = Tokens(tokenizer(), 100, "chunk-mean").prepare(["w" * 500_000])
    assert windows == [ids("w")] * 3  # a word that long is cut


def test_a_prompt_counts_as_part_of_the_text():
    assert Tokens(tokenizer(), 8, "truncate", "w5 w6 ").prepare(["w1"]) == [[ids("w5 w6 w1")]]


def forward(tokens, length):
    assert all(length - 8 < len(sequence) <= length for sequence in tokens)
    return np.array([[sum(sequence), len(sequence)] for sequence in tokens], dtype=np.float32)


def test_vectors_come_back_in_order_whatever_the_lengths():
    rng = np.random.default_rng(0)
    prepared = [[rng.integers(0, 9, size=n).tolist()] for n in rng.integers(1, 60, size=200)]
    X = encode_windows(prepared, forward, batch_size=7)
    assert X.dtype == np.float32
    assert X.tolist() == [[sum(windows[0]), len(windows[0])] for windows in prepared]


def test_several_windows_become_their_mean_weighted_by_tokens():
    X = encode_windows([[[1, 1, 1], [5]], [[2]]], forward, batch_size=2)
    np.testing.assert_allclose(X, [[(3 * 3 + 5 * 1) / 4, (3 * 3 + 1) / 4], [2, 1]])


def test_lengths_grow_in_steps_of_eight_and_end_at_the_models_positions():
    lengths = []

    def seen(tokens, length):
        lengths.append(length)
        return np.zeros((len(tokens), 1), dtype=np.float32)

    encode_windows([[[0] * n] for n in (1, 8, 9, 17, 20)], seen, batch_size=8, longest=20)
    assert lengths == [8, 16, 20]


def test_a_book_does_not_fill_the_memory_of_a_gpu_at_once():
    sizes = []

    def seen(tokens, length):
        sizes.append(len(tokens))
        return np.ones((len(tokens), 1), dtype=np.float32)

    encode_windows([[[0] * 8] * 1000], seen, batch_size=4096)
    assert max(sizes) == 32
    encode_windows([[[0] * 8]] * 1000, seen, batch_size=4096)
    assert max(sizes) == 1000
