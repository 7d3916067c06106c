"""A text's vector depends on the text alone, and means what the model's authors measured."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.text.minilm_files import minilm_directory, minilm_identity
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import unit_rows

CPU = EncoderSpec("minilm", device="cpu")
TEXTS = [
    "the cat sat on the mat",
    "a feline rested on a rug",
    "quarterly revenue rose by four percent",
    "x",
    "",
    "Žluťoučký kůň \U0001f40e úpěl ďábelské ódy",
    "one two three four five six seven eight nine ten eleven twelve " * 3,
    "def f(x):\n    return x + 1\n" * 9,
    "the dog stood on the hill",
]


def encode(texts, **settings):
    encoder = load_encoder(EncoderSpec("minilm", device="cpu", **settings))
    return encoder.encode(encoder.prepare(texts))


@pytest.fixture(scope="module")
def expected():
    return encode(TEXTS)


def test_vectors_have_384_finite_dimensions(expected):
    assert expected.shape == (len(TEXTS), 384)
    assert expected.dtype == np.float32
    assert np.isfinite(expected).all()
    assert len(np.unique(expected, axis=0)) == len(TEXTS)


def test_a_vector_does_not_depend_on_its_company(expected):
    for row, text in enumerate(TEXTS):
        assert np.array_equal(encode([text])[0], expected[row]), text
    # Beside texts of the same padded length, and as the only short one among long ones.
    crowd = ["the bird flew over the lake", TEXTS[0], "a b c d e f", *["long " * 200] * 3]
    assert np.array_equal(encode(crowd)[1], expected[0])


def test_vectors_do_not_depend_on_order_or_repetition(expected):
    order = np.random.default_rng(0).permutation(len(TEXTS))
    assert np.array_equal(encode([TEXTS[i] for i in order]), expected[order])
    again = encode(TEXTS * 3)
    assert np.array_equal(again, np.tile(expected, (3, 1)))


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_vectors_do_not_depend_on_the_batch_size(expected, batch_size):
    texts = [*TEXTS, *(f"the number {i} came up again" for i in range(20))]
    default = encode(texts)
    assert np.array_equal(default[: len(TEXTS)], expected)
    assert np.array_equal(encode(texts, batch_size=batch_size), default)


def test_long_texts_are_cut_at_max_length():
    words = [f"word{'abcdefghij'[i % 10]}" for i in range(400)]
    whole, other_end = " ".join(words), " ".join([*words[:300], "something", "else"])
    assert np.array_equal(*encode([whole, other_end]))  # alike in the first 256 tokens
    # [CLS] and [SEP] count: 16 tokens hold 14 one-token words.
    short = "red green blue one two three four five six seven eight nine ten dog"
    cut, fitting = encode([short + " cat horse", short], max_length=16)
    assert np.array_equal(cut, fitting)
    beside = encode([short + " cat horse", short], max_length=17)
    assert not np.array_equal(beside[0], beside[1])


def test_similar_sentences_are_near_as_people_judged_them(shared_data):
    pairs = pd.read_csv(
        shared_data / "stsb_en" / "stsb-en-test.csv", header=None, names=["a", "b", "score"]
    ).head(300)
    assert len(pairs) == 300
    X = unit_rows(encode([*pairs["a"], *pairs["b"]])).X
    cosine = pd.Series((X[:300] * X[300:]).sum(axis=1))
    spearman = cosine.rank().corr(pairs["score"].rank())
    assert spearman > 0.92  # 0.934 when written; 0.82 on the whole test set, whose end is harder


def test_the_identity_names_the_weights_and_what_else_decides_the_numbers():
    names = ("config.json", "model.safetensors", "tokenizer.json")
    content = b"".join((minilm_directory(None) / name).read_bytes() for name in names)
    identity = minilm_identity(CPU)
    assert hashlib.sha256(content).hexdigest() in identity
    assert encoder_identity(CPU) == identity
    assert minilm_identity(EncoderSpec("minilm", max_length=128)) != identity
    assert minilm_identity(EncoderSpec("minilm", precision="bfloat16")) != identity
    assert minilm_identity(EncoderSpec("minilm", batch_size=1, device="auto")) == identity


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_another_file_in_a_local_directory_is_another_identity(tmp_path, name):
    for each in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / each).write_bytes((minilm_directory(None) / each).read_bytes())
    here = EncoderSpec("minilm", model=str(tmp_path))
    assert minilm_identity(here) == minilm_identity(CPU)
    (tmp_path / name).write_bytes(b"something else")  # in the same place, in the same process
    assert minilm_identity(here) != minilm_identity(CPU)


@pytest.mark.parametrize("look", [encoder_identity, load_encoder])
def test_a_missing_model_directory_is_an_error_with_a_way_out(tmp_path, look):
    with pytest.raises(EnvironmentProblem) as caught:
        look(EncoderSpec("minilm", model=str(tmp_path / "nowhere")))
    assert caught.value.exit_code == 2
    for part in ("embed.model", str(tmp_path / "nowhere"), "model.safetensors"):
        assert part in caught.value.problem
    assert "unset" in caught.value.hint


def test_an_incomplete_model_directory_names_what_is_missing(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EnvironmentProblem, match=r"without model\.safetensors, tokenizer"):
        encoder_identity(EncoderSpec("minilm", model=str(tmp_path)))


@pytest.mark.parametrize("look", [encoder_identity, load_encoder])
def test_more_tokens_than_the_model_has_positions_for_are_refused(look):
    with pytest.raises(EnvironmentProblem, match="at most 512"):
        look(EncoderSpec("minilm", max_length=513, device="cpu"))


def test_the_length_of_its_authors_holds_where_none_is_set():
    assert minilm_identity(EncoderSpec("minilm", max_length=256)) == minilm_identity(CPU)
    assert np.array_equal(encode(["word " * 400]), encode(["word " * 400], max_length=256))
