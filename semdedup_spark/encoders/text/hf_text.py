"""Encode texts with any model of the transformers library, by pooling its last layer."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as hf_logging

from semdedup_spark.encoders.precision import check_precision
from semdedup_spark.encoders.protocol import Encoder, EncoderSpec, RejectedPayload
from semdedup_spark.encoders.text.model_files import has_safetensors, text_directory
from semdedup_spark.encoders.text.token_limits import checked_length, position_limit
from semdedup_spark.encoders.text.token_windows import Tokens, Windows, encode_windows
from semdedup_spark.encoders.torch_setup import limit_threads, select_device
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray

# Most tokens of a text if the configuration sets no limit. The memory for attention grows with the
# square of the length, and models that take 100,000 tokens are common.
OWN_LENGTH = 512

# Texts on which a lower precision is checked: prose, code, numbers, signs, and one longer text.
PRECISION_TEXTS = (
    "The committee will meet again on Thursday to decide about the new bridge.",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "10,482.50 USD / 9.3 % ... !!! ### 2024-01-31T23:59:59Z",
    "Łódź, Αθήνα, Москва, 東京, القاهرة",
    "a",
    "It was a bright cold day in the mountains, and the shepherds had long been up. " * 6,
)


def load_hf_text(spec: EncoderSpec) -> HfText:
    """Load a text model.

    Raises :class:`EnvironmentProblem` where the model is missing, cannot be loaded, or cannot be
    used with these settings.

    Parameters
    ----------
    spec
        Encoder settings. Its ``model`` is a local directory or a hub id.

    Returns
    -------
    HfText
        The loaded encoder.
    """
    directory = text_directory(spec)
    return HfText(spec, directory, checked_length(spec, directory, own=OWN_LENGTH))


class HfText:
    """An :class:`semdedup_spark.encoders.protocol.Encoder` whose payloads are strings.

    A text's vector is made from the token vectors of the model's last layer, after the final norm
    if the model has one. ``spec.pooling`` is ``mean`` (also the default), ``cls`` for the first
    token, or ``last`` for the last token, which in a decoder has seen the whole text. Raises
    :class:`EnvironmentProblem` where the model cannot be loaded or fails in ``spec.precision``.

    Parameters
    ----------
    spec
        Encoder settings.
    directory
        Directory with the files of model and tokeniser.
    max_length
        Most tokens of a window.
    """

    def __init__(self, spec: EncoderSpec, directory: Path, max_length: int) -> None:
        quieten()
        limit_threads()
        self._device = select_device(spec.device)
        self._batch_size = spec.batch_size
        self._pooling = spec.pooling or "mean"
        self._longest = position_limit(directory)
        tokenizer, self._model = _load(spec, directory)
        self._tokens = Tokens(tokenizer, max_length, spec.long_text, spec.prefix or "")
        self._model.eval().to(self._device, dtype=torch.float32)
        lower_precision(self, self._model, spec.precision)

    def prepare(self, payloads: Sequence[str]) -> list[Windows | RejectedPayload]:
        """Tokenise texts, each after ``spec.prefix``.

        Parameters
        ----------
        payloads
            n texts.

        Returns
        -------
        list[Windows | RejectedPayload]
            n entries: the tokens in one window, in one or several with ``chunk-mean``; or a
            rejection, see :meth:`Tokens.prepare`.
        """
        return self._tokens.prepare(payloads)

    def encode(self, prepared: Sequence[Windows]) -> FloatArray:
        """Compute vectors. Texts of similar length share a forward pass.

        Parameters
        ----------
        prepared
            n >= 1 tokenised texts.

        Returns
        -------
        FloatArray
            (n, d) float32, in the order of the texts.
        """
        return encode_windows(
            prepared, self._forward, batch_size=self._batch_size, longest=self._longest
        )

    @torch.inference_mode()
    def _forward(self, tokens: list[list[int]], length: int) -> FloatArray:
        ids, mask = (tensor.to(self._device) for tensor in padded(tokens, length))
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        vectors: FloatArray = pool(hidden, mask, self._pooling).cpu().numpy()
        return vectors


def padded(tokens: list[list[int]], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad sequences of tokens on the right.

    The side that the tokeniser prefers is ignored: with padding on the right, a token has the same
    position and can attend to the same tokens as in the unpadded text. The padding is masked, so
    its ids do not matter and a model needs no padding token.

    Parameters
    ----------
    tokens
        B sequences of token ids, none longer than ``length``.
    length
        Length to pad to, in tokens.

    Returns
    -------
    tuple[torch.Tensor, torch.Tensor]
        Ids and mask, each (B, length) int64. The mask is 1 for tokens and 0 for padding.
    """
    ids = np.zeros((len(tokens), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(tokens):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """Pool token vectors to one vector a text.

    Parameters
    ----------
    hidden
        (B, L, h) float32. Token vectors.
    mask
        (B, L) of 1 for tokens and 0 for padding, which may be on either side or on both.
    pooling
        ``mean``, ``cls`` (the first token that is not padding) or ``last``.

    Returns
    -------
    torch.Tensor
        (B, h) float32.

    Raises
    ------
    ValueError
        If ``pooling`` is unknown.
    """
    if pooling == "mean":
        weights = mask[..., None].float()
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
    if pooling not in ("cls", "last"):
        raise ValueError(f"pooling must be mean, cls or last. Got {pooling!r}.")
    position = mask.argmax(dim=1) if pooling == "cls" else _last(mask)
    return hidden[torch.arange(len(hidden), device=hidden.device), position]


def _last(mask: torch.Tensor) -> torch.Tensor:
    return mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)


def lower_precision(encoder: Encoder, model: torch.nn.Module, precision: str) -> None:
    """Convert a loaded model to a lower precision, and check that its vectors stay the same.

    Raises :class:`EnvironmentProblem` where they do not, see :func:`check_precision`.

    Parameters
    ----------
    encoder
        Encoder that uses the model.
    model
        The float32 module inside the encoder. It is converted in place.
    precision
        ``float32`` (nothing is done), ``bfloat16`` or ``float16``.
    """
    if precision == "float32":
        return
    prepared = encoder.prepare(PRECISION_TEXTS)
    texts = [each for each in prepared if not isinstance(each, RejectedPayload)]
    reference = encoder.encode(texts)
    model.to(dtype=getattr(torch, precision))
    check_precision(encoder.encode(texts), reference, precision)


def quieten() -> None:
    """Turn off warnings and progress bars of transformers.

    One bar for each worker would hide this program's own output.
    """
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def cannot_load(spec: EncoderSpec, error: Exception | str) -> EnvironmentProblem:
    """Make the error for files that exist but cannot be loaded as a model.

    Parameters
    ----------
    spec
        Encoder settings.
    error
        Error of the library, or the fault in words.

    Returns
    -------
    EnvironmentProblem
        The error to raise.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    code = "trust_remote_code" in str(error) and not spec.trust_remote_code
    return EnvironmentProblem(
        f"embed.model must hold a model that encoder {spec.name} can load. Got {spec.model!r}: "
        f"{lines[0]}",
        hint="embed.trust_remote_code: true runs the model's own code; read it first."
        if code
        else "save_pretrained() of model and tokeniser makes such a directory.",
    )


def _load(spec: EncoderSpec, directory: Path) -> tuple[Any, Any]:
    """Load tokeniser and model on the CPU, from local files only."""
    shared = {"local_files_only": True, "trust_remote_code": spec.trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(directory), **shared)
        model, report = AutoModel.from_pretrained(
            str(directory),
            # Pickled weights are only ever read as tensors: torch.load(weights_only=True).
            use_safetensors=has_safetensors(directory),
            output_loading_info=True,
            **shared,
        )
    except (OSError, ValueError, ImportError, RuntimeError, pickle.UnpicklingError) as error:
        raise cannot_load(spec, error) from error
    # The library fills missing weights with random numbers. A missing pooler does no harm, because
    # it is not used here.
    missing = [name for name in sorted(report["missing_keys"]) if "pooler." not in name]
    if missing:
        raise cannot_load(spec, f"its weights have no {', '.join(missing[:3])}")
    if not tokenizer.is_fast:
        raise cannot_load(spec, "its tokeniser has no fast version (tokenizer.json)")
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model.config.use_cache = False  # A decoder's cache serves only to generate text.
    return tokenizer, model
