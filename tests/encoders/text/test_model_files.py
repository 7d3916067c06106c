"""A model is what its files say: known by their content, read without a network, never run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants as hub_constants
from safetensors.torch import load_file, save_file

from semdedup_spark.config import EmbedConfig
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.text.hf_text import load_hf_text
from semdedup_spark.encoders.text.minilm_files import minilm_directory
from semdedup_spark.encoders.text.model_files import pinned
from semdedup_spark.encoders.text.token_limits import position_limit
from semdedup_spark.errors import EnvironmentProblem
from tests.encoders.textmodels import TEXTS, make


def spec(directory, **settings):
    return EncoderSpec("hf-text", model=str(directory), device="cpu", **settings)


def vectors(encoder):
    return encoder.encode(encoder.prepare(TEXTS))


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt fails and, since a library may pass over that, is counted: none is allowed."""
    attempts = []

    def refuse(*arguments, **settings):
        attempts.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between attempts
    yield attempts
    assert attempts == []


@pytest.mark.parametrize("safe", [True, False])
def test_a_local_model_touches_no_network(tmp_path, no_network, safe):
    make("opt", tmp_path, safe=safe)
    assert encoder_identity(spec(tmp_path)).startswith("hf-text sha256:")
    assert vectors(load_hf_text(spec(tmp_path))).shape == (len(TEXTS), 16)


def test_a_local_sentence_transformers_model_touches_no_network(no_network):
    packaged = EncoderSpec("sentence-transformers", str(minilm_directory(None)), device="cpu")
    assert encoder_identity(packaged).startswith("sentence-transformers sha256:")
    assert vectors(load_encoder(packaged)).shape == (len(TEXTS), 384)


def test_a_hub_that_cannot_be_reached_is_an_error_with_a_way_out(no_network):
    with pytest.raises(EnvironmentProblem, match="nobody/has-this-model") as caught:
        encoder_identity(spec("nobody/has-this-model"))
    assert "local directory" in caught.value.hint
    assert no_network  # the guard of the tests above sees what goes to the hub
    no_network.clear()


@pytest.mark.parametrize(
    "changed",
    [
        {"pooling": "last"},
        {"pooling": "cls"},
        {"max_length": 16},
        {"long_text": "reject"},
        {"long_text": "chunk-mean"},
        {"precision": "bfloat16"},
        {"trust_remote_code": True},
    ],
    ids=str,
)
def test_each_setting_that_matters_is_another_identity(tmp_path, changed):
    make("bert", tmp_path)
    assert encoder_identity(spec(tmp_path, **changed)) != encoder_identity(spec(tmp_path))


def test_what_changes_no_vector_changes_no_identity(tmp_path):
    make("bert", tmp_path / "here")
    identity = encoder_identity(spec(tmp_path / "here"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    (tmp_path / "there" / "README.md").write_text("words about the model")
    assert encoder_identity(spec(tmp_path / "there", batch_size=1, image_size=8)) == identity
    assert encoder_identity(spec(tmp_path / "there", pooling="mean")) == identity


@pytest.mark.parametrize("encoder", ["hf-text", "sentence-transformers"])
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json"]
)
def test_another_file_is_another_identity(tmp_path, encoder, name):
    shutil.copytree(minilm_directory(None), tmp_path / "model")
    here = EncoderSpec(encoder, model=str(tmp_path / "model"))
    before = encoder_identity(here)
    path = tmp_path / "model" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"e", b"E", 1))  # the same size, in the same process
    os.utime(path, ns=(0, 0))
    assert encoder_identity(here) != before
    path.write_bytes(content)
    assert encoder_identity(here) == before


def test_files_that_change_places_are_another_identity(tmp_path):
    make("bert", tmp_path)
    (tmp_path / "a.json").write_text("1")
    (tmp_path / "b.json").write_text("2")
    before = encoder_identity(spec(tmp_path))
    (tmp_path / "a.json").write_text("2")
    (tmp_path / "b.json").write_text("1")
    assert encoder_identity(spec(tmp_path)) != before


def test_two_encoders_of_one_directory_have_two_identities():
    directory = str(minilm_directory(None))
    names = ("minilm", "hf-text", "sentence-transformers")
    assert len({encoder_identity(EncoderSpec(name, directory)) for name in names}) == len(names)


def test_pickled_weights_give_the_same_vectors(tmp_path):
    make("bert", tmp_path / "safe")
    make("bert", tmp_path / "pickled", safe=False)
    assert not list((tmp_path / "pickled").glob("*.safetensors"))
    expected = vectors(load_hf_text(spec(tmp_path / "safe")))
    assert np.array_equal(vectors(load_hf_text(spec(tmp_path / "pickled"))), expected)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_pickled_weights_never_runs(tmp_path):
    make("bert", tmp_path, safe=False)
    weights = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    torch.save({**weights, "bomb": Bomb(tmp_path / "went_off")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(EnvironmentProblem, match=r"embed\.model"):
        load_hf_text(spec(tmp_path))
    assert not (tmp_path / "went_off").exists()
    torch.load(tmp_path / "pytorch_model.bin", weights_only=False)  # as dangerous as it means to be
    assert (tmp_path / "went_off").exists()


def test_pickled_weights_are_left_alone_beside_safe_ones(tmp_path):
    make("bert", tmp_path)
    before = vectors(load_hf_text(spec(tmp_path)))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "went_off")))
    assert np.array_equal(vectors(load_hf_text(spec(tmp_path))), before)
    assert not (tmp_path / "went_off").exists()


CODE = """
from pathlib import Path
from transformers import BertConfig, BertModel
Path({marker!r}).touch()
class OwnConfig(BertConfig):
    model_type = "own-of-the-test"
class OwnModel(BertModel):
    config_class = OwnConfig
"""


def test_a_models_own_code_runs_only_where_the_configuration_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    directory, marker = tmp_path / "model", tmp_path / "ran"
    make("bert", directory)
    config = json.loads((directory / "config.json").read_text())
    config["model_type"] = "own-of-the-test"
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "own.py").write_text(CODE.format(marker=str(marker)))
    with pytest.raises(EnvironmentProblem) as caught:
        load_hf_text(spec(directory))
    assert "embed.trust_remote_code" in caught.value.hint
    assert not marker.exists()
    assert vectors(load_hf_text(spec(directory, trust_remote_code=True))).shape == (len(TEXTS), 32)
    assert marker.exists()


def test_missing_weights_are_not_replaced_by_random_ones(tmp_path):
    make("bert", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    without = {name: value for name, value in weights.items() if "layer.1" not in name}
    assert len(without) < len(weights)
    save_file(without, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EnvironmentProblem, match=r"no encoder\.layer\.1"):
        load_hf_text(spec(tmp_path))


def test_a_missing_pooler_is_no_matter(tmp_path):
    make("bert", tmp_path)
    before = vectors(load_hf_text(spec(tmp_path)))
    weights = load_file(tmp_path / "model.safetensors")
    without = {name: value for name, value in weights.items() if "pooler" not in name}
    assert len(without) < len(weights)
    save_file(without, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert np.array_equal(vectors(load_hf_text(spec(tmp_path))), before)


@pytest.mark.parametrize("model", ["/no/such/directory", "s3://bucket/model", "./model", "a/b/c"])
def test_a_missing_directory_is_no_hub_id(model, no_network):
    with pytest.raises(EnvironmentProblem, match="no such directory") as caught:
        encoder_identity(spec(model))
    assert caught.value.exit_code == 2


def test_a_directory_without_a_model_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(EnvironmentProblem, match="no config"):
        encoder_identity(spec(tmp_path))


@pytest.mark.parametrize("name", ["hf-text", "sentence-transformers"])
def test_encoders_without_a_model_of_their_own_need_one(name):
    with pytest.raises(EnvironmentProblem, match=r"embed\.model must be set"):
        encoder_identity(EncoderSpec(name))
    with pytest.raises(ValueError, match="needs model"):
        EmbedConfig(encoder=name)
    EmbedConfig(encoder=name, model="a/b")


def test_too_many_tokens_are_refused_before_a_row_is_read(tmp_path):
    make("bert", tmp_path)
    with pytest.raises(EnvironmentProblem, match="at most 44"):
        encoder_identity(spec(tmp_path, max_length=45))


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"n_positions": 1024}, 1024),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"n_positions": 512, "relative_attention_num_buckets": 32}, None),
        ({}, None),
    ],
    ids=str,
)
def test_positions_are_counted_as_the_architecture_counts_them(tmp_path, config, limit):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert position_limit(tmp_path) == limit


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_hub_id_is_pinned_to_a_commit_and_found_in_the_cache(tmp_path, monkeypatch, no_network):
    repo = tmp_path / "models--org--tiny"
    make("opt", repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    found = pinned(spec("org/tiny"))
    assert found.model == f"org/tiny@{COMMIT}"
    identity = f"hf-text hub:org/tiny@{COMMIT} mean-pooling max_length<=512 truncate float32"
    assert encoder_identity(found) == encoder_identity(spec("org/tiny")) == identity
    local = load_hf_text(spec(repo / "snapshots" / COMMIT))
    assert np.array_equal(vectors(load_hf_text(found)), vectors(local))


def test_a_pinned_hub_id_needs_no_hub_to_be_known(no_network):
    known = spec(f"org/tiny@{COMMIT}")
    assert pinned(known) == known
    assert f"hub:org/tiny@{COMMIT}" in encoder_identity(known)
    assert encoder_identity(spec(f"org/tiny@{COMMIT[::-1]}")) != encoder_identity(known)


def test_a_worker_refuses_another_model_than_the_drivers(tmp_path):
    make("bert", tmp_path)
    identity = encoder_identity(spec(tmp_path))
    assert encoder_identity(spec(tmp_path, expected=identity)) == identity
    before = vectors(load_encoder(spec(tmp_path, expected=identity)))
    make("bert", tmp_path, seed=1)  # in the same place: a kept model must not be used for it
    with pytest.raises(EnvironmentProblem, match="same on the driver and on every worker"):
        load_encoder(spec(tmp_path, expected=identity, batch_size=31))
    after = vectors(load_encoder(spec(tmp_path, expected=encoder_identity(spec(tmp_path)))))
    assert np.abs(after - before).max() > 1e-3
