"""A table of token vectors gives the means that its own library gives, one text at a time."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("model2vec")

from model2vec import StaticModel

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.text.static import Static
from semdedup_spark.encoders.text.static_files import static_identity
from semdedup_spark.errors import EnvironmentProblem
from tests.encoders.textmodels import TEXTS, text_of, tokenizer

_N_TOKENS = 44


def spec(directory, **settings):
    return EncoderSpec("static", model=None if directory is None else str(directory), **settings)


def encode(encoder, texts):
    return encoder.encode(encoder.prepare(texts))


def save(directory, *, mapped=False, **settings):
    """A tiny table as the library saves it; the library's own reading of it."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((10 if mapped else _N_TOKENS, 8)).astype(np.float32)
    more = {
        "token_mapping": rng.integers(10, size=_N_TOKENS),
        "weights": rng.random(_N_TOKENS).astype(np.float32) + 0.1,
    }
    own = StaticModel(table, tokenizer().backend_tokenizer, **(more if mapped else {}), **settings)
    own.save_pretrained(directory)
    return own


@pytest.mark.parametrize("settings", [{}, {"mapped": True}, {"normalize": True}])
def test_vectors_point_where_the_librarys_do(tmp_path, settings):
    own = save(tmp_path, **settings).encode(TEXTS)
    found = encode_payloads(Static(spec(tmp_path)), TEXTS).X
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    np.testing.assert_allclose(found, own, atol=1e-6)


def test_the_bits_of_a_vector_do_not_depend_on_its_company(tmp_path):
    save(tmp_path)
    encoder = Static(spec(tmp_path))
    expected = encode(encoder, TEXTS)
    for row, text in enumerate(TEXTS):
        assert np.array_equal(encode(encoder, [text])[0], expected[row]), text
    assert np.array_equal(encode(encoder, TEXTS[::-1])[::-1], expected)


def test_unknown_words_are_left_out_and_a_text_of_them_alone_has_no_tokens(tmp_path):
    save(tmp_path)
    encoder = Static(spec(tmp_path))
    known, beside = encode(encoder, ["w1 w2", "w1 never w2 seen"])
    assert np.array_equal(known, beside)
    assert encode_payloads(encoder, ["w1", "never seen", "  "]).reasons == [
        None,
        "no_tokens",
        "no_tokens",
    ]


def test_long_texts_are_cut_averaged_or_refused(tmp_path):
    save(tmp_path)
    whole, head = text_of(19), " ".join(text_of(19).split()[:8])
    cut, fitting = encode(Static(spec(tmp_path, max_length=8)), [whole, head])
    assert np.array_equal(cut, fitting)
    averaged = encode(Static(spec(tmp_path, max_length=8, long_text="chunk-mean")), [whole])
    assert np.array_equal(averaged, encode(Static(spec(tmp_path)), [whole]))
    refusing = Static(spec(tmp_path, max_length=8, long_text="reject"))
    assert encode_payloads(refusing, [whole, head]).reasons == ["over_long_text", None]


def test_the_length_of_the_directory_holds_unless_another_is_set(tmp_path):
    save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "max_length": 8}))
    whole, head = text_of(19), " ".join(text_of(19).split()[:8])
    assert np.array_equal(*encode(Static(spec(tmp_path)), [whole, head]))
    assert not np.array_equal(*encode(Static(spec(tmp_path, max_length=9)), [whole, head]))


def test_the_identity_names_the_files_and_what_else_decides_the_numbers(tmp_path):
    save(tmp_path)
    known = {static_identity(spec(tmp_path)), static_identity(spec(tmp_path, max_length=8))}
    known.add(static_identity(spec(tmp_path, long_text="reject")))
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
        known.add(encoder_identity(spec(tmp_path)))
    assert len(known) == 6


@pytest.mark.parametrize("look", [encoder_identity, load_encoder])
def test_a_directory_without_a_table_is_an_error_with_a_way_out(tmp_path, look):
    with pytest.raises(EnvironmentProblem, match=r"model\.safetensors") as caught:
        look(spec(tmp_path / "nowhere"))
    assert "unset" in caught.value.hint


def test_a_broken_table_is_an_error_that_names_the_model(tmp_path):
    save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no table")
    with pytest.raises(EnvironmentProblem, match="model2vec can load"):
        Static(spec(tmp_path))


def test_the_packaged_table_ranks_pairs_of_sentences_as_people_do(shared_data):
    """All 1,379 pairs: 0.759 when written."""
    if find_spec("wordllama") is None:
        pytest.skip("the package wordllama is not installed")
    pairs = pd.read_csv(
        shared_data / "stsb_en" / "stsb-en-test.csv", header=None, names=["a", "b", "score"]
    )
    batch = encode_payloads(load_encoder(spec(None)), [*pairs["a"], *pairs["b"]])
    assert not any(batch.reasons)
    cosine = pd.Series((batch.X[: len(pairs)] * batch.X[len(pairs) :]).sum(axis=1))
    spearman = cosine.rank().corr(pairs["score"].rank())
    print(f"static on {len(pairs)} pairs of STS-B: Spearman {spearman:.4f}")
    assert 0.75 < spearman < 0.77
