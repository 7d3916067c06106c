"""Vectors that are ready: which length is the usual one, and why a row has no vector."""

from __future__ import annotations

import pyarrow as pa

from semdedup_spark.in_memory.contents import checked_vectors
from semdedup_spark.in_memory.rows import as_rows


def reasons_of(vectors):
    rows = as_rows(pa.table({"v": pa.array(vectors, pa.list_(pa.float64()))}))
    return checked_vectors(rows, "v").reasons


def test_empty_lists_do_not_decide_the_usual_length():
    assert reasons_of([[], [], [1.0, 0.0]]) == ["wrong_length", "wrong_length", None]
    assert reasons_of([[], None, []]) == ["wrong_length", "null_vector", "wrong_length"]


def test_of_equally_common_lengths_the_largest_is_the_usual_one():
    assert reasons_of([[1.0], [1.0, 0.0]]) == ["wrong_length", None]
