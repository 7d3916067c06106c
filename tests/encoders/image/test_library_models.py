"""Models of torchvision and timm give what their last layer would see, from local files alone."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from semdedup_spark.encoders.image import torchvision as torchvision_models
from semdedup_spark.encoders.image.decode import decode_image
from semdedup_spark.encoders.image.features import CPU_ROWS
from semdedup_spark.encoders.image.model_names import ModelName, parse_model
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import encoder_identity, load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.errors import ConfigError, EnvironmentProblem
from tests.encoders.imagefiles import encoded, photo


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random weights of small models, as people save them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    shuffle = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    for module in shuffle.modules():  # else next to nothing of the image arrives at the end
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(shuffle.state_dict(), folder / "shufflenet.pth")
    torch.save({"epoch": 3, "state_dict": shuffle.state_dict()}, folder / "training.pth")
    save_file(shuffle.state_dict(), folder / "shufflenet.safetensors")
    torch.save(shuffle, folder / "pickled_code.pth")
    vit = timm.create_model("test_vit", num_classes=1000)
    save_file(vit.state_dict(), folder / "test_vit.safetensors")
    return folder


def spec_of(name, model, **more):
    return EncoderSpec(name, model=str(model), device="cpu", **more)


def images(n):
    return [encoded(photo((80 + row, 60)).rotate(31 * row), "JPEG") for row in range(n)]


@pytest.mark.parametrize("file", ["shufflenet.pth", "shufflenet.safetensors", "training.pth"])
def test_torchvision_features_are_what_the_last_layer_sees(file, files):
    encoder = load_encoder(spec_of("torchvision", f"shufflenet_v2_x0_5:{files / file}"))
    payloads = images(2)
    X = encoder.encode(encoder.prepare(payloads))
    whole = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    whole.load_state_dict(torch.load(files / "shufflenet.pth", weights_only=True))
    own = torchvision.models.ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        x = torch.stack([own(decode_image(payload)) for payload in payloads])
        expected, given = whole.eval()(x), whole.fc(torch.from_numpy(X))
    assert X.shape == (2, 1024)
    assert (expected - given).abs().max() < 0.05 * (expected[0] - expected[1]).abs().max()


def test_vgg16_gives_4096_penultimate_features_without_dropout():
    with torch.device("meta"):  # shapes only: its weights would be half a gigabyte
        state = torchvision.models.vgg16().state_dict()
        network = torchvision_models.headless(ModelName("vgg16", None, None), state, 224).eval()
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 4096)
    x = torch.randn(2, 4096)
    last = network.classifier[4:]  # ReLU, dropout, and nothing in the place of the logits
    assert torch.equal(last(x), x.clamp(min=0))


@pytest.mark.parametrize(
    ("name", "crop", "d"),
    [
        ("resnet50", 224, 2048),
        ("densenet121", 224, 1024),
        ("convnext_tiny", 224, 768),
        ("vit_b_32", 224, 768),
        ("inception_v3", 299, 2048),
    ],
)
def test_the_last_linear_layer_is_found_in_any_family(name, crop, d):
    with torch.device("meta"):
        # Inception and GoogLeNet would otherwise draw their first weights for a minute.
        options = {"init_weights": False} if name == "inception_v3" else {}
        state = torchvision.models.get_model(name, **options).state_dict()
        network = torchvision_models.headless(ModelName(name, None, None), state, crop).eval()
        assert network(torch.zeros(2, 3, crop, crop)).shape == (2, d)


def test_timm_features_are_timms_own(files):
    encoder = load_encoder(spec_of("timm", f"test_vit:{files / 'test_vit.safetensors'}"))
    prepared = encoder.prepare(images(3))
    X = encoder.encode(prepared)
    model = timm.create_model("test_vit", num_classes=0, checkpoint_path=None)
    whole = timm.models.load_state_dict(str(files / "test_vit.safetensors"))
    model.load_state_dict({k: v for k, v in whole.items() if not k.startswith("head.")})
    own = timm.data.resolve_model_data_config(model)
    x = torch.from_numpy(np.stack(prepared)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(own[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        expected = model.eval()((x - mean) / std)
    np.testing.assert_allclose(X, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("torchvision", "shufflenet_v2_x0_5:shufflenet.pth"),
        ("timm", "test_vit:test_vit.safetensors"),
    ],
)
def test_a_vector_has_the_same_bits_in_any_company(name, model, files):
    model = model.replace(":", f":{files}/")
    encoder = load_encoder(spec_of(name, model))
    payloads = images(2 * CPU_ROWS + 1)
    together = encode_payloads(encoder, payloads).X
    for row, payload in enumerate(payloads):
        assert np.array_equal(encode_payloads(encoder, [payload]).X[0], together[row])
    assert np.array_equal(encode_payloads(encoder, payloads[::-1]).X[::-1], together)


def test_pickles_that_hold_more_than_tensors_are_refused(files):
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load_encoder(spec_of("torchvision", f"shufflenet_v2_x0_5:{files / 'pickled_code.pth'}"))


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("torchvision", "vgg-16:FILE", "vgg16"),
        ("torchvision", "vgg16.IMAGENET:FILE", "IMAGENET1K_V1, IMAGENET1K_FEATURES"),
        ("torchvision", "squeezenet1_0:FILE", "ends in a linear layer"),
        ("timm", "resnet500:FILE", "resnet50"),
    ],
)
def test_unknown_models_are_named_with_the_way_out(name, model, words, files):
    model = model.replace("FILE", str(files / "shufflenet.pth"))
    with pytest.raises(ConfigError, match=r"embed\.model must") as caught:
        load_encoder(spec_of(name, model))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("model", "error"),
    [(None, ConfigError), ("", ConfigError), (":x", ConfigError), ("vgg16:", ConfigError),
     ("vgg16.", ConfigError), ("vgg16:/no/such.pth", EnvironmentProblem)],
)  # fmt: skip
def test_what_is_no_model_is_said_before_anything_is_loaded(model, error):
    with pytest.raises(error, match=r"embed\.model must"):
        encoder_identity(EncoderSpec("torchvision", model=model))


def test_a_name_is_read_as_name_tag_and_file(files):
    file = files / "shufflenet.pth"
    read = [parse_model(EncoderSpec("timm", model=m)) for m in ("a", "a.b_c", f"a.b:{file}")]
    assert read == [
        ModelName("a", None, None),
        ModelName("a", "b_c", None),
        ModelName("a", "b", file),
    ]


def test_the_identity_holds_the_file_the_library_and_the_dtype(files):
    model = f"shufflenet_v2_x0_5:{files / 'shufflenet.pth'}"
    base = encoder_identity(spec_of("torchvision", model))
    others = [
        spec_of("torchvision", model, precision="bfloat16"),
        spec_of("torchvision", model.replace(":", ".IMAGENET1K_V1:")),
        spec_of("torchvision", model.replace(".pth", ".safetensors")),
        spec_of("torchvision", "shufflenet_v2_x0_5"),
    ]
    assert len({base, *map(encoder_identity, others)}) == 5
    assert f"torchvision {torchvision.__version__.split('+')[0]}" in base
    assert encoder_identity(spec_of("torchvision", model, batch_size=1)) == base
