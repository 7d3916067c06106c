"""A transformers model says of each text what it would say of that text alone, unpadded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.text.hf_text import load_hf_text, pool
from semdedup_spark.errors import EnvironmentProblem
from tests.encoders.textmodels import LIMIT, TEXTS, make, text_of

POOLED = {
    "mean": lambda hidden: hidden.mean(axis=0),
    "cls": lambda hidden: hidden[0],
    "last": lambda hidden: hidden[-1],
}


def spec(directory, **settings):
    return EncoderSpec("hf-text", model=str(directory), device="cpu", **settings)


def encode(encoder, texts):
    return encoder.encode(encoder.prepare(texts))


def alone(model, directory, text, pooling):
    """The text in a forward pass of its own, without any padding."""
    ids = AutoTokenizer.from_pretrained(str(directory))(text, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return POOLED[pooling](model(ids).last_hidden_state[0].numpy())


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("kind", ["opt", "gpt2", "bert"])
def test_vectors_are_those_of_each_text_alone(tmp_path, kind, side, pooling):
    model = make(kind, tmp_path, padding_side=side)
    found = encode(load_hf_text(spec(tmp_path, pooling=pooling)), TEXTS)
    assert found.dtype == np.float32
    for row, text in enumerate(TEXTS):
        expected = alone(model, tmp_path, text, pooling)
        np.testing.assert_allclose(found[row], expected, atol=1e-5, err_msg=text)


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_finds_the_tokens_on_either_side_of_the_padding(tmp_path, side, pooling):
    model = make("opt", tmp_path, padding_side=side, pad_token="[UNK]")
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert bool((batch["attention_mask"][0, 0] == 0) == (side == "left"))
    with torch.inference_mode():
        hidden = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
    found = pool(hidden, batch["attention_mask"], pooling).numpy()
    for row, text in enumerate(TEXTS):
        expected = alone(model, tmp_path, text, pooling)
        np.testing.assert_allclose(found[row], expected, atol=1e-5, err_msg=text)


def test_the_last_token_is_not_the_last_place_of_the_batch(tmp_path):
    """Without this, most vectors of a batch would be those of padding."""
    make("opt", tmp_path)
    found = encode(load_hf_text(spec(tmp_path, pooling="last")), [text_of(2), text_of(2) + " w9"])
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("kind", ["opt", "gpt2", "bert"])
def test_the_bits_of_a_vector_do_not_depend_on_its_company(tmp_path, kind, pooling, precision):
    make(kind, tmp_path)
    settings = {"pooling": pooling, "precision": precision}
    encoder = load_hf_text(spec(tmp_path, **settings))
    expected = encode(encoder, TEXTS)
    for row, text in enumerate(TEXTS):
        assert np.array_equal(encode(encoder, [text])[0], expected[row]), text
    order = np.random.default_rng(0).permutation(len(TEXTS))
    assert np.array_equal(encode(encoder, [TEXTS[i] for i in order]), expected[order])
    for batch_size in (1, 3):
        other = load_hf_text(spec(tmp_path, batch_size=batch_size, **settings))
        assert np.array_equal(encode(other, TEXTS * 2), np.tile(expected, (2, 1)))


def test_mean_is_the_pooling_where_none_is_named(tmp_path):
    make("gpt2", tmp_path)
    named = encode(load_hf_text(spec(tmp_path, pooling="mean")), TEXTS)
    assert np.array_equal(encode(load_hf_text(spec(tmp_path)), TEXTS), named)


def test_of_an_encoder_with_a_decoder_the_encoder_is_used(tmp_path):
    model = make("t5", tmp_path)
    found = encode(load_hf_text(spec(tmp_path)), TEXTS)
    for row, text in enumerate(TEXTS):
        expected = alone(model.get_encoder(), tmp_path, text, "mean")
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_the_longest_texts_fit_the_positions_of_the_model(tmp_path):
    """44 positions: padding to a multiple of eight would need 48."""
    model = make("bert", tmp_path)
    longest = text_of(LIMIT - 2)
    found = encode(load_hf_text(spec(tmp_path, max_length=LIMIT)), [longest])
    np.testing.assert_allclose(found[0], alone(model, tmp_path, longest, "mean"), atol=1e-5)
    own = encode(load_hf_text(spec(tmp_path)), [longest + " w1"])
    assert np.array_equal(own, found)


def test_more_tokens_than_positions_are_refused_with_the_limit(tmp_path):
    make("gpt2", tmp_path)
    with pytest.raises(EnvironmentProblem, match=f"at most {LIMIT}"):
        load_hf_text(spec(tmp_path, max_length=LIMIT + 1))


def test_long_texts_are_cut(tmp_path):
    make("bert", tmp_path)
    encoder = load_hf_text(spec(tmp_path, max_length=10))
    cut, fitting, other = encode(encoder, [text_of(30), text_of(8), text_of(7)])
    assert np.array_equal(cut, fitting)
    assert not np.array_equal(cut, other)


@pytest.mark.parametrize("pooling", POOLED)
def test_the_pieces_of_a_long_text_are_averaged_by_their_tokens(tmp_path, pooling):
    make("opt", tmp_path)
    encoder = load_hf_text(spec(tmp_path, max_length=10, long_text="chunk-mean", pooling=pooling))
    words = text_of(21).split()  # beside </s>, nine fit: 9 + 9 + 3
    pieces = [" ".join(words[i : i + 9]) for i in (0, 9, 18)]
    whole, *parts, short = encode(encoder, [" ".join(words), *pieces, "w1 w2"])
    expected = np.average(np.array(parts, dtype=np.float64), axis=0, weights=[10, 10, 4])
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    truncating = load_hf_text(spec(tmp_path, max_length=10, pooling=pooling))
    assert np.array_equal(short, encode(truncating, ["w1 w2"])[0])
    assert np.array_equal(whole, encode(encoder, [" ".join(words)])[0])


def test_long_texts_go_to_quarantine_where_the_policy_says_so(tmp_path):
    make("bert", tmp_path)
    encoder = load_hf_text(spec(tmp_path, max_length=10, long_text="reject"))
    batch = encode_payloads(encoder, [text_of(8), text_of(9), text_of(2000), text_of(3)])
    assert batch.reasons == [None, "over_long_text", "over_long_text", None]
    assert "10" in (batch.messages[1] or "")
    np.testing.assert_allclose(np.linalg.norm(batch.X, axis=1), [1, 0, 0, 1], atol=1e-6)


def test_a_text_without_tokens_is_rejected_alone(tmp_path):
    make("gpt2", tmp_path)  # its tokeniser adds nothing of its own
    encoder = load_hf_text(spec(tmp_path, pooling="last"))
    batch = encode_payloads(encoder, [TEXTS[3], "", " \n", None, TEXTS[4]])
    assert batch.reasons == [None, "no_tokens", "no_tokens", None, None]
    assert np.array_equal(batch.X[[0, 4]], encode_payloads(encoder, TEXTS[3:5]).X)
    assert encode_payloads(encoder, [""]).reasons == ["no_tokens"]


def test_half_a_surrogate_pair_is_rejected_alone(tmp_path):
    make("gpt2", tmp_path)
    [good, bad] = load_hf_text(spec(tmp_path)).prepare([TEXTS[3], "w1 \ud800"])
    assert isinstance(bad, RejectedPayload)
    assert bad.reason == "invalid_utf8"
    assert not isinstance(good, RejectedPayload)


def overflow(model):
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(1e6)


def test_a_model_that_overflows_in_float16_is_refused_when_it_is_loaded(tmp_path):
    make("bert", tmp_path, prepare=overflow)
    load_hf_text(spec(tmp_path))
    load_hf_text(spec(tmp_path, precision="bfloat16"))
    with pytest.raises(EnvironmentProblem) as caught:
        load_hf_text(spec(tmp_path, precision="float16"))
    assert "embed.precision" in caught.value.problem
    assert "float16" in caught.value.problem
    assert "bfloat16" in caught.value.hint


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_lower_precision_changes_a_healthy_model_little(tmp_path, precision):
    make("opt", tmp_path)
    exact, low = (
        encode_payloads(load_hf_text(spec(tmp_path, pooling="last", precision=p)), TEXTS).X
        for p in ("float32", precision)
    )
    assert not np.array_equal(low, exact)
    assert (low * exact).sum(axis=1).min() > 0.999
