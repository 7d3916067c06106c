"""A corpus that is on every machine: the docstrings of the installed libraries.

Source files are parsed, never imported. They are full of semantic duplicates: the same method of
sibling classes, a function and its alias, a client that mirrors a server.
"""

from __future__ import annotations

import ast
import gzip
import importlib.util
import json
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

LIBRARIES = ("pyspark", "pandas", "numpy", "pyarrow", "torch", "transformers", "stdlib")
# Docstrings of tests describe only tests. Vendored packages would be counted twice.
_SKIPPED = {"tests", "test", "testing", "_vendor", "vendor", "site-packages", "idlelib", "lib2to3"}


@dataclass(frozen=True)
class Docstring:
    """One docstring of an installed library.

    Attributes
    ----------
    id
        Qualified name of its function, method or class.
    library
        Name of the library.
    kind
        ``function``, ``method`` or ``class``.
    text
        The docstring.
    """

    id: str
    library: str
    kind: str
    text: str


def collect_docstrings(n_rows: int, libraries: tuple[str, ...] = LIBRARIES) -> list[Docstring]:
    """Collect docstrings, about equally many from each library.

    The same installation gives the same list. Each library's largest files come first: they hold
    families such as ``tan`` and ``cot``, or ``as_ordered`` and ``as_unordered``, which make the
    result worth reading. Only as many files are parsed as are needed.

    Parameters
    ----------
    n_rows
        Most docstrings to collect.
    libraries
        Top-level packages, or ``stdlib``. Those that are not installed are left out.

    Returns
    -------
    list of Docstring
        At most ``n_rows`` docstrings, grouped by library.
    """
    sources = {library: _library(library) for library in libraries}
    taken: dict[str, list[Docstring]] = {library: [] for library in libraries}
    left = n_rows
    while left > 0 and sources:
        share = max(1, left // len(sources))
        for library in list(sources):
            rows = list(islice(sources[library], min(share, left)))
            taken[library] += rows
            left -= len(rows)
            if len(rows) < share:
                del sources[library]
    return [row for rows in taken.values() for row in rows]


def write_corpus(rows: list[Docstring], directory: Path) -> Path:
    """Write ``docstrings.jsonl.gz``. Equal rows give an equal file.

    A file that is already equal is left untouched, so that a job on it sees no change.

    Parameters
    ----------
    rows
        Docstrings to write.
    directory
        Directory of the file. Made where it is missing.

    Returns
    -------
    Path
        Path of the file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "docstrings.jsonl.gz"
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    data = gzip.compress(lines.encode("utf-8", "replace"), mtime=0)
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)
    return path


def _library(name: str) -> Iterator[Docstring]:
    root = _source_root(name)
    seen: set[str] = set()
    files = root.rglob("*.py") if root else ()
    for path in sorted(files, key=lambda file: (-file.stat().st_size, str(file))):
        parts = path.relative_to(root).with_suffix("").parts if root else ()
        if _SKIPPED & set(parts):
            continue
        module = ".".join(part for part in ((name if name != "stdlib" else ""), *parts) if part)
        for row in _module(path, module.removesuffix(".__init__"), name):
            if row.id not in seen:  # overloads and conditional definitions repeat a name
                seen.add(row.id)
                yield row


def _source_root(name: str) -> Path | None:
    if name == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(name)  # finds a top-level package without importing it
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _module(path: Path, module: str, library: str) -> Iterator[Docstring]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # a template, or a file for another Python version
        return
    yield from _definitions(tree, module, library, in_class=False)


def _definitions(
    node: ast.AST, prefix: str, library: str, *, in_class: bool
) -> Iterator[Docstring]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{prefix}.{child.name}"
            is_class = isinstance(child, ast.ClassDef)
            text = ast.get_docstring(child)
            if text and text.strip():
                kind = "class" if is_class else "method" if in_class else "function"
                yield Docstring(name, library, kind, text)
            if is_class:
                yield from _definitions(child, name, library, in_class=True)
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _definitions(child, prefix, library, in_class=in_class)
