"""Cut texts into windows of tokens, encode the windows by length, and combine their vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from semdedup_spark.encoders.protocol import RejectedPayload
from semdedup_spark.kernels.vectors import FloatArray

# Windows are padded to a multiple of this number of tokens, never to the longest text of the batch.
# So the shape in which a text is computed, and the bits of its vector, depend on the text alone.
_LENGTH_STEP = 8

# Most characters in a call of the tokeniser. It needs about 200 bytes for each of them.
_CHARACTERS_A_CALL = 200_000

# Characters a token. Hardly any text has more.
_CHARACTERS_A_TOKEN = 32

# A forward pass takes at most as many windows as there are texts in the call, or this many if that
# is more. When GPU memory runs out, the caller passes fewer texts, and so fewer windows.
_WINDOWS_A_PASS = 32

Windows = list[list[int]]


class Tokens:
    """Tokenises texts and cuts them to windows that a model can take.

    A text of more than 200,000 characters is tokenised in pieces, each of which begins a window.

    Parameters
    ----------
    tokenizer
        Fast tokeniser of the transformers library.
    max_length
        Most tokens of a window, including those that the tokeniser adds (``[CLS]``, ``</s>``).
    long_text
        Treatment of texts of several windows: ``truncate`` (keep the first window), ``chunk-mean``
        (keep all windows; they follow each other without overlap) or ``reject``.
    prompt
        Text put before each text.
    """

    def __init__(self, tokenizer: Any, max_length: int, long_text: str, prompt: str = "") -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._long_text = long_text
        self._prompt = prompt

    def prepare(self, texts: Sequence[str]) -> list[Windows | RejectedPayload]:
        """Tokenise texts.

        Parameters
        ----------
        texts
            n texts.

        Returns
        -------
        list[Windows | RejectedPayload]
            n entries: windows of 1 to ``max_length`` tokens, or a rejection with reason
            ``invalid_utf8`` (lone surrogates), ``no_tokens`` or ``over_long_text``.
        """
        return [outcome for group in _groups(texts) for outcome in self._prepare_group(group)]

    def _prepare_group(self, texts: list[str]) -> list[Windows | RejectedPayload]:
        readable = [_readable(text) for text in texts]
        given = [
            self._head(self._prompt + text) for text, ok in zip(texts, readable, strict=True) if ok
        ]
        windows = iter(self._windows(given))
        broken = RejectedPayload("invalid_utf8", "the text contains a lone surrogate")
        return [self._checked(next(windows)) if ok else broken for ok in readable]

    def _checked(self, windows: Windows) -> Windows | RejectedPayload:
        if not windows or not windows[0]:
            return RejectedPayload("no_tokens", "the model's tokeniser finds no tokens in the text")
        if len(windows) == 1 or self._long_text == "chunk-mean":
            return windows
        if self._long_text == "truncate":
            return windows[:1]
        return RejectedPayload(
            "over_long_text", f"the text has more than embed.max_length, {self._max_length}, tokens"
        )

    def _windows(self, texts: list[str]) -> list[Windows]:
        if not texts:
            return []
        if len(texts) == 1 and len(texts[0]) > _CHARACTERS_A_CALL:
            pieces = [piece for piece in _pieces(texts[0]) if not piece.isspace()]
            return [[window for piece in pieces for window in self._windows([piece])[0]]]
        tokens = self._tokenizer(
            texts,
            truncation=True,
            max_length=self._max_length,
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        windows: list[Windows] = [[] for _ in texts]
        rows = tokens["overflow_to_sample_mapping"]
        for row, ids in zip(rows, tokens["input_ids"], strict=True):
            windows[row].append(ids)
        return windows

    def _head(self, text: str) -> str:
        """Cut a very long text to what its first window needs. For ``chunk-mean``, keep all of it.

        A tokeniser works on words, so what follows the second window cannot change the first. Only
        a few thousand characters of a document of many megabytes are ever tokenised.
        """
        size = self._max_length * _CHARACTERS_A_TOKEN
        while size < len(text) and self._long_text != "chunk-mean":
            if len(self._windows([text[:size]])[0]) > 2:
                return text[:size]
            size *= 4
        return text


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    characters = 0
    for text in texts:
        if group and characters + len(text) > _CHARACTERS_A_CALL:
            yield group
            group, characters = [], 0
        group.append(text)
        characters += len(text)
    if group:
        yield group


def _pieces(text: str) -> Iterator[str]:
    """Cut a text, between words if possible, so that each piece fits into one call."""
    start = 0
    while len(text) - start > _CHARACTERS_A_CALL:
        end = start + _CHARACTERS_A_CALL
        space = max(text.rfind(gap, start + 1, end) for gap in " \n\t")
        cut = space if space > start else end
        yield text[start:cut]
        start = cut
    yield text[start:]


def _readable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_windows(
    prepared: Sequence[Windows],
    forward: Callable[[list[list[int]], int], FloatArray],
    *,
    batch_size: int,
    longest: int | None = None,
) -> FloatArray:
    """Encode texts that are cut into windows.

    The vector of a text of several windows is the mean of the windows' vectors, weighted by their
    numbers of tokens and computed in float64. With mean pooling this is the mean of all token
    vectors of the text.

    Parameters
    ----------
    prepared
        n >= 1 texts, each of one or more windows.
    forward
        Maps B sequences of tokens and the length L >= 1 to pad them to, to (B, d) float32. It is
        called with sequences of similar length.
    batch_size
        Most sequences in a call of ``forward``.
    longest
        Upper limit of L, in tokens. ``None``: no limit.

    Returns
    -------
    FloatArray
        (n, d) float32.
    """
    batch_size = min(batch_size, max(len(prepared), _WINDOWS_A_PASS))
    X = _by_length([ids for windows in prepared for ids in windows], forward, batch_size, longest)
    if len(X) == len(prepared):
        return X
    out = np.empty((len(prepared), X.shape[1]), dtype=np.float32)
    ends = accumulate((len(windows) for windows in prepared), initial=0)
    for row, (start, end) in enumerate(pairwise(ends)):
        if end - start == 1:
            out[row] = X[start]
        else:
            weights = [len(ids) for ids in prepared[row]]
            out[row] = np.average(X[start:end].astype(np.float64), axis=0, weights=weights)
    return out


def _by_length(
    tokens: list[list[int]],
    forward: Callable[[list[list[int]], int], FloatArray],
    batch_size: int,
    longest: int | None,
) -> FloatArray:
    buckets: dict[int, list[int]] = {}
    for row, ids in enumerate(tokens):
        length = -(-len(ids) // _LENGTH_STEP) * _LENGTH_STEP
        buckets.setdefault(min(length, longest or length), []).append(row)
    rows, parts = [], []
    for length, members in sorted(buckets.items()):
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            rows += batch
            parts.append(forward([tokens[row] for row in batch], length))
    X: FloatArray = np.concatenate(parts)
    X[rows] = X.copy()
    return X
