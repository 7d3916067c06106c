"""From the columns of a table in memory to unit vectors, with a reason for each row without one."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any

import numpy as np
import pyarrow as pa
from rich.progress import Progress

from semdedup_spark.encoders.protocol import Encoder, EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import EncodedBatch, check_vectors, spread
from semdedup_spark.encoders.stream.stream import PieceSize, StreamSettings, encode_pieces
from semdedup_spark.encoders.text.template import CAST_TO_TEXT, check_template
from semdedup_spark.errors import SourceError
from semdedup_spark.in_memory.rows import CONTENT, Rows
from semdedup_spark.kernels.vectors import FloatArray

_IS_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null)
_IS_WRITTEN_ALIKE = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date32)
_SHOWN_FROM = 2000  # Texts; fewer are done before a bar can be read, or a second model is loaded.
_BLOCK = 512  # Texts that a thread takes at a time.


@dataclass(frozen=True)
class Contents:
    """What rows are compared by.

    Attributes
    ----------
    X
        (m, d) float32. Unit rows of the good rows.
    good
        (m,) int64. Their positions among all n rows.
    reasons
        n entries. Why a row has no vector, otherwise ``None``.
    """

    X: FloatArray
    good: Any
    reasons: list[str | None]


def joined_texts(
    rows: Rows, content: str | Sequence[str], template: str | None
) -> list[str | None]:
    """Read the texts of the rows.

    Parameters
    ----------
    rows
        n rows.
    content
        The column of the texts, or several columns that are joined.
    template
        How several columns are joined: ``"{artist}: {title}"``. A null is the empty text then.
        ``None``: those that are not empty, one on each line.

    Returns
    -------
    list[str | None]
        n texts. ``None`` where all columns are null.

    Notes
    -----
    What it calls raises ``SourceError`` where a column is not there, or the template lacks one.
    """
    names = [content] if isinstance(content, str) else list(content)
    check_template(template, names)
    alone = template is None and len(names) == 1
    columns = [_texts(rows.column(name, "content"), name, alone=alone) for name in names]
    if alone:
        return columns[0]
    lines = (dict(zip(names, line, strict=True)) for line in zip(*columns, strict=True))
    return [_joined(line, template) for line in lines]


def _texts(column: pa.Array, name: str, *, alone: bool) -> list[str | None]:
    """Values as Spark writes them. Bytes that are no UTF-8 become lone surrogates."""
    if pa.types.is_dictionary(column.type):  # categories of pandas
        column = column.dictionary_decode()
    of = column.type
    if not any(test(of) for test in (_IS_TEXT if alone else (*_IS_TEXT, *_IS_WRITTEN_ALIKE))):
        wanted = "text" if alone else "text, whole numbers, booleans or dates"
        raise SourceError(
            f"content must name columns of {wanted}. Got {of} in {name!r}.", hint=CAST_TO_TEXT
        )
    texts = column if any(test(of) for test in _IS_TEXT) else column.cast(pa.string())
    try:
        return list(texts.to_pylist())
    except UnicodeDecodeError:
        decode = partial(str, encoding="utf-8", errors="surrogateescape")
        return [decode(text.as_buffer()) if text.is_valid else None for text in texts]


def _joined(line: dict[str, str | None], template: str | None) -> str | None:
    if all(value is None for value in line.values()):
        return None
    texts = {f"{{{name}}}": v or "" for name, v in line.items()}
    if template is None:
        return "\n".join(filter(None, texts.values()))
    # One pass: braces in a text must not be taken for a column.
    return re.sub("|".join(map(re.escape, texts)), lambda found: texts[found[0]], template)


def encoded_texts(
    texts: Sequence[str | None], spec: EncoderSpec, threads: int | None = None
) -> Contents:
    """Encode texts, equal ones once. A bar shows how far it is, where there are many.

    Parameters
    ----------
    texts
        n texts.
    spec
        The encoder.
    threads
        Each encodes with a model of its own. By default as many as cores, where there are texts
        enough; one where there is a GPU. The result does not depend on it.

    Returns
    -------
    Contents
        Their vectors, and the reasons that the job would give.
    """
    reasons = [_text_reason(text) for text in texts]
    both = zip(texts, reasons, strict=True)
    there = (text for text, reason in both if text is not None and reason is None)
    place = {text: at for at, text in enumerate(dict.fromkeys(there))}
    if not place:
        return Contents(np.empty((0, 0), np.float32), np.empty(0, np.int64), reasons)
    X, refused = encoded(list(place), spec, threads)
    at = [-1 if text is None else place.get(text, -1) for text in texts]
    reasons = [refused[i] if i >= 0 else reason for i, reason in zip(at, reasons, strict=True)]
    good = np.array([row for row, reason in enumerate(reasons) if reason is None], dtype=np.int64)
    return Contents(X[[at[row] for row in good]], good, reasons)


def encoded(
    payloads: Sequence[Any],
    spec: EncoderSpec,
    threads: int | None,
    *,
    read: Callable[[Any], Any] = lambda payload: payload,
    many: int = _SHOWN_FROM,
) -> tuple[FloatArray, list[str | None]]:
    """Encode payloads, a few at a time.

    Parameters
    ----------
    payloads
        m payloads, or what ``read`` makes them of.
    spec
        The encoder.
    threads
        Each encodes with a model of its own. ``None``: one for each core, where there are at least
        ``many`` payloads for each; one where there is a GPU.
    read
        Reads a payload when its turn comes.
    many
        From this number on a bar shows how far it is.

    Returns
    -------
    tuple[FloatArray, list[str | None]]
        (m, d) float32, unit rows, zeros where refused; and m reasons.
    """
    with _own_torch_threads() as has_gpu:
        enough = 1 if has_gpu else min(os.cpu_count() or 1, -(-len(payloads) // many))
        n_threads, encoders = threads or enough, SimpleQueue[Encoder]()
        for number in range(n_threads):  # the first is kept for the next call
            encoders.put((load_encoder.__wrapped__ if number else load_encoder)(spec))

        def encode(start: int) -> list[EncodedBatch]:
            encoder, block = encoders.get(), payloads[start : start + _BLOCK]
            try:
                return list(encode_pieces(encoder, partial(_pieces, block, read), StreamSettings()))
            finally:
                encoders.put(encoder)

        with (
            ThreadPoolExecutor(n_threads) as pool,
            Progress(transient=True, disable=len(payloads) < many) as bar,
        ):
            task, found = bar.add_task("encoding", total=len(payloads)), list[EncodedBatch]()
            for batches in pool.map(encode, range(0, len(payloads), _BLOCK)):
                found += batches
                bar.advance(task, sum(len(batch.reasons) for batch in batches))
    d = max(batch.X.shape[1] for batch in found)
    X = np.concatenate(
        [b.X if b.X.shape[1] else np.zeros((len(b.reasons), d), np.float32) for b in found]
    )
    return X, [reason for batch in found for reason in batch.reasons]


def _pieces(
    payloads: Sequence[Any], read: Callable[[Any], Any], size: PieceSize
) -> Iterator[list[Any]]:
    start = 0
    while start < len(payloads):
        end = start + size.rows
        yield [read(payload) for payload in payloads[start:end]]
        start = end


@contextmanager
def _own_torch_threads() -> Iterator[bool]:
    """Encoders set the number of torch's threads; the caller's own comes back. Yields whether there
    is a GPU. Pixels are compared without torch.
    """
    if find_spec("torch") is None:
        yield False
        return
    import semdedup_spark.encoders.torch_setup  # noqa: F401  before torch: how MKL computes

    import torch  # isort: skip

    before = torch.get_num_threads()
    try:
        yield torch.cuda.is_available()
    finally:
        torch.set_num_threads(before)


def _text_reason(text: str | None) -> str | None:
    if text is None:
        return "null_text"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "invalid_utf8"
    seen = (unicodedata.category(letter) for letter in text)
    blank = all(kind[0] == "Z" or kind in ("Cc", "Cf") for kind in seen)
    return "empty_text" if blank else None


def checked_vectors(rows: Rows, vector: str | None) -> Contents:
    """Take vectors that are ready.

    Parameters
    ----------
    rows
        n rows.
    vector
        The column of the vectors, lists of numbers; not needed for an array.

    Returns
    -------
    Contents
        The vectors as unit rows, and the reasons that the job would give.

    Raises
    ------
    SourceError
        The column holds something else.
    """
    if rows.is_matrix:
        given = list(rows.data)
    else:
        column = rows.column(vector or CONTENT, "vector")
        if not (
            pa.types.is_list(column.type)
            or pa.types.is_large_list(column.type)
            or pa.types.is_fixed_size_list(column.type)
        ):
            raise SourceError(
                f"vector must name a column of lists of numbers. Got {column.type} in {vector!r}."
            )
        given = [None if v is None else np.array(v, dtype=float) for v in column.to_pylist()]
    # As for the job: the most common length above 0, and of equally common ones the largest.
    lengths = Counter(len(v) for v in given if v is not None and len(v))
    usual = max(lengths, key=lambda d: (lengths[d], d), default=1)
    reasons: list[str | None] = [
        "null_vector" if v is None else None if len(v) == usual else "wrong_length" for v in given
    ]
    there = [row for row, reason in enumerate(reasons) if reason is None]
    none = np.empty(0, dtype=np.int64)
    if not there:
        return Contents(np.empty((0, 0), np.float32), none, reasons)
    batch = check_vectors(np.stack([given[row] for row in there]))
    messages: list[str | None] = [None] * len(given)
    all_rows = spread(batch, there, reasons, messages)
    good = np.flatnonzero([reason is None for reason in all_rows.reasons])
    return Contents(all_rows.X[good], good, all_rows.reasons)
