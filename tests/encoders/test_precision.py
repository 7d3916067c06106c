"""Fewer bits are allowed as long as the vectors stay where they were."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark.encoders.precision import check_precision, precision_error
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.text.minilm_files import minilm_directory
from semdedup_spark.errors import EnvironmentProblem

X = np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)


def test_the_error_is_the_worst_row_and_does_not_see_lengths():
    assert precision_error(X, X) == pytest.approx(0, abs=1e-7)
    assert precision_error(X * [[7.0], [0.1]], X) == pytest.approx(0, abs=1e-6)
    turned = np.array([[3.0, 4.0], [2.0, 0.0]], dtype=np.float32)
    assert precision_error(turned, X) == pytest.approx(1)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_a_vector_without_direction_is_an_infinite_error(broken):
    bad = X.copy()
    bad[1] = broken
    assert precision_error(bad, X) == float("inf")
    assert precision_error(bad, bad) == 0  # nor has float32 one: that is not the precision's doing
    with pytest.raises(EnvironmentProblem, match="NaN, infinity or zeros with float16"):
        check_precision(bad, X, "float16")


def test_a_small_turn_passes_and_a_larger_one_is_named():
    def by(angle):
        return np.array([[np.cos(angle), np.sin(angle)]], dtype=np.float32)

    check_precision(by(0.03), by(0), "bfloat16")
    with pytest.raises(EnvironmentProblem) as caught:
        check_precision(by(0.1), by(0), "bfloat16")
    assert "0.005" in caught.value.problem
    assert "float32" in caught.value.hint


def test_minilm_is_fit_for_bfloat16():
    texts = ["the cat sat on the mat", "quarterly revenue rose by four percent", "x"]
    exact, low = (
        load_encoder(EncoderSpec("minilm", str(minilm_directory(None)), precision=p, device="cpu"))
        for p in ("float32", "bfloat16")
    )
    error = precision_error(low.encode(low.prepare(texts)), exact.encode(exact.prepare(texts)))
    print(f"minilm in bfloat16: 1 - cosine = {error:.2g}")
    assert 0 < error < 1e-3
