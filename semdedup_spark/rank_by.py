"""Read ``score.rank_by`` without Spark: a built-in order, or an SQL ``ORDER BY`` list.

Only the borders of the terms are parsed here. Each term goes to Spark as it was written, so any
expression of Spark's SQL can rank rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from semdedup_spark.sql_text import variable_in

BUILT_IN = ("low", "high", "random")

_BRACKETS = {")": "(", "]": "[", "}": "{"}
_IN_BACKTICKS = "a column of that name is written in backticks"
# Spark would accept these, but they rank rows by nothing, by other tables, or differently on each
# run. Matched against the words of a term in upper case, with names and strings emptied.
_REFUSED = {
    r"^(''|\d+)$": "a constant ranks nothing; a column's name is written bare or in backticks",
    r"(^|[(,.] )\*": "* stands for no columns here; name them",
    r"\bSELECT\b|(^|\( )(VALUES|TABLE) [^)]": f"it holds a query; {_IN_BACKTICKS}",
    r"\b(CURRENT_(DATE|TIME|TIMESTAMP)|LOCALTIMESTAMP)\b|\b(NOW|CURDATE) \(|UNIX_TIMESTAMP \( \)"
    r"|\b(DATE|TIMESTAMP(_NTZ|_LTZ)?) (NOW|TODAY|TOMORROW|YESTERDAY)\b": (
        f"it reads the clock, so that no run repeats; {_IN_BACKTICKS}"
    ),
    r";": "; ends nothing here",
}

# Types of literals, in which Spark reads ``'now'`` as the moment of the query.
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ")


@dataclass(frozen=True)
class Term:
    """One term of an ``ORDER BY`` list.

    Attributes
    ----------
    expression
        Its SQL, as it was written.
    descending
        Whether greater values come first.
    nulls_first
        Whether nulls come before all values.
    """

    expression: str
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class _Word:
    """A token, ``text[start:end]``.

    Attributes
    ----------
    word
        The token in upper case.
    start
        Its first character.
    end
        One after its last character.
    """

    word: str
    start: int
    end: int


_NONE = _Word("", 0, 0)


@lru_cache(maxsize=16)
def parse_rank_by(text: str) -> tuple[Term, ...]:
    """Parse an order of rows.

    Without ``NULLS FIRST`` or ``NULLS LAST`` nulls come first in ascending and last in descending
    order, as in Spark.

    Parameters
    ----------
    text
        The value of ``score.rank_by``.

    Returns
    -------
    tuple of Term
        The terms of an SQL order; empty if the text is a built-in order.

    Raises
    ------
    ValueError
        The text is no order. The message says why.
    """
    if text in BUILT_IN:
        return ()
    try:
        if variable_in(text):
            raise ValueError(
                f"Spark would put a setting or a variable of the environment for "
                f"{variable_in(text)}; give a column of that name another one in a view"
            )
        if text.strip().lower() in BUILT_IN:
            raise ValueError(f"the built-in order is {text.strip().lower()}; {_IN_BACKTICKS}")
        return tuple(_term(text, words) for words in _split(_words(text)))
    except ValueError as why:
        raise ValueError(
            "must be low, high, random, or an SQL order such as 'quality DESC, length(text)'. "
            f"Got {text!r}: {why}"
        ) from None


def _words(text: str) -> list[_Word]:
    import sqlglot  # here, because only an SQL order needs it
    from sqlglot.errors import TokenError

    try:
        tokens = sqlglot.tokenize(text, read="spark")
    except TokenError:
        raise ValueError("a quote, backtick or comment is not closed") from None
    if not tokens:
        raise ValueError("it is empty")
    places = ((token.start, token.end + 1) for token in tokens)
    return [_Word(text[start:end].upper(), start, end) for start, end in places]


def _split(words: Sequence[_Word]) -> Iterator[list[_Word]]:
    """The words of each term: what stands between the commas outside of brackets."""
    term, opened = list[_Word](), list[_Word]()
    for word in words:
        if word.word == "," and not opened:
            yield term
            term = []
            continue
        term.append(word)
        if word.word in _BRACKETS.values():
            opened.append(word)
        elif word.word in _BRACKETS and (not opened or opened.pop().word != _BRACKETS[word.word]):
            raise ValueError(f"the {word.word} at character {word.start + 1} closes nothing")
    if opened:
        raise ValueError(f"the {opened[-1].word} at character {opened[-1].start + 1} is not closed")
    yield term


def _term(text: str, words: list[_Word]) -> Term:
    body, nulls_first, descending = list(words), None, False
    if [word.word for word in body[-2:]] in (["NULLS", "FIRST"], ["NULLS", "LAST"]):
        nulls_first = body[-1].word == "FIRST"
        del body[-2:]
    # A field of a struct may be called desc.
    if body and body[-1].word in ("ASC", "DESC") and [w.word for w in body[-2:-1]] != ["."]:
        descending = body.pop().word == "DESC"
    if not body:
        only = " ".join(word.word for word in words)
        raise ValueError(f"a term is only {only}" if words else "a term is empty")
    shape = " ".join(
        _without_content(word.word, called=after.word == "(", literal_of=before.word)
        for before, word, after in zip([_NONE, *body], body, [*body[1:], _NONE], strict=False)
    )
    for pattern, why in _REFUSED.items():
        if re.search(pattern, shape):
            raise ValueError(why)
    return Term(
        expression=text[body[0].start : body[-1].end],
        descending=descending,
        nulls_first=not descending if nulls_first is None else nulls_first,
    )


def _without_content(word: str, *, called: bool, literal_of: str) -> str:
    """A word in upper case; names and strings emptied, but for those that Spark reads on."""
    if word.startswith("`"):
        return word.strip("`") if called else "``"
    if not word.endswith(("'", '"')):
        return word
    return word[1:-1].strip() if literal_of in _MOMENTS else "''"
