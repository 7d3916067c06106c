"""Bytes of one number type are never taken for another without a word."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark.kernels.binary_vectors import look_at, may_be, other_types
from semdedup_spark.kernels.vectors import WIDTHS, from_bytes

RANDOM = np.random.default_rng(19)
# What encoders give: unit rows, raw outputs, sums of rectified units, few and many entries.
EMBEDDINGS = {
    "unit": RANDOM.standard_normal((200, 384)) / np.sqrt(384),
    "raw": RANDOM.standard_normal((200, 512)) * 8 + 0.5,
    "rectified": np.maximum(RANDOM.standard_normal((200, 256)), 0),
    "small": RANDOM.standard_normal((200, 64)) * 1e-3,
    "two": RANDOM.standard_normal((200, 2)),
    "skewed": np.exp(RANDOM.standard_normal((200, 128)) * 2 - 3),
    "whole": RANDOM.integers(-8, 9, (200, 32)).astype(float),
}


def as_bytes(X, dtype):
    if dtype == "bfloat16":
        return [(row.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes() for row in X]
    return [row.astype(dtype).tobytes() for row in X]


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_float32_is_taken_for_itself(name):
    values = as_bytes(EMBEDDINGS[name], "float32")
    assert may_be(values, "float32")
    assert other_types(values, "float32") == []


@pytest.mark.parametrize("rounded", ["float16", "bfloat16"])
def test_float32_that_was_rounded_is_taken_for_itself(rounded):
    X = np.stack([from_bytes(v, 1, rounded)[0] for v in as_bytes(EMBEDDINGS["unit"], rounded)])
    values = as_bytes(X, "float32")
    assert may_be(values, "float32")
    assert other_types(values, "float32") == []


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_types_are_no_float32_or_look_like_more_than_one(name, dtype):
    values = as_bytes(EMBEDDINGS[name], dtype)
    assert not may_be(values, "float32") or dtype in other_types(values, "float32")
    assert may_be(values, dtype, declared=True)


def test_doubles_that_come_of_floats_are_no_float32():
    X = EMBEDDINGS["unit"].astype(np.float32)
    assert not may_be(as_bytes(X, "float64"), "float32", declared=True)


@pytest.mark.parametrize("noise", [np.nan, np.inf, 0.0, 1e35])
def test_what_is_mostly_no_number_is_no_vector(noise):
    X = EMBEDDINGS["unit"].copy()
    X[:101] = noise
    assert look_at(list(X.astype(np.float32))).mostly_unusable
    X[:2] = 1.0
    assert not look_at(list(X.astype(np.float32))).mostly_unusable


def test_random_bytes_and_texts_are_no_vectors():
    for values in ([RANDOM.bytes(512) for _ in range(50)], [b"some words of English. " * 8] * 50):
        assert not may_be(values, "float32") or not may_be(values, "float32", declared=True)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_bytes_of_each_type_are_read_as_they_were_written(dtype):
    X = EMBEDDINGS["whole"]
    read = from_bytes(b"".join(as_bytes(X, dtype)), len(X), dtype)
    assert read.dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_array_equal(read, X)
