"""Every encoder of the configuration exists, and asking which one it is loads no model."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from semdedup_spark.config import EmbedConfig
from semdedup_spark.config.embed import FITTING
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import ENCODERS, encoder_identity, load_encoder

NAMES = get_args(EmbedConfig.model_fields["encoder"].annotation)


def test_the_configuration_and_the_registry_know_the_same_encoders():
    assert {*ENCODERS, "none"} == set(NAMES)
    assert {name for names in FITTING.values() for name in names} == set(NAMES)


@pytest.mark.parametrize("name", ENCODERS)
def test_asking_an_encoder_for_its_identity_imports_no_torch(name):
    code = (
        "import sys\n"
        "from semdedup_spark.encoders.registry import ENCODERS, imported\n"
        f"_, identity = ENCODERS[{name!r}]\n"
        "assert callable(imported(identity))\n"
        "print([m for m in ('torch', 'transformers', 'timm', 'open_clip') if m in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="pixels"):
        load_encoder(EncoderSpec("nothing-like-it"))


def test_ready_made_vectors_have_their_own_identity():
    assert encoder_identity(EncoderSpec("none")) == "none"
