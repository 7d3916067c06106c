"""EfficientNet-Lite0 knows what real photos show, so its weights sit where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semdedup_spark.datasets import ImageSet
from semdedup_spark.encoders.image.efficientnet import efficientnet
from semdedup_spark.encoders.image.efficientnet_files import PREPROCESSING, efficientnet_file
from semdedup_spark.encoders.image.features import normaliser
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.experiments import vectors
from semdedup_spark.experiments.vectors import represent
from tests.encoders.imagefiles import encoded, photo

SPEC = EncoderSpec("efficientnet-lite0", device="cpu")

# ImageNet classes: tabby, Persian cat; acoustic guitar; broccoli; book jacket; street sign.
SHOWN = {
    "clip_retrieval_wds/test_images/456_123.jpg": 281,
    "clip_retrieval_wds/test_images/123_456.jpg": 283,
    "imagededup_tests/base_images/ukbench09012.jpg": 402,
    "clip_retrieval_wds/test_images/416_264.jpg": 937,
    "imagededup_tests/base_images/ukbench01380.jpg": 921,
    "imagededup_tests/base_images/ukbench09060.jpg": 919,
}


def photos(shared_data, *names):
    return [(shared_data / name).read_bytes() for name in names]


def test_the_network_names_what_real_photos_show(shared_data):
    network = efficientnet(str(efficientnet_file(None))).eval()
    payloads = photos(shared_data, *SHOWN)
    pixels = np.stack([PREPROCESSING.apply(payload, 10**9) for payload in payloads])
    # Scaled here by the recipe's own words, not by our normaliser.
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        probabilities = network(x).softmax(dim=1)
    assert probabilities.argmax(dim=1).tolist() == list(SHOWN.values())
    assert probabilities.max(dim=1).values.min() > 0.45


def test_pixels_are_scaled_as_the_network_was_trained_with():
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 16, 16, 3)
    normalise = normaliser(PREPROCESSING, torch.device("cpu"), torch.float32)
    expected = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
    np.testing.assert_allclose(normalise(pixels), expected, atol=1e-6)


def test_the_features_are_what_the_classifier_sees(shared_data):
    network = efficientnet(str(efficientnet_file(None)))
    payloads = photos(shared_data, *SHOWN)
    encoder = load_encoder(SPEC)
    X = encoder.encode(encoder.prepare(payloads))
    assert X.shape == (6, 1280)
    assert X.dtype == np.float32
    logits = network.classifier(torch.from_numpy(X))
    assert logits.argmax(dim=1).tolist() == list(SHOWN.values())


def test_a_vector_has_the_same_bits_in_any_company(shared_data):
    prepared = load_encoder(SPEC).prepare(photos(shared_data, *SHOWN))
    alone = np.concatenate([load_encoder(SPEC).encode([pixels]) for pixels in prepared])
    together = load_encoder(SPEC).encode(prepared)
    other = load_encoder(EncoderSpec("efficientnet-lite0", device="cpu", batch_size=1))
    assert np.array_equal(alone, together)
    assert np.array_equal(alone[::-1], load_encoder(SPEC).encode(prepared[::-1]))
    assert np.array_equal(alone[:3], other.encode(prepared[:3]))


def test_copies_are_near_and_other_photos_far(shared_data):
    folder = "imagededup_tests/mixed_images/ukbench00120"
    names = [
        f"{folder}.jpg",
        f"{folder}_hflip.jpg",
        "imagededup_tests/base_images/ukbench09012.jpg",
    ]
    X = encode_payloads(load_encoder(SPEC), photos(shared_data, *names)).X
    assert X[0] @ X[1] > 0.85
    assert X[0] @ X[2] < 0.5


def test_bad_images_are_rejected_one_by_one():
    good = encoded(photo(), "JPEG")
    batch = encode_payloads(load_encoder(SPEC), [good, b"hello", None, good[:500], good])
    assert batch.reasons == [None, "undecodable_image", None, "truncated_image", None]
    assert np.array_equal(batch.X[0], batch.X[4])
    encoder = load_encoder(EncoderSpec("efficientnet-lite0", device="cpu", max_pixels=64 * 48 - 1))
    assert encode_payloads(encoder, [good]).reasons == ["too_many_pixels"]


def test_bfloat16_moves_vectors_a_little(shared_data):
    encoder = load_encoder(EncoderSpec("efficientnet-lite0", device="cpu", precision="bfloat16"))
    payloads = photos(shared_data, *list(SHOWN)[:3])
    X, exact = (encode_payloads(each, payloads).X for each in (encoder, load_encoder(SPEC)))
    cosines = (X * exact).sum(axis=1)
    assert 0.99 < cosines.min() < 0.99999


def test_the_identity_holds_weights_pixels_and_dtype(tmp_path):
    identity = encoder_identity(SPEC)
    assert "sha256:579344248a93" in identity  # also in the file's name
    assert PREPROCESSING.identity() in identity
    assert encoder_identity(EncoderSpec("efficientnet-lite0", batch_size=7)) == identity
    assert encoder_identity(EncoderSpec("efficientnet-lite0", precision="bfloat16")) != identity
    other = tmp_path / "other.pth"
    other.write_bytes(b"x")
    assert encoder_identity(EncoderSpec("efficientnet-lite0", model=str(other))) != identity
    with pytest.raises(EnvironmentProblem, match=r"embed\.model must be a file"):
        encoder_identity(EncoderSpec("efficientnet-lite0", model=str(tmp_path / "none.pth")))


def test_pictures_in_memory_are_encoded_once_and_kept_beside_the_results(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    images = ImageSet("cifar10", "train", pixels, np.zeros(3, np.int64), np.arange(3))
    X = represent(images, "efficientnet-lite0", None, tmp_path)
    assert X.shape == (3, 1280)
    monkeypatch.setattr(vectors, "load_encoder", None)
    assert np.array_equal(represent(images, "efficientnet-lite0", None, tmp_path), X)
    with pytest.raises(TypeError):  # other pictures are encoded
        represent(images.take([0, 1]), "efficientnet-lite0", None, tmp_path)
