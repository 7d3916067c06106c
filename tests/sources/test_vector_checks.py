"""Vectors of another type, and columns that are no vectors, are refused before any work."""

from __future__ import annotations

import numpy as np
import pytest

from semdedup_spark import score_vectors
from semdedup_spark.config import SourceConfig
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.sources.vector_checks import bytes_measure
from tests.jobs.jobfiles import run, vectors_job
from tests.kernels.test_binary_vectors import as_bytes
from tests.sources.sourcefiles import opened, view

X = np.random.default_rng(5).standard_normal((40, 16)) / 4


def vectors(spark, name, values, kind="binary", **settings):
    rows = list(enumerate(values))
    table = view(spark, name, rows, f"id long, v {kind}")
    return opened(spark, kind="vectors", table=table, content="v", **settings)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_bytes_of_another_type_are_refused_until_it_is_named(spark, dtype):
    values = as_bytes(X, dtype)
    with pytest.raises(SourceError, match=f"as bytes of float32.*look like.*{dtype}") as refused:
        vectors(spark, f"as_{dtype}", values)
    assert "source.dtype" in refused.value.hint
    source = vectors(spark, f"as_{dtype}", values, dtype=dtype, dimension=16)
    assert source.dimension == 16
    assert source.rows.filter("reason IS NOT NULL").count() == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("n", [1, 12])
def test_few_rows_of_many_numbers_tell_their_type_too(dtype, n):
    few = np.random.default_rng(6).standard_normal((n, 3072 // n)) / 16
    assert dtype in measured(as_bytes(few, dtype))["others"]
    found = measured(as_bytes(few, "float32"))
    assert (found["numbers"], found["sensible"], found["others"]) == (3072, True, [])


def measured(values):
    source = SourceConfig(kind="vectors", table="t", id="id", content="v")
    told = [{"length": len(value), "start": value} for value in values]
    return bytes_measure("float32", source)(told)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, 0.0, 1e-38])
def test_few_rows_of_nothing_are_no_proof_of_another_type(nothing):
    found = measured(as_bytes(np.full((5, 384), nothing), "float32"))
    assert (found["unusable"], found["sensible"], found["others"]) == (5, True, [])


def test_few_rows_of_another_type_are_refused(spark):
    few = np.random.default_rng(6).standard_normal((12, 256)) / 16
    with pytest.raises(SourceError, match=r"as bytes of float32.*look like float16"):
        vectors(spark, "few_halves", as_bytes(few, "float16"))
    few[:] = np.nan
    assert vectors(spark, "few_of_nothing", as_bytes(few, "float32")).n_read == 12


def test_a_type_or_dimension_that_the_bytes_do_not_have_is_refused(spark):
    values = as_bytes(X, "float32")
    with pytest.raises(SourceError, match="as bytes of float16"):
        vectors(spark, "named_wrongly", values, dtype="float16")
    with pytest.raises(SourceError, match=r"must have 128 bytes. Got values of 64"):
        vectors(spark, "named_wrongly", values, dimension=32)


def test_values_of_another_length_than_the_dimension_are_rows_with_a_reason(spark):
    values = [*as_bytes(X, "float32"), b"x" * 63, b"x" * 128]
    source = vectors(spark, "lengths", values, dimension=16)
    reasons = {row["id"]: row["reason"] for row in source.rows.filter("id >= 39").collect()}
    assert reasons == {39: None, 40: "wrong_length", 41: "wrong_length"}


@pytest.mark.parametrize("kind", ["array<float>", "array<double>", "binary"])
@pytest.mark.parametrize("nothing", [np.nan, np.inf, 0.0])
def test_vectors_of_which_most_are_nothing_are_refused(spark, kind, nothing):
    mostly = X.copy()
    mostly[5:35] = nothing
    values = as_bytes(mostly, "float32") if kind == "binary" else mostly.tolist()
    with pytest.raises(SourceError, match=r"30 .*NaN, infinity"):
        vectors(spark, "nothing", values, kind)


def test_types_that_are_no_vectors_are_refused_by_name(spark):
    for kind, value in {
        "array<int>": [1, 2],
        "array<decimal(4,2)>": None,
        "array<string>": ["1.0"],
        "string": "[1.0, 2.0]",
        "array<array<float>>": [[1.0]],
    }.items():
        with pytest.raises(SourceError, match="content must be array<float>"):
            vectors(spark, "others", [value], kind)


def test_dtype_goes_with_bytes_alone(spark):
    with pytest.raises(SourceError, match="goes with a binary column"):
        vectors(spark, "arrays", X.tolist(), "array<float>", dtype="float32")
    for source in ({"kind": "text", "dimension": 3}, {"kind": "images", "dtype": "float16"}):
        with pytest.raises(ConfigError, match="they go with kind vectors"):
            _job(source)


def _job(source):
    from semdedup_spark import parse_config

    place = {"format": "delta", "path": "x", "id": "id", "content": "c"}
    return parse_config({"output": "out", "source": {**place, **source}})


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_job_decides_as_score_vectors_does(spark, tmp_path, dtype):
    """Vectors on a grid: similarities at the edge of eps, sizes beyond float32, a zero vector."""
    random = np.random.default_rng(3)
    V = random.integers(-2, 3, (120, 4)).astype(np.float64)
    V = V[V.any(axis=1)]
    if dtype == "float64":
        V *= random.choice([1e-13, 1.0, 1e25, 1e200, 1e-200], (len(V), 1))
    as_arrays = dtype == "float64"
    values = V.tolist() if as_arrays else as_bytes(V, dtype)
    zero = [0.0] * 4 if as_arrays else bytes(8)
    rows = [(i, value) for i, value in enumerate([*values, zero])]
    kind = "array<double>" if as_arrays else "binary"
    frame = spark.createDataFrame(rows, f"doc long, v {kind}").coalesce(1)
    frame.write.format("delta").save(str(tmp_path / "source"))
    stages = {"score": {"recall": "exact", "rank_by": "doc ASC"}, "select": {"eps": 0.2}}
    config = vectors_job(tmp_path / "out", tmp_path / "source", **stages)
    if not as_arrays:
        of_bytes = config.source.model_copy(update={"dtype": dtype})
        config = config.model_copy(update={"source": of_bytes})
    run(spark, config)
    kept = spark.read.format("delta").load(str(tmp_path / "out" / "deduplicated"))
    expected = np.flatnonzero(score_vectors(V, eps_max=0.3).kept(0.2))
    assert sorted(row["doc"] for row in kept.collect()) == expected.tolist()
    assert 0 < len(expected) < len(V)
    quarantine = spark.read.format("delta").load(str(tmp_path / "out" / "quarantine"))
    assert [row["reason"] for row in quarantine.collect()] == ["zero_vector"]
