"""CLIP models of open_clip: images, texts and both, from local files, by the weights' recipe."""

from __future__ import annotations

import json
import shutil
import socket

import numpy as np
import open_clip
import pytest
import torch
from huggingface_hub import constants as hub_constants
from safetensors.torch import load_file, save_file

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.image.features import CPU_ROWS
from semdedup_spark.encoders.image.open_clip import model_arguments, side_by_side
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.errors import ConfigError, EnvironmentProblem
from tests.encoders.imagefiles import encoded, photo

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PIXELS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "resize_mode": "squash"}
TEXTS = ["a photo of a cat", "two dogs", "", "a " * 500 + "very long text", "ein Hund 🐕"]
IMAGES = [encoded(photo((80 + n, 60)).rotate(31 * n), "JPEG") for n in range(5)]
BOTH = [{"image": image, "text": text} for image, text in zip(IMAGES, TEXTS, strict=True)]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A tiny model with random weights, as open_clip saves models."""
    folder = tmp_path_factory.mktemp("tiny_clip")
    config = {"model_cfg": TINY, "preprocess_cfg": PIXELS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    save_file(open_clip.CLIP(**TINY).state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def registered(directory, tmp_path_factory):
    """The same under the name ``Tiny``, among the architectures that open_clip knows."""
    known = tmp_path_factory.mktemp("configs")
    (known / "Tiny.json").write_text(json.dumps(TINY))
    (known / "Tiny-quickgelu.json").write_text(json.dumps({**TINY, "quick_gelu": True}))
    open_clip.add_model_config(known)
    return directory / "open_clip_model.safetensors"


def spec_of(model, **more):
    return EncoderSpec("open-clip", model=str(model), device="cpu", **more)


def vectors(payloads, model, **more):
    batch = encode_payloads(load_encoder(spec_of(model, **more)), payloads)
    assert batch.reasons == [None] * len(payloads)
    return batch.X


def test_images_and_texts_are_encoded_as_by_open_clip_itself(directory):
    name = f"local-dir:{directory}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.inference_mode():
        images = torch.stack([preprocess(decode_image(image)) for image in IMAGES])
        expected = model.encode_image(images, normalize=True)
        np.testing.assert_allclose(vectors(IMAGES, directory), expected, atol=2e-3)
        expected = model.encode_text(open_clip.get_tokenizer(name)(TEXTS), normalize=True)
        np.testing.assert_allclose(vectors(TEXTS, directory), expected, atol=1e-6)


def test_the_cosine_of_images_with_texts_is_the_mean_of_both_cosines(directory):
    image, text, both = (vectors(payloads, directory) for payloads in (IMAGES, TEXTS, BOTH))
    assert both.shape == (5, 32)
    np.testing.assert_allclose(both @ both.T, (image @ image.T + text @ text.T) / 2, atol=1e-6)


def test_a_tower_takes_its_part_of_a_row_that_has_both(directory):
    assert np.array_equal(vectors(BOTH, directory, tower="image"), vectors(IMAGES, directory))
    assert np.array_equal(vectors(BOTH, directory, tower="text"), vectors(TEXTS, directory))
    assert np.array_equal(vectors(BOTH, directory, tower="image+text"), vectors(BOTH, directory))


def test_what_a_row_lacks_is_said(directory):
    encoder = load_encoder(spec_of(directory, tower="image+text"))
    rows = [BOTH[0], {"image": None, "text": "x"}, {"image": IMAGES[0], "text": None}]
    rows += [{"image": b"hello", "text": "x"}, {"image": IMAGES[0][:300], "text": "x"}]
    reasons = [None, "no_image", "no_text", "undecodable_image", "truncated_image"]
    assert encode_payloads(encoder, rows).reasons == reasons


@pytest.mark.parametrize("payloads", [IMAGES, TEXTS, BOTH])
def test_a_vector_has_the_same_bits_in_any_company(payloads, directory):
    payloads = payloads * 2
    assert len(payloads) % CPU_ROWS
    together = vectors(payloads, directory)
    assert np.array_equal(vectors(payloads[::-1], directory)[::-1], together)
    for row in range(5):
        assert np.array_equal(vectors([payloads[row]], directory)[0], together[row])


def test_a_name_with_a_local_file_is_the_same_model(directory, registered):
    torch.save({"state_dict": load_file(registered)}, registered.with_suffix(".pt"))
    assert np.array_equal(vectors(TEXTS, f"Tiny:{registered}"), vectors(TEXTS, directory))
    pickled = f"Tiny:{registered.with_suffix('.pt')}"
    assert np.array_equal(vectors(TEXTS, pickled), vectors(TEXTS, directory))


def test_a_hub_id_is_a_commit_in_the_cache(directory, tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--org--tiny"
    shutil.copytree(directory, repo / "snapshots" / commit)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    for model in ("hf-hub:org/tiny", f"hf-hub:org/tiny@{commit}"):
        assert f"hub:org/tiny@{commit}" in encoder_identity(spec_of(model))
        assert np.array_equal(vectors(BOTH, model), vectors(BOTH, directory))
    with pytest.raises(EnvironmentProblem, match="the hub says"):
        encoder_identity(spec_of("hf-hub:org/other"))


def test_openai_weights_need_their_own_activation(registered):
    gelu, quick = (vectors(TEXTS, f"{name}:{registered}") for name in ("Tiny", "Tiny-quickgelu"))
    assert 1e-5 < 1 - (gelu * quick).sum(axis=1).min() < 0.1


@pytest.mark.parametrize(
    ("model", "quick", "mean", "resize_mode"),
    [
        ("ViT-B-16.openai", True, 0.48145466, "shortest"),
        ("ViT-B-16-quickgelu.openai", True, 0.48145466, "shortest"),
        ("ViT-B-16.laion2b_s34b_b88k", False, 0.48145466, "shortest"),
        ("ViT-B-16-SigLIP.webli", False, 0.5, "squash"),
    ],
)
def test_a_tag_brings_activation_and_pixels_also_to_a_local_file(
    model, quick, mean, resize_mode, registered
):
    name, options = model_arguments(spec_of(f"{model}:{registered}"))
    assert name == model.split(".")[0]
    assert options["pretrained"] == str(registered)
    assert options["force_quick_gelu"] is quick
    pixels = options["force_preprocess_cfg"]
    assert pixels["mean"][0] == mean
    assert pixels["resize_mode"] == resize_mode


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_fewer_bits_move_vectors_a_little(precision, directory):
    cosines = (vectors(BOTH, directory, precision=precision) * vectors(BOTH, directory)).sum(axis=1)
    assert 0.999 < cosines.min()
    assert not np.array_equal(
        vectors(BOTH, directory, precision=precision), vectors(BOTH, directory)
    )


def test_a_row_without_direction_in_one_half_is_no_vector():
    X = side_by_side(np.array([[3, 4], [0, 0]], np.float32), np.array([[1.0], [1.0]], np.float32))
    np.testing.assert_allclose(X[0], np.array([0.6, 0.8, 1.0]) / np.sqrt(2), atol=1e-7)
    assert np.isnan(X[1]).all()


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*TorchScript:UserWarning")
def test_torchscript_is_refused_with_the_way_out(registered, tmp_path):
    torch.jit.trace(torch.nn.Identity(), torch.zeros(1)).save(tmp_path / "openai.pt")
    with pytest.raises(EnvironmentProblem, match="TorchScript") as caught:
        load_encoder(spec_of(f"Tiny:{tmp_path / 'openai.pt'}"))
    assert "save_file" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [("ViT-B-61:FILE", "did you mean"), ("ViT-B-16.opanai:FILE", "openai, laion400m_e31")],
)
def test_unknown_models_are_named_with_the_way_out(model, words, registered):
    with pytest.raises(ConfigError, match=r"embed\.model must name") as caught:
        load_encoder(spec_of(model.replace("FILE", str(registered))))
    assert words in str(caught.value)


def test_a_directory_without_config_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(EnvironmentProblem, match=r"open_clip_config\.json"):
        encoder_identity(spec_of(tmp_path))


def test_the_identity_holds_the_files_the_library_the_tower_and_the_dtype(directory, registered):
    base = encoder_identity(spec_of(directory))
    others = [
        spec_of(directory, tower="image"),
        spec_of(directory, precision="float16"),
        spec_of(f"Tiny:{registered}"),
        spec_of("ViT-B-16.openai"),
        spec_of("ViT-B-16.laion2b_s34b_b88k"),
    ]
    assert len({base, *map(encoder_identity, others)}) == 6
    assert "open-clip" in base
    assert encoder_identity(spec_of(directory, batch_size=2)) == base
    config = directory / "open_clip_config.json"
    before = config.read_text()
    config.write_text(before.replace("0.5", "0.6"))
    assert encoder_identity(spec_of(directory)) != base
    config.write_text(before)
