"""Before Spark parses SQL text it replaces ``${name}`` by a value.

The name may be that of any setting of the session, or of a variable of the driver's environment.
Spark does this to the text of a query, to names in it, and to what ``expr`` is given. It does not
do it to literals and names that come through the Column API.
"""

from __future__ import annotations

import re

_VARIABLE = re.compile(r"\$\{\S+?\}")


def variable_in(text: str) -> str:
    """Find the first variable that Spark would replace.

    Parameters
    ----------
    text
        SQL text, or a name in it.

    Returns
    -------
    str
        Such as ``${user}``; empty if there is none.
    """
    found = _VARIABLE.search(text)
    return "" if found is None else found[0]
