"""all-MiniLM-L6-v2: mean of the last layer's token vectors, 384 dimensions."""

from __future__ import annotations

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.hf_text import HfText
from semdedup_spark.encoders.text.minilm_files import minilm_directory, minilm_length


def load_minilm(spec: EncoderSpec) -> HfText:
    """The packaged model, or the one in the directory ``spec.model``."""
    directory = minilm_directory(spec.model)
    return HfText(spec, directory, minilm_length(spec, directory))
