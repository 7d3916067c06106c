"""A saved sentence-transformers model gives the vectors that its own library gives."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from torch import nn

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.text.minilm_files import minilm_directory
from semdedup_spark.encoders.text.sentence_transformers import Sentences
from semdedup_spark.errors import EnvironmentProblem
from tests.encoders.textmodels import TEXTS, make, text_of, tokenizer


def spec(directory, **settings):
    return EncoderSpec("sentence-transformers", model=str(directory), device="cpu", **settings)


def encode(encoder, texts):
    return encoder.encode(encoder.prepare(texts))


def save(directory, *, kind="bert", pooling="mean", more=(), prompts=None, transformer=None, **how):
    """A tiny model of the library; the library's own reading of it."""
    make(kind, directory / "inner", **({"pad_token": "[UNK]"} | how))
    first = Transformer(str(directory / "inner"), **(transformer or {}))
    width = first.get_embedding_dimension()
    pools = pooling if isinstance(pooling, Pooling) else Pooling(width, pooling_mode=pooling)
    model = SentenceTransformer(
        modules=[first, pools, *more],
        device="cpu",
        prompts=prompts,
        default_prompt_name=next(iter(prompts)) if prompts else None,
    )
    model.save(str(directory / "saved"))
    return directory / "saved", SentenceTransformer(str(directory / "saved"), device="cpu")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", ("cls", "mean")])
@pytest.mark.parametrize("kind", ["bert", "opt"])
def test_every_pooling_is_the_librarys(tmp_path, kind, pooling):
    directory, own = save(tmp_path, kind=kind, pooling=pooling)
    found = encode(Sentences(spec(directory)), TEXTS)
    np.testing.assert_allclose(found, own.encode(TEXTS), atol=1e-5)


def test_dense_layers_and_normalisation_count(tmp_path):
    modules = [Dense(32, 8, activation_function=nn.Tanh()), Normalize()]
    directory, own = save(tmp_path, more=modules)
    found = encode(Sentences(spec(directory)), TEXTS)
    assert found.shape == (len(TEXTS), 8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found, own.encode(TEXTS), atol=1e-5)


def test_the_length_of_the_directory_holds_unless_another_is_set(tmp_path):
    directory, own = save(tmp_path, transformer={"max_seq_length": 12})
    long, fitting, shorter = text_of(30), text_of(10), text_of(6)
    cut, ten, six = encode(Sentences(spec(directory)), [long, fitting, shorter])
    assert np.array_equal(cut, ten)
    np.testing.assert_allclose(cut, own.encode([long])[0], atol=1e-5)
    assert np.array_equal(encode(Sentences(spec(directory, max_length=8)), [long])[0], six)
    with pytest.raises(EnvironmentProblem, match="at most 44"):
        Sentences(spec(directory, max_length=45))


def test_lower_case_is_made_where_the_directory_says_so(tmp_path):
    directory, own = save(tmp_path, transformer={"do_lower_case": True})
    upper, lower = encode(Sentences(spec(directory)), [text_of(9).upper(), text_of(9)])
    assert np.array_equal(upper, lower)
    np.testing.assert_allclose(upper, own.encode([text_of(9).upper()])[0], atol=1e-5)
    cased = encode(Sentences(spec(save(tmp_path / "cased")[0])), [text_of(9).upper(), text_of(9)])
    assert not np.array_equal(*cased)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_the_default_prompt_comes_before_each_text(tmp_path, include_prompt):
    pooling = Pooling(32, pooling_mode="mean", include_prompt=include_prompt)
    directory, own = save(tmp_path, pooling=pooling, prompts={"passage": "w39 w38 "})
    found = encode(Sentences(spec(directory)), TEXTS)
    np.testing.assert_allclose(found, own.encode(TEXTS), atol=1e-5)
    assert np.abs(found - own.encode(TEXTS, prompt="")).max() > 1e-3


def test_static_embeddings_are_encoded_too(tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((44, 16)).astype(np.float32)
    static = StaticEmbedding(tokenizer(), embedding_weights=weights)
    own = SentenceTransformer(modules=[static], device="cpu")
    own.save(str(tmp_path))
    encoder = Sentences(spec(tmp_path))
    np.testing.assert_allclose(encode(encoder, TEXTS), own.encode(TEXTS), atol=1e-6)
    assert encode_payloads(encoder, ["w1", "  "]).reasons == [None, "no_tokens"]
    with pytest.raises(EnvironmentProblem, match="long_text"):
        Sentences(spec(tmp_path, long_text="reject"))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_the_bits_of_a_vector_do_not_depend_on_its_company(tmp_path, pooling, side):
    more = [Dense(32, 24), Normalize()]
    directory, own = save(tmp_path, pooling=pooling, more=more, padding_side=side)
    encoder = Sentences(spec(directory))
    expected = encode(encoder, TEXTS)
    for row, text in enumerate(TEXTS):
        # Padding on the left moves BERT's positions: in a batch the library's vectors differ too.
        np.testing.assert_allclose(expected[row], own.encode([text])[0], atol=1e-5)
        assert np.array_equal(encode(encoder, [text])[0], expected[row]), text
    backwards = encode(Sentences(spec(directory, batch_size=3)), TEXTS[::-1])
    assert np.array_equal(backwards[::-1], expected)


def test_the_pieces_of_a_long_text_are_averaged_by_their_tokens(tmp_path):
    directory, _ = save(tmp_path, more=[Normalize()])
    encoder = Sentences(spec(directory, max_length=10, long_text="chunk-mean"))
    words = text_of(19).split()
    pieces = [" ".join(words[i : i + 8]) for i in (0, 8, 16)]
    whole, *parts = encode(encoder, [" ".join(words), *pieces])
    np.testing.assert_allclose(whole, np.average(parts, axis=0, weights=[10, 10, 5]), rtol=1e-5)


def test_the_packaged_minilm_gives_the_same_as_encoder_minilm():
    texts = ["the cat sat on the mat", "quarterly revenue rose", "The Cat! " * 200]
    as_saved = load_encoder(spec(minilm_directory(None)))
    minilm = load_encoder(EncoderSpec("minilm", device="cpu"))
    expected = encode_payloads(minilm, texts).X
    np.testing.assert_allclose(encode_payloads(as_saved, texts).X, expected, atol=1e-6)


def test_the_oldest_layout_keeps_the_transformer_in_a_folder_of_its_own(tmp_path):
    directory, own = save(tmp_path)
    old = tmp_path / "old"
    shutil.copytree(directory, old / "0_Transformer")
    for name in ("modules.json", "1_Pooling"):
        shutil.move(old / "0_Transformer" / name, old / name)
    modules = json.loads((old / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (old / "modules.json").write_text(json.dumps(modules))
    found = encode(Sentences(spec(old)), TEXTS)
    np.testing.assert_allclose(found, own.encode(TEXTS), atol=1e-5)
    with pytest.raises(EnvironmentProblem, match="at most 44"):
        Sentences(spec(old, max_length=45))


def test_a_directory_of_another_library_names_the_encoder_to_use(tmp_path):
    make("bert", tmp_path)
    with pytest.raises(EnvironmentProblem, match="hf-text"):
        Sentences(spec(tmp_path))


def test_a_lower_precision_is_tried_when_the_model_is_loaded(tmp_path):
    directory, own = save(tmp_path, more=[Dense(32, 24), Normalize()])
    low = encode(Sentences(spec(directory, precision="bfloat16")), TEXTS)
    assert not np.array_equal(low, own.encode(TEXTS))
    assert (low * own.encode(TEXTS)).sum(axis=1).min() > 0.999
    heavy, _ = save(
        tmp_path / "heavy",
        prepare=lambda model: model.embeddings.word_embeddings.weight.data.mul_(1e6),
    )
    with pytest.raises(EnvironmentProblem, match=r"embed\.precision"):
        Sentences(spec(heavy, precision="float16"))
