"""Tokenisers of the tokenizers library, without the transformers library and without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class PlainTokenizer:
    """Gives a tokeniser the call that :class:`semdedup_spark.encoders.text.token_windows.Tokens`
    makes of a tokeniser of the transformers library. What its file says of padding and of the
    length is ignored.

    Parameters
    ----------
    tokenizer
        The tokeniser. It belongs to this object from now on.
    max_length
        Most tokens of a window, including those that the tokeniser adds.
    special
        Whether the tokeniser adds its special tokens, such as ``[CLS]``.
    left_out
        Id of a token that is left out of every window, such as that of unknown words.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, *, special: bool, left_out: int | None = None
    ) -> None:
        # Spark runs as many workers as there are cores: threads of the library would only compete.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        self._tokenizer = tokenizer
        self._special = special
        self._left_out = left_out

    def __call__(self, texts: Sequence[str], **_settings: Any) -> dict[str, list[Any]]:
        """Tokenise texts into windows.

        Parameters
        ----------
        texts
            n texts.
        **_settings
            What the transformers library has to be told, and this object does in any case.

        Returns
        -------
        dict[str, list[Any]]
            ``input_ids``, m >= n windows of token ids in the order of the texts; and
            ``overflow_to_sample_mapping``, m positions of their texts.
        """
        ids: list[list[int]] = []
        texts_of: list[int] = []
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=self._special)
        for row, encoding in enumerate(encodings):
            windows = [self._kept(each.ids) for each in (encoding, *encoding.overflowing)]
            windows = [window for window in windows if window] or [[]]
            ids += windows
            texts_of += repeat(row, len(windows))
        return {"input_ids": ids, "overflow_to_sample_mapping": texts_of}

    def _kept(self, ids: list[int]) -> list[int]:
        return ids if self._left_out is None else [each for each in ids if each != self._left_out]
