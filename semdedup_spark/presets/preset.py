"""What a preset is: a named pattern, and what of its matches counts as the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

# Flags before every regular expression: upper and lower case are the same, and letters and digits
# are those of all scripts. Python's `re` has the second by default.
FLAGS = "(?iU)"

# Characters that are read as others before anything is looked for, each beside its counterpart.
# Digits and signs of full width, digits of Arabic, Persian and Devanagari; hyphens and the minus
# sign; the micro sign.
_DIGITS = "０１２３４５６７８９٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९"
_OTHERS = {
    "\uff0c": ",",
    "\uff0e": ".",
    "\uff05": "%",
    "\uff0f": "/",
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2212": "-",
    "\u00b5": "\u03bc",
}
FOLDED = (_DIGITS + "".join(_OTHERS), "0123456789" * 4 + "".join(_OTHERS.values()))

Rewrites = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Preset:
    """What must agree, by one name.

    The text is folded (:data:`FOLDED`). Each match of the pattern then goes through ``before``, is
    written in lower case, has its words replaced, and goes through ``after``. What is left of the
    matches is compared, in any order; empty ones do not count.

    All regular expressions mean the same to Java and to Python's ``re``, with ``$1`` for a group.

    Attributes
    ----------
    name
        Its name in a job file.
    languages
        The languages whose words it knows.
    protects
        What must agree, for people.
    differ
        Two texts that do not agree.
    same
        Two texts that agree, although they are not equal.
    pattern
        Regular expression.
    before
        Regular expressions and what stands in their place, in order.
    words
        Words, in lower case, and what stands in their place.
    after
        As ``before``, after the words.
    """

    name: str
    languages: str
    protects: str
    differ: tuple[str, str]
    same: tuple[str, str]
    pattern: str
    before: Rewrites = ()
    words: Mapping[str, str] = field(default_factory=dict)
    after: Rewrites = ()

    @property
    def identity(self) -> str:
        """Hash of all that decides what it finds. It differs where a release finds other things."""
        parts = (FLAGS, FOLDED, self.pattern, self.before, sorted(self.words.items()), self.after)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def spelled(words: Mapping[str, str]) -> dict[str, str]:
    """Turn lists of spellings into a dictionary.

    Parameters
    ----------
    words
        What counts, with its spellings, separated by spaces.

    Returns
    -------
    dict[str, str]
        What counts, by each spelling.
    """
    return {one: word for word, spellings in words.items() for one in spellings.split()}
