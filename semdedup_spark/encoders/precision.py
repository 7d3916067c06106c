"""Check on a few payloads that a model gives the same vectors in a lower precision."""

from __future__ import annotations

import numpy as np

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.kernels.vectors import FloatArray, unit_rows

# Largest accepted value of 1 - cosine. bfloat16 alone moves the vectors of a healthy model by about
# 1e-4. From 1e-3 on, the error would be as large as the smaller similarity thresholds.
LARGEST_ERROR = 1e-3


def precision_error(X: FloatArray, reference: FloatArray) -> float:
    """Measure how far vectors deviate from reference vectors of the same payloads.

    Parameters
    ----------
    X
        (n, d) float32. Vectors to check.
    reference
        (n, d) float32. Reference vectors. Rows that have no direction are not compared.

    Returns
    -------
    float
        Largest ``1 - cosine`` over the rows. Infinity if a row with a direction in ``reference``
        has none in ``X`` (it holds NaN or infinity, or has length zero).
    """
    exact, found = unit_rows(reference), unit_rows(X)
    rows = [row for row, reason in enumerate(exact.reasons) if reason is None]
    if any(found.reasons[row] is not None for row in rows):
        return float("inf")
    cosine = np.einsum("ij,ij->i", exact.X[rows], found.X[rows], dtype=np.float64)
    return float(np.max(1.0 - cosine, initial=0.0))


def check_precision(X: FloatArray, reference: FloatArray, precision: str) -> None:
    """Refuse a precision whose vectors differ too much from those of float32.

    This finds a model whose activations overflow in float16 before any row is embedded.

    Parameters
    ----------
    X
        (n, d) float32. Vectors computed in ``precision``.
    reference
        (n, d) float32. Vectors of the same payloads, computed in float32.
    precision
        ``float16`` or ``bfloat16``.

    Raises
    ------
    EnvironmentProblem
        If ``1 - cosine`` of a row exceeds ``LARGEST_ERROR``.
    """
    error = precision_error(X, reference)
    if error > LARGEST_ERROR:
        got = "NaN, infinity or zeros" if error == float("inf") else f"1 - cosine = {error:.2g}"
        raise EnvironmentProblem(
            f"embed.precision must give the same vectors as float32, up to 1 - cosine = "
            f"{LARGEST_ERROR}. Got {got} with {precision}.",
            hint="set embed.precision to float32"
            + (", or to bfloat16, which does not overflow." if precision == "float16" else "."),
        )
