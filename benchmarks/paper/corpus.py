"""Texts that anybody can fetch: the descriptions of Debian's packages, as apt fetches them; where
there is no apt, the docstrings of the installed libraries.

``python benchmarks/paper/corpus.py`` fetches them once and says what they are.

A description is part of its source package's ``debian/control``. Every package of the component
*main* is free software by Debian's guidelines, each under the licence that its ``debian/copyright``
names. The descriptions are fetched from the mirror that apt is set up with, and not passed on.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from semdedup_spark.demo.docstrings import collect_docstrings

CACHE = Path(tempfile.gettempdir()) / "semdedup-paper"
_CAT = Path("/usr/lib/apt/apt-helper")
_DOCSTRINGS = 40_000


@dataclass(frozen=True)
class Corpus:
    """n texts, and the group that each belongs to: its source package, or its library's module."""

    name: str
    texts: list[str]
    groups: list[str]

    def __len__(self) -> int:
        return len(self.texts)


def load_corpus(n_rows: int | None = None, cache: Path = CACHE) -> Corpus:
    """The corpus, or whole groups of it until there are at least ``n_rows`` texts. Groups are
    chosen by a hash of their names, so fewer rows are a part of more.
    """
    file = cache / "corpus.parquet"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        found = _of_debian(cache) if _CAT.exists() and shutil.which("apt-get") else None
        table = pa.table(
            dict(zip(("text", "group"), _columns(found or _docstrings()), strict=True))
        )
        name = "Debian's descriptions" if found else "docstrings"
        pq.write_table(table.replace_schema_metadata({"name": name}), file)
    table = pq.read_table(file)
    name = (table.schema.metadata or {})[b"name"].decode()
    rows = zip(table["text"].to_pylist(), table["group"].to_pylist(), strict=True)
    return part_of(name, list(rows), n_rows)


def part_of(name: str, rows: Sequence[tuple[str, str]], n_rows: int | None) -> Corpus:
    """Whole groups of (text, group), by a hash of the group, until there are enough."""
    by_hash = sorted(rows, key=lambda row: hashlib.sha256(row[1].encode()).digest())
    if n_rows is not None and n_rows < len(by_hash):
        last = by_hash[n_rows - 1][1]
        while n_rows < len(by_hash) and by_hash[n_rows][1] == last:
            n_rows += 1
    texts, groups = _columns(by_hash[:n_rows])
    return Corpus(name, texts, groups)


def _columns(rows: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [text for text, _ in rows], [group for _, group in rows]


def _docstrings() -> list[tuple[str, str]]:
    rows = collect_docstrings(_DOCSTRINGS)
    return [(row.text, row.id.rsplit(".", 1)[0]) for row in rows]


def _of_debian(cache: Path) -> list[tuple[str, str]] | None:
    """(description, source package) of every description in the largest index; ``None`` where apt
    gives none.
    """
    lists = cache / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    places = [f"Dir::State::Lists={lists}", f"Dir::Cache={cache}", "Acquire::Languages=en"]
    options = [word for place in places for word in ("-o", place)]
    fetched = subprocess.run(["apt-get", *options, "update"], check=False, capture_output=True)
    found = sorted(lists.glob("*_i18n_Translation-en*"), key=lambda file: file.stat().st_size)
    if fetched.returncode or not found:
        return None
    release = found[-1].name.partition("_i18n_")[0]
    indexes = lists.glob(f"{release}_binary-*_Packages*")
    source_of = {
        stanza["Package"]: stanza.get("Source", stanza["Package"]).split(" ")[0]
        for index in indexes
        for stanza in stanzas(_lines(index))
    }
    return [
        (described(stanza), source_of.get(stanza["Package"], stanza["Package"]))
        for stanza in stanzas(_lines(found[-1]))
    ]


def _lines(file: Path) -> list[str]:
    """The lines of an index, however apt has compressed it."""
    read = subprocess.run([str(_CAT), "cat-file", str(file)], check=True, capture_output=True)
    return read.stdout.decode().splitlines()


def stanzas(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """Stanzas of Debian's control format: fields by name, lines that go on joined by newlines."""
    stanza: dict[str, str] = {}
    name = ""
    for line in [*lines, ""]:
        if not line:
            if stanza:
                yield stanza
            stanza = {}
        elif line[0] in " \t":
            stanza[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            stanza[name] = value.strip()


def described(stanza: dict[str, str]) -> str:
    """A description as text: the short one, and the paragraphs of the long one. A line with one
    more space stands for itself; the others of a paragraph are joined.
    """
    short, *long = stanza["Description-en"].split("\n")
    paragraphs: list[str] = [short, ""]
    for line in long:
        if line.strip() == ".":
            paragraphs.append("")
        elif line.startswith("  ") or not paragraphs[-1]:
            paragraphs += [line.strip()] if paragraphs[-1] else []
            paragraphs[-1] = line.strip()
        else:
            paragraphs[-1] += f" {line.strip()}"
    return "\n".join(line for line in paragraphs if line)


@click.command(help=__doc__)
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, show_default=True)
def main(cache: Path) -> None:
    corpus = load_corpus(None, cache)
    first = [text.split("\n")[min(1, text.count("\n"))] for text in corpus.texts]
    seen: dict[str, int] = {}
    for paragraph in first:
        seen[paragraph] = seen.get(paragraph, 0) + 1
    shared = sum(seen[paragraph] > 1 for paragraph in first) / len(first)
    size = sum(len(text.encode()) for text in corpus.texts) / 1e6
    click.echo(
        f"{corpus.name}: {len(corpus):,} texts, {size:.1f} MB, {len(set(corpus.texts)):,} "
        f"distinct, {len(set(corpus.groups)):,} groups; {shared:.0%} share their first paragraph"
    )


if __name__ == "__main__":
    main()
