"""Whether a model still says the same with fewer bits: a few payloads, when it is loaded."""

from __future__ import annotations

import numpy as np

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray, unit_rows

# bfloat16 alone moves the vectors of a healthy model by some 1e-4; from 1e-3 on, the smaller
# thresholds of similarity would begin to mean something else.
LARGEST_ERROR = 1e-3


def precision_error(X: FloatArray, reference: FloatArray) -> float:
    """The largest ``1 - cosine`` between a row of ``X`` and the same row of ``reference``.

    Both (n, d) float32, of the same n payloads. Infinity where a row that has a direction in
    ``reference`` has none in ``X`` (NaN, infinity, or length zero).
    """
    exact, found = unit_rows(reference), unit_rows(X)
    rows = [row for row, reason in enumerate(exact.reasons) if reason is None]
    if any(found.reasons[row] is not None for row in rows):
        return float("inf")
    cosine = np.einsum("ij,ij->i", exact.X[rows], found.X[rows], dtype=np.float64)
    return float(np.max(1.0 - cosine, initial=0.0))


def check_precision(X: FloatArray, reference: FloatArray, precision: str) -> None:
    """Refuse ``precision`` if ``X``, computed with it, is not what float32 says, ``reference``.

    Raises :class:`EnvironmentProblem`; a model whose activations overflow in float16 is so found
    before a row is embedded.
    """
    error = precision_error(X, reference)
    if error > LARGEST_ERROR:
        got = "NaN, infinity or zeros" if error == float("inf") else f"1 - cosine = {error:.2g}"
        raise EnvironmentProblem(
            f"embed.precision must leave this model's vectors as float32 has them, up to "
            f"1 - cosine = {LARGEST_ERROR}. Got {got} with {precision}.",
            hint="set embed.precision to float32"
            + (", or to bfloat16, which does not overflow." if precision == "float16" else "."),
        )
