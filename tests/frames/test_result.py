"""What a result in memory tells beside its tables: other thresholds, and a report."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from semdedup_spark import deduplicate
from tests.planted import near_duplicates

N, D = 150, 6


@pytest.fixture(scope="module")
def result():
    X = near_duplicates(N, D, seed=5)
    X[7] = 0.0
    rows = pd.DataFrame({"doc": [f"doc {i}" for i in range(N)], "v": [list(x) for x in X]})
    rows["site"] = ["<b>a</b>" if i % 2 else None for i in range(N)]
    return deduplicate(rows, vector="v", id="doc", eps=0.05)


def test_tune_counts_what_at_would_keep_and_who_has_a_duplicate(result):
    X = result.given.X.astype(np.float64)
    products = np.minimum(X @ X.T, 1.0)
    np.fill_diagonal(products, 0)
    tuning = result.tune()
    assert list(tuning["eps"])[-1] <= 0.3
    for line in tuning.itertuples():
        other = result.at(line.eps)
        assert line.removed == len(other.removed)
        assert line.kept == pytest.approx(len(other) / (N - 1))
        true = (products.max(axis=1) > 1 - line.eps).mean()
        assert line.removed / (N - 1) <= line.in_groups <= true + 1e-9
    assert list(result.tune(eps=[0.07])["eps"]) == [0.07]
    assert isinstance(deduplicate(np.eye(3)).tune(), pa.Table)


def test_the_report_shows_groups_edges_and_columns_and_no_markup_of_the_data(result, tmp_path):
    place = result.report(tmp_path / "report.html")
    page = place.read_text()
    assert f"{len(result.removed)} of {N - 1} rows" in page
    edge = result.removed.sort_values("similarity").iloc[0]
    assert edge["id"] in page
    assert f"{edge['similarity']:.4f}" in page
    assert "&lt;b&gt;a&lt;/b&gt;" in page
    assert "<b>a</b>" not in page
    assert "zero_vector" in page
    assert "Settings and lineage" not in page


def test_the_report_of_texts_marks_in_what_they_differ(tmp_path):
    texts = ["How do I reset my password?", "How can I reset my password?", "We ship abroad."]
    result = deduplicate(texts, eps=0.1)
    page = result.report(tmp_path / "report.html").read_text()
    assert "<mark>" in page
    assert ">reference</span>" not in page
    against = deduplicate(texts[:1], reference=texts[1:], eps=0.1)
    page = against.report(tmp_path / "report.html").read_text()
    assert ">reference</span>" in page


def test_nothing_to_remove_makes_a_report_too(tmp_path):
    for rows in (np.eye(3), np.zeros((2, 3))):
        result = deduplicate(rows)
        assert "Nothing was removed" in result.report(tmp_path / "report.html").read_text()
        assert sum(result.tune()["removed"].to_pylist()) == 0
