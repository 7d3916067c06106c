"""What people are told of rows for which a search would have cost too much."""

from types import SimpleNamespace

import pytest

from semdedup_spark.config import SelectConfig
from semdedup_spark.pipeline.stages.select.kept_apart import told_unsearched
from semdedup_spark.transforms.select.nearest import Nearest


@pytest.mark.parametrize(
    ("select", "effect"),
    [
        ({}, "They stay: to look"),
        ({"review": 0.08}, "They stay and are not listed for review: to look"),
        ({"review": 0.08, "resolution": "components"}, "They are not listed for review: to look"),
    ],
)
def test_what_comes_of_it_is_said_as_it_is(select, effect):
    said = []
    job = SimpleNamespace(
        config=SimpleNamespace(select=SelectConfig(eps=0.02, **select)),
        listener=SimpleNamespace(noticed=said.append),
    )
    told_unsearched(job, Nearest(None, None, 1200))
    assert len(said) == 1
    assert said[0].startswith("select: 1,200 rows differ from their nearest earlier row")
    assert effect in said[0]
    told_unsearched(job, Nearest(None, None))
    assert len(said) == 1
