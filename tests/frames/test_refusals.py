"""What `deduplicate` and its results refuse, in the words of their parameters."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from semdedup_spark import deduplicate
from semdedup_spark.errors import HorizonError, SourceError

TABLE = pd.DataFrame({"question": ["How?", "Why?"], "site": ["a", "b"]})
AGAIN = "call deduplicate again with eps_max=0.5 or a larger eps_max."


@pytest.mark.parametrize("table", [TABLE, pa.Table.from_pandas(TABLE)], ids=["pandas", "arrow"])
@pytest.mark.parametrize("encoder", ["minilm", "pixels"])
def test_where_no_column_is_named_the_error_says_which_it_would_be_and_what_there_is(
    table, encoder
):
    with pytest.raises(SourceError) as caught:
        deduplicate(table, encoder=encoder)
    told = str(caught.value)
    assert "without a name, it is 'content'. The columns are: question, site." in told
    assert 'content="..."' in told
    assert 'vector="..."' in told
    assert "Got" not in told


def test_a_column_that_was_named_is_the_one_that_was_got():
    with pytest.raises(SourceError, match=r"question, site\. Got 'questions'") as caught:
        deduplicate(TABLE, content="questions")
    assert "did you mean 'question'?" in str(caught.value)


def test_an_eps_beyond_the_horizon_of_a_result_in_memory_names_the_parameter_to_give():
    result = deduplicate(np.eye(3))
    with pytest.raises(HorizonError, match=r"at most eps_max = 0\.3,.* Got 0\.5") as caught:
        result.at(0.5)
    assert AGAIN in str(caught.value)
    with pytest.raises(HorizonError) as caught:
        deduplicate(np.eye(3), eps=0.5)
    assert AGAIN in str(caught.value)
    with pytest.raises(HorizonError, match="must be below 1"):
        result.at(1.5)
    with pytest.raises(ValueError, match="> 0"):
        result.at(0.0)
    assert len(result.at(0.3)) == 3


def test_an_eps_beyond_the_horizon_is_refused_before_anything_is_encoded():
    with pytest.raises(HorizonError):
        deduplicate(TABLE, content="question", encoder="none such", eps=0.5)


@pytest.mark.pyspark
def test_a_result_of_spark_says_the_same(monkeypatch):
    from semdedup_spark.frames import spark_result
    from semdedup_spark.frames.spark_table import deduplicate_dataframe

    config = SimpleNamespace(
        score=SimpleNamespace(eps_max=0.3), model_dump=lambda **_: {}, output="out"
    )
    job = SimpleNamespace(config=config, spark=None, listener=None, frames={})
    result = spark_result.DeduplicatedFrame(job, None)
    with pytest.raises(HorizonError, match=r"at most eps_max = 0\.3,.* Got 0\.5") as caught:
        result.at(0.5)
    assert AGAIN in str(caught.value)

    def beyond(_):
        raise HorizonError("select.keep must be reached", hint="set score.eps_max above 0.4")

    monkeypatch.setattr(spark_result, "parse_config", lambda tree: tree)
    monkeypatch.setattr(spark_result, "open_job", lambda *_, **__: None)
    monkeypatch.setattr(spark_result, "run_select", beyond)
    with pytest.raises(
        HorizonError, match="call deduplicate again with a larger eps_max"
    ) as caught:
        result.keep(0.1)
    assert "score." not in str(caught.value)
    settings = dict.fromkeys(("template", "vector", "model", "rank_by", "reference", "output"))
    with pytest.raises(HorizonError) as caught:
        deduplicate_dataframe(
            SimpleNamespace(columns=["text"]),
            content="text",
            id="doc",
            encoder="minilm",
            eps=0.5,
            eps_max=0.3,
            replace=False,
            **settings,
        )
    assert AGAIN in str(caught.value)
