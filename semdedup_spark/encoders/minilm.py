"""all-MiniLM-L6-v2: mean of the last layer's token vectors, 384 dimensions."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as hf_logging

from semdedup_spark.encoders.minilm_files import minilm_directory
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.kernels.vectors import FloatArray

# Token counts are padded up to a multiple of this, never to the longest text of the batch: the
# shape that a text is computed in then depends on the text alone, and so do the bits of its vector.
_LENGTH_STEP = 8


class MiniLM:
    """See :class:`semdedup_spark.encoders.protocol.Encoder`; payloads are strings."""

    def __init__(self, spec: EncoderSpec) -> None:
        directory = str(minilm_directory(spec.model))
        hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        # A bar for each worker would hide our own lines.
        hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        self._device = select_device(spec.device)
        self._batch_size = spec.batch_size
        self._max_length = spec.max_length
        self._tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        model = AutoModel.from_pretrained(directory, local_files_only=True, use_safetensors=True)
        self._model = model.eval().to(self._device, dtype=getattr(torch, spec.precision))

    def prepare(self, payloads: Sequence[str]) -> list[list[int]]:
        """The tokens of each text."""
        if not payloads:
            return []
        tokens: list[list[int]] = self._tokenizer(
            list(payloads), truncation=True, max_length=self._max_length
        )["input_ids"]
        return tokens

    def encode(self, prepared: Sequence[list[int]]) -> FloatArray:
        """(n, 384) float32. Texts of like length share a forward pass; order is restored."""
        tokens = prepared
        buckets: dict[int, list[int]] = {}
        for row, ids in enumerate(tokens):
            buckets.setdefault(-(-len(ids) // _LENGTH_STEP) * _LENGTH_STEP, []).append(row)
        out = np.empty((len(tokens), self._model.config.hidden_size), dtype=np.float32)
        for length, rows in sorted(buckets.items()):
            for start in range(0, len(rows), self._batch_size):
                batch = rows[start : start + self._batch_size]
                out[batch] = self._forward([tokens[row] for row in batch], length)
        return out

    @torch.inference_mode()
    def _forward(self, tokens: list[list[int]], length: int) -> FloatArray:
        ids = torch.zeros((len(tokens), length), dtype=torch.long)  # 0 is [PAD]
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(tokens):
            ids[row, : len(sequence)] = torch.tensor(sequence)
            mask[row, : len(sequence)] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weights = mask[..., None].float()
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)  # (B, L, h) -> (B, h)
        vectors: FloatArray = mean.cpu().numpy()
        return vectors


def select_device(wanted: str) -> torch.device:
    """``wanted``: ``auto`` (a GPU if torch sees one), ``cpu``, ``cuda`` or ``cuda:<index>``."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"embed.device is {wanted}, and torch sees no GPU on this worker.")
    return torch.device(wanted)
