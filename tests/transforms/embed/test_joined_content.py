"""Several columns become the same text in Spark and in memory."""

from __future__ import annotations

import pandas as pd
import pytest

from semdedup_spark.errors import SourceError
from semdedup_spark.in_memory.contents import joined_texts
from semdedup_spark.in_memory.rows import as_rows
from semdedup_spark.transforms.embed.joined_content import joined_content

ROWS = [
    ("Miles", "So What", 1959),
    ("Miles", "{artist}", None),
    (None, None, None),
    ("", "Giant Steps", 1960),
    ("", "", None),
    ("$1 \\1", "{title} {artist}", 0),
]
COLUMNS = ["artist", "title", "year"]


@pytest.mark.parametrize(
    "template",
    [None, "{artist}: {title} ({year})", "{year}{title}{artist}", "{artist}{title}{year} {artist}"],
)
def test_columns_are_joined_as_in_memory(spark, template):
    df = spark.createDataFrame(ROWS, "artist string, title string, year int")
    found = [row["text"] for row in joined_content(df, COLUMNS, template, "text").collect()]
    table = pd.DataFrame(ROWS, columns=COLUMNS).astype({"year": "Int64"})
    assert found == joined_texts(as_rows(table), COLUMNS, template)
    assert found[2] is None


def test_what_cannot_be_joined_is_refused(spark):
    df = spark.createDataFrame(ROWS, "artist string, title string, year int")
    with pytest.raises(SourceError, match="did you mean 'artist'"):
        joined_content(df, ["artists"], None, "text")
    with pytest.raises(SourceError, match=r"lacks \{title\}"):
        joined_content(df, ["artist", "title"], "{artist}", "text")
