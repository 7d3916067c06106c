"""Pixels as a vector: the plain baseline that an embedding must beat."""

from __future__ import annotations

import numpy as np
from PIL import Image

from semdedup_spark.encoders.image.pixels import Pixels, pixels_identity
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from tests.encoders.imagefiles import BLUE, RED, encoded, photo


def test_pixels_come_out_row_by_row_as_rgb_between_0_and_1():
    image = Image.new("RGB", (2, 2))
    for place, colour in {(0, 0): RED, (1, 0): (0, 255, 0), (0, 1): (51, 102, 204)}.items():
        image.putpixel(place, colour)
    [vector] = Pixels(EncoderSpec("pixels", image_size=2)).prepare([encoded(image)])
    expected = [1, 0, 0, 0, 1, 0, 0.2, 0.4, 0.8, 0, 0, 0]
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, expected, atol=1e-7)


def test_images_are_resized_to_a_square():
    halves = Image.new("RGB", (40, 10), RED)
    halves.paste(BLUE, (20, 0, 40, 10))
    encoder = Pixels(EncoderSpec("pixels", image_size=4))
    vector = encoder.prepare([encoded(halves)])[0].reshape(4, 4, 3)
    np.testing.assert_allclose(vector[:, 0], np.tile([1, 0, 0], (4, 1)), atol=1e-7)
    np.testing.assert_allclose(vector[:, 3], np.tile([0, 0, 1], (4, 1)), atol=1e-7)
    assert encoder.encode([vector.reshape(-1)] * 3).shape == (3, 48)


def test_one_bad_payload_does_not_disturb_the_others():
    encoder = Pixels(EncoderSpec("pixels", image_size=2))
    good = encoded(photo())
    batch = encode_payloads(encoder, [good, b"hello", None, good])
    assert batch.reasons == [None, "undecodable_image", None, None]
    assert batch.messages[0] is None
    assert batch.messages[1]
    assert np.array_equal(batch.X[0], batch.X[3])
    np.testing.assert_allclose(np.linalg.norm(batch.X, axis=1), [1, 0, 0, 1], atol=1e-6)


def test_the_identity_names_what_decides_the_numbers():
    small, large = (pixels_identity(EncoderSpec("pixels", image_size=n)) for n in (8, 16))
    assert small != large
    assert "8x8" in small
    assert pixels_identity(EncoderSpec("pixels", image_size=8, batch_size=1, device="cpu")) == small


def test_a_resized_photo_is_nearer_to_its_original_than_another_photo(shared_data):
    folder = shared_data / "imagededup_tests"
    names = (
        "base_images/ukbench00120",
        "mixed_images/ukbench00120_resize",
        "base_images/ukbench09380",
    )
    payloads = [(folder / f"{name}.jpg").read_bytes() for name in names]
    X = encode_payloads(Pixels(EncoderSpec("pixels")), payloads).X
    assert X[0] @ X[1] > 0.99
    assert X[0] @ X[2] < 0.95
