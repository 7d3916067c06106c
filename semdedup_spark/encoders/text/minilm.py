"""The encoder all-MiniLM-L6-v2: mean of the last layer's token vectors, 384 dimensions."""

from __future__ import annotations

from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.text.hf_text import HfText
from semdedup_spark.encoders.text.minilm_files import minilm_directory, minilm_length


def load_minilm(spec: EncoderSpec) -> HfText:
    """Load MiniLM.

    Raises :class:`EnvironmentProblem` where a package or a file of the model is missing, or the
    model cannot be used with these settings.

    Parameters
    ----------
    spec
        Its ``model`` is a local directory, or ``None`` for the packaged model.

    Returns
    -------
    HfText
        The loaded encoder.
    """
    directory = minilm_directory(spec.model)
    return HfText(spec, directory, minilm_length(spec, directory))
