"""Any text model of the transformers library: a pooling of its last layer's token vectors."""

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
from semdedup_spark.encoders.text.model_files import (
    checked_length,
    has_safetensors,
    position_limit,
    text_directory,
)
from semdedup_spark.encoders.text.token_windows import Tokens, Windows, encode_windows
from semdedup_spark.encoders.torch_setup import limit_threads, select_device
from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray

# Tokens of a text where the configuration does not say; the memory for attention grows with their
# square, and models that take 100,000 are common.
OWN_LENGTH = 512

# What a lower precision is tried on: prose, code, numbers, signs, and one text of some length.
PRECISION_TEXTS = (
    "The committee will meet again on Thursday to decide about the new bridge.",
    "def area(radius):\n    return 3.14159 * radius ** 2",
    "10,482.50 USD / 9.3 % ... !!! ### 2024-01-31T23:59:59Z",
    "Łódź, Αθήνα, Москва, 東京, القاهرة",
    "a",
    "It was a bright cold day in the mountains, and the shepherds had long been up. " * 6,
)


def load_hf_text(spec: EncoderSpec) -> HfText:
    """The model in the directory, or of the hub id, ``spec.model``."""
    directory = text_directory(spec)
    return HfText(spec, directory, checked_length(spec, directory, own=OWN_LENGTH))


class HfText:
    """See :class:`semdedup_spark.encoders.protocol.Encoder`; payloads are strings.

    ``spec.pooling``: ``mean`` (``None`` too) of the tokens' vectors, ``cls``: the first token's, or
    ``last``: the last token's, which in a decoder has seen the whole text. The last layer is what
    the model itself gives as such, after its final norm where it has one.
    """

    def __init__(self, spec: EncoderSpec, directory: Path, max_length: int) -> None:
        quieten()
        limit_threads()
        self._device = select_device(spec.device)
        self._batch_size = spec.batch_size
        self._pooling = spec.pooling or "mean"
        self._longest = position_limit(directory)
        tokenizer, self._model = _load(spec, directory)
        self._tokens = Tokens(tokenizer, max_length, spec.long_text)
        self._model.eval().to(self._device, dtype=torch.float32)
        lower_precision(self, self._model, spec.precision)

    def prepare(self, payloads: Sequence[str]) -> list[Windows | RejectedPayload]:
        """The tokens of each text, in one window or, with ``chunk-mean``, several."""
        return self._tokens.prepare(payloads)

    def encode(self, prepared: Sequence[Windows]) -> FloatArray:
        """(n, d) float32. Texts of like length share a forward pass; order is restored."""
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
    """Ids and mask of B sequences, each (B, length) int64.

    Always padded on the right, whatever side the tokeniser prefers: a token's position, and what it
    can attend to, are then as in the text alone. What stands in the padding is masked and does not
    matter, so a model needs no padding token.
    """
    ids = np.zeros((len(tokens), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, sequence in enumerate(tokens):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(B, L, h) float32 and (B, L) of 0 and 1, padding on either side or both, to (B, h).

    ``pooling``: ``mean``, ``cls`` (the first token that is no padding) or ``last``.
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
    """Convert ``model``, the float32 module inside ``encoder``, and see that it still says the
    same. Raises :class:`EnvironmentProblem`.
    """
    if precision == "float32":
        return
    prepared = encoder.prepare(PRECISION_TEXTS)
    texts = [each for each in prepared if not isinstance(each, RejectedPayload)]
    reference = encoder.encode(texts)
    model.to(dtype=getattr(torch, precision))
    check_precision(encoder.encode(texts), reference, precision)


def quieten() -> None:
    """Errors only, and no bars: one for each worker would hide our own lines."""
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def cannot_load(spec: EncoderSpec, error: Exception | str) -> EnvironmentProblem:
    """The error to raise where a model's files are there and do not make a model."""
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
    """Tokeniser and model, on the CPU, from local files only."""
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
    # The library fills in what is missing with random numbers. A pooler is not used here.
    missing = [name for name in sorted(report["missing_keys"]) if "pooler." not in name]
    if missing:
        raise cannot_load(spec, f"its weights have no {', '.join(missing[:3])}")
    if not tokenizer.is_fast:
        raise cannot_load(spec, "its tokeniser has no fast form (tokenizer.json)")
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    model.config.use_cache = False  # a decoder's cache is for generating text
    return tokenizer, model
