"""Models that the sentence-transformers library saved, with the modules and settings they name."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from semdedup_spark.encoders.protocol import EncoderSpec, RejectedPayload
from semdedup_spark.encoders.text.hf_text import cannot_load, lower_precision, padded, quieten
from semdedup_spark.encoders.text.model_files import (
    checked_length,
    first_module,
    position_limit,
    text_directory,
)
from semdedup_spark.encoders.text.token_windows import Tokens, encode_windows
from semdedup_spark.encoders.torch_setup import limit_threads, select_device
from semdedup_spark.kernels.vectors import FloatArray


class Sentences:
    """See :class:`semdedup_spark.encoders.protocol.Encoder`; payloads are strings.

    Pooling, dense layers, normalisation, lower case, the most tokens of a text and a default prompt
    are those of the directory; ``spec.max_length`` overrides the tokens.
    """

    def __init__(self, spec: EncoderSpec) -> None:
        quieten()
        limit_threads()
        directory = text_directory(spec)
        files = first_module(directory)
        self._device = select_device(spec.device)
        self._batch_size = spec.batch_size
        self._longest = position_limit(files)
        self._model = _load(spec, directory, self._device)
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "") or ""
        self._tokens: Tokens | None = None
        if _is_plain(self._model, self._prompt):
            own = int(min(self._model.max_seq_length or 512, 10**6))
            length = checked_length(spec, files, own)
            self._tokens = Tokens(self._model.tokenizer, length, spec.long_text, self._prompt)
        elif spec.long_text != "truncate" or spec.max_length is not None:
            raise cannot_load(
                spec, "its first module counts no tokens: leave long_text and max_length unset"
            )
        lower_precision(self, self._model[0], spec.precision)  # pooling is always float32

    def prepare(self, payloads: Sequence[str]) -> list[Any]:
        """The tokens of each text; of models that take no plain tokens, what they make of it."""
        if self._tokens is not None:
            return list(self._tokens.prepare(payloads))
        return [self._features(text) for text in payloads]

    def encode(self, prepared: Sequence[Any]) -> FloatArray:
        """(n, d) float32. Texts of like length share a forward pass; order is restored."""
        if self._tokens is None:
            return np.concatenate([self._vectors(dict(features)) for features in prepared])
        return encode_windows(
            prepared, self._forward, batch_size=self._batch_size, longest=self._longest
        )

    def _features(self, text: str) -> dict[str, Any] | RejectedPayload:
        features: dict[str, Any] = self._model.preprocess([text], prompt=self._prompt or None)
        if features["input_ids"].numel() == 0:
            return RejectedPayload("no_tokens", "the model's tokeniser sees nothing in the text")
        return features

    def _forward(self, tokens: list[list[int]], length: int) -> FloatArray:
        ids, mask = padded(tokens, length)
        return self._vectors({"input_ids": ids, "attention_mask": mask})

    @torch.inference_mode()
    def _vectors(self, features: dict[str, Any]) -> FloatArray:
        first, *others = self._model.children()
        features = _moved(first(_moved(features, device=self._device)), dtype=torch.float32)
        while "sentence_embedding" not in features:
            features = others.pop(0)(features)
        X = features["sentence_embedding"]
        # On the CPU the bits of a matrix product depend on how few rows it has. Tokens are at least
        # eight, always; of vectors there may be one, so dense layers see them one by one.
        parts = X.split(1) if others and X.device.type == "cpu" else [X]
        for module in others:
            parts = [module({"sentence_embedding": part})["sentence_embedding"] for part in parts]
        vectors: FloatArray = torch.cat(list(parts)).cpu().numpy()
        return vectors


def _moved(features: dict[str, Any], **to: Any) -> dict[str, Any]:
    """Tensors elsewhere (``device``), or those that are no whole numbers as another ``dtype``."""
    return {
        name: value.to(**to)
        if isinstance(value, torch.Tensor) and ("device" in to or value.is_floating_point())
        else value
        for name, value in features.items()
    }


def _load(spec: EncoderSpec, directory: Path, device: torch.device) -> SentenceTransformer:
    if not (directory / "modules.json").is_file():
        raise cannot_load(spec, "it has no modules.json; encoder hf-text needs none")
    try:
        model: SentenceTransformer = SentenceTransformer(
            str(directory),
            device=str(device),
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
        )
    except (OSError, ValueError, ImportError, RuntimeError, pickle.UnpicklingError) as error:
        raise cannot_load(spec, error) from error
    model.eval().to(dtype=torch.float32)
    return model


def _is_plain(model: SentenceTransformer, prompt: str) -> bool:
    """Whether ids and a mask are all that the model wants: a Transformer module first, with its
    fast tokeniser and no chat template, and no prompt that pooling must leave out.
    """
    first: Any = model[0]
    left_out = prompt and not all(getattr(m, "include_prompt", True) for m in model.children())
    return (
        type(first).__name__ == "Transformer"
        and "message" not in first.modality_config
        and getattr(model.tokenizer, "is_fast", False)
        and not left_out
    )
