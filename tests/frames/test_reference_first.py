"""What can be refused of a reference in memory is refused before a row is encoded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semdedup_spark import deduplicate
from semdedup_spark.errors import ConfigError, SemDedupError, SourceError

ROWS = pd.DataFrame({"id": [1, 2], "text": ["one", "two"], "v": [[1.0, 0.0], [0.0, 1.0]]})


@pytest.fixture
def _nothing_is_encoded(monkeypatch):
    def encoded(*_, **__):
        raise AssertionError("rows were encoded")

    for name in ("encoded_texts", "encoded_pictures"):
        monkeypatch.setattr(f"semdedup_spark.frames.checked_rows.{name}", encoded)


@pytest.mark.usefixtures("_nothing_is_encoded")
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (ROWS.drop(columns="text"), "content must name a column"),
        (ROWS.assign(text=[1.5, 2.5]), "content must name columns of text"),
        (ROWS.assign(id=[1, 1]), r"1 rows whose id another row has"),
        (ROWS.drop(columns="id"), "id must name a column"),
        (7, "data must be"),
    ],
)
def test_a_bad_reference_is_refused_before_the_rows_are_encoded(reference, words):
    with pytest.raises(SourceError, match=words):
        deduplicate(ROWS, content="text", id="id", reference=reference)


@pytest.mark.usefixtures("_nothing_is_encoded")
@pytest.mark.parametrize("wrong", [{"eps": 0.0}, {"eps": -1.0}, {"eps_max": 5.0}])
def test_a_wrong_threshold_is_refused_before_the_rows_are_encoded(wrong):
    with pytest.raises((ConfigError, ValueError), match="must be"):
        deduplicate(ROWS, content="text", **wrong)


def test_ids_that_come_twice_are_refused_with_the_ways_out():
    with pytest.raises(SemDedupError) as caught:
        deduplicate(ROWS.assign(id=[1, 1]), vector="v", id="id")
    assert "drop_duplicates" in caught.value.hint
    assert "leave id out" in caught.value.hint
    assert len(deduplicate(np.eye(2), reference=np.eye(2))) == 0
