"""The corpus of the studies: what an index says, and which part of it a small form takes."""

from __future__ import annotations

import corpus as of

INDEX = """\
Package: a-data
Source: a (1.2)
Description-en: short words
 A paragraph that goes on
 over two lines.
 .
 Another one:
  * a line that stands for itself
 and this goes on.

Package: b
Description-en: nothing more
""".splitlines()


def test_an_index_is_read_by_stanzas_whose_lines_go_on():
    first, second = of.stanzas(INDEX)
    assert (first["Package"], first["Source"], second["Package"]) == ("a-data", "a (1.2)", "b")
    assert of.described(first).split("\n") == [
        "short words",
        "A paragraph that goes on over two lines.",
        "Another one:",
        "* a line that stands for itself and this goes on.",
    ]
    assert of.described(second) == "nothing more"


def test_a_part_has_whole_groups_and_is_part_of_a_larger_part():
    rows = [(f"text {i}", f"group {i % 10}") for i in range(100)]
    small, large = (of.part_of("x", rows, n) for n in (15, 45))
    assert len(small) == 20
    assert len(set(small.groups)) == 2
    assert small.texts == large.texts[:20]
    assert len(of.part_of("x", rows, None)) == len(of.part_of("x", rows, 1000)) == 100
