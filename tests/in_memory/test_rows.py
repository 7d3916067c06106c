"""Columns of any kind of table, as the job would read them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from semdedup_spark import deduplicate
from semdedup_spark.errors import SourceError
from semdedup_spark.in_memory.contents import encoded_texts, joined_texts
from semdedup_spark.in_memory.rows import as_rows


@pytest.mark.parametrize("kind", [list, pd.Series, pa.array])
def test_a_text_that_is_no_unicode_is_set_aside_as_in_the_job(kind):
    texts = ["one text", "a \ud800 b", None]
    if kind is pa.array:
        raw = [b"one text", b"a \xff b", None]
        held = pa.array(raw, pa.binary())
        text = pa.Array.from_buffers(pa.string(), 3, held.buffers())
        data = pa.table({"content": text})
    else:
        data = texts if kind is list else pd.DataFrame({"content": texts})
    found = joined_texts(as_rows(data), "content", None)
    assert found[0] == "one text"
    from semdedup_spark.encoders.protocol import EncoderSpec

    assert encoded_texts(found, EncoderSpec("minilm")).reasons == [
        None,
        "invalid_utf8",
        "null_text",
    ]


def test_values_are_joined_as_spark_writes_them():
    columns = {"n": [7], "yes": [True], "day": [dt.date(2020, 1, 2)], "kind": pd.Categorical(["x"])}
    data = as_rows(pd.DataFrame(columns))
    assert joined_texts(data, [*columns], "{n} {yes} {day} {kind}") == ["7 true 2020-01-02 x"]


@pytest.mark.parametrize("value", [0.5, b"abc", dt.datetime(2020, 1, 2), ["a"]])
def test_values_that_programs_write_in_several_ways_are_refused(value):
    data = as_rows(pd.DataFrame({"a": ["x"], "b": [value]}))
    with pytest.raises(SourceError, match="whole numbers, booleans or dates"):
        joined_texts(data, ["a", "b"], None)
    with pytest.raises(SourceError, match=r"columns of text\. Got"):
        joined_texts(data, "b", None)


def test_a_column_of_several_types_is_refused():
    with pytest.raises(SourceError, match="values of one type"):
        deduplicate(pd.DataFrame({"content": [1, "x"]}), content="content")


def test_vectors_of_a_reference_have_the_same_length():
    with pytest.raises(SourceError, match=r"have 2 numbers, as the rows have\. Got 3"):
        deduplicate(np.eye(2), reference=np.eye(3))
