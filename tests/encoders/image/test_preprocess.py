"""Pixels come to a model as its own library would have prepared them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.image.features import normaliser
from semdedup_spark.encoders.image.preprocess import Preprocessing
from semdedup_spark.encoders.protocol import EncoderSpec
from tests.encoders.imagefiles import encoded, photo

HALF = (0.5, 0.5, 0.5)


def real_photos(shared_data):
    """Landscape, portrait, small."""
    folder = shared_data / "imagededup_tests"
    names = ("base_images/ukbench01380", "mixed_images/ukbench00120_resize")
    images = [decode_image((folder / f"{name}.jpg").read_bytes()) for name in names]
    return [*images, images[0].rotate(90, expand=True), images[0].resize((123, 45))]


def ours(own, image):
    pixels = np.array(own.fit(image))[None]
    return normaliser(own, torch.device("cpu"), torch.float32)(torch.from_numpy(pixels))[0]


def assert_as_by_library(own, theirs, images):
    """Equal but for a few pixels, one level of 255 up or down: Pillow rounds its weights."""
    for image in images:
        difference = (ours(own, image) - theirs(image)).abs() * torch.tensor(own.std)[:, None, None]
        assert (difference * 255).max() < 2.01
        assert (difference > 1e-6).float().mean() < 0.02


@pytest.mark.parametrize("name", ["vgg16", "resnet50.IMAGENET1K_V2", "inception_v3", "swin_t"])
def test_torchvision_models_get_torchvisions_pixels(name, shared_data):
    from semdedup_spark.encoders.image.model_names import parse_model
    from semdedup_spark.encoders.image.torchvision import own_preprocessing, registered_weights

    weights = registered_weights(parse_model(EncoderSpec("torchvision", model=name)))
    assert_as_by_library(own_preprocessing(weights), weights.transforms(), real_photos(shared_data))


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_075"])
def test_timm_models_get_timms_pixels(name, shared_data):
    import timm

    from semdedup_spark.encoders.image.timm import own_preprocessing

    network = timm.create_model(name, num_classes=0)
    theirs = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    assert_as_by_library(own_preprocessing(network, name), theirs, real_photos(shared_data))


@pytest.mark.parametrize("resize_mode", ["shortest", "squash"])
def test_clip_models_get_open_clips_pixels(resize_mode, shared_data):
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from semdedup_spark.encoders.image.open_clip import own_preprocessing

    model = torch.nn.Module()
    model.visual = torch.nn.Module()
    cfg = {"size": 224, "mode": "RGB", "mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}
    cfg |= {"interpolation": "bicubic", "resize_mode": resize_mode, "fill_color": 0}
    open_clip.set_model_preprocess_cfg(model, cfg)
    theirs = image_transform_v2(PreprocessCfg(**cfg), is_train=False)
    assert_as_by_library(own_preprocessing(model), theirs, real_photos(shared_data))


@pytest.mark.parametrize("size", [(7, 30_000), (30_000, 7), (1, 1), (1, 9_000)])
def test_images_of_any_shape_fit_in_little_memory(size):
    own = Preprocessing(256, 224, "bicubic", HALF, HALF)
    assert own.fit(Image.new("RGB", size, (9, 8, 7))).getcolors() == [(224 * 224, (9, 8, 7))]


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same(monkeypatch):
    own = Preprocessing(64, 64, "bicubic", HALF, HALF)
    payload = encoded(photo((1600, 1200)), "JPEG", quality=95)
    drafted = own.apply(payload, 10**9)
    exact = np.asarray(own.fit(decode_image(payload)))
    assert drafted.shape == (64, 64, 3)
    assert drafted.dtype == np.uint8
    assert np.abs(drafted.astype(int) - exact).max() <= 3


def test_a_crop_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"at most resize, 200\. Got 224"):
        Preprocessing(200, 224, "bicubic", HALF, HALF)


def test_the_identity_changes_with_whatever_changes_pixels():
    base = {"resize": 64, "crop": 32, "interpolation": "bicubic", "mean": HALF, "std": HALF}
    changes = ({"resize": 65}, {"crop": 31}, {"interpolation": "bilinear"}, {"squash": True})
    changes += ({"mean": (0.5, 0.5, 0.4)}, {"std": (0.5, 0.4, 0.5)})
    known = {Preprocessing(**{**base, **change}).identity() for change in ({}, *changes)}
    assert len(known) == 7
    assert all("pillow" in identity and "draft" in identity for identity in known)
