"""What Spark does to SQL text before it parses it: ``${name}`` gives way to a value.

The name may be that of any setting of the session, or of a variable of the driver's environment.
Literals, and names by the Column API, are never read in this way; the text of a query, a name in
it, and what ``expr`` is given are.
"""

from __future__ import annotations

import re

_VARIABLE = re.compile(r"\$\{\S+?\}")


def variable_in(text: str) -> str:
    """The first variable that Spark would replace; empty where there is none."""
    found = _VARIABLE.search(text)
    return "" if found is None else found[0]
