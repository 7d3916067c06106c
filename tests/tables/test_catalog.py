"""Where tables are, and what is not taken for a table that is not there."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest

pyspark = pytest.importorskip("pyspark")

from pyspark.errors import AnalysisException  # noqa: E402

from semdedup_spark.errors import OutputError  # noqa: E402
from semdedup_spark.failures import Failed  # noqa: E402
from semdedup_spark.pipeline.output_lease import leased  # noqa: E402
from semdedup_spark.tables.catalog import OutputRoot, history, table_exists  # noqa: E402
from semdedup_spark.tables.named_table import NamedTable  # noqa: E402

ROOT = OutputRoot.parse("main.dedup")


def session(error):
    """A session whose catalog answers every question with an error."""

    def fails(*_):
        raise error

    return SimpleNamespace(catalog=SimpleNamespace(tableExists=fails), sql=fails)


def told(text):
    return AnalysisException(text)


@pytest.mark.parametrize(
    "text",
    [
        "org.apache.hadoop.hive.ql.metadata.HiveException: java.net.ConnectException: refused",
        "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: no USE SCHEMA. SQLSTATE: 42501",
    ],
)
def test_a_catalog_that_does_not_answer_is_not_taken_for_one_without_the_table(text):
    with pytest.raises(Failed):
        table_exists(session(told(text)), ROOT, "runs")


@pytest.mark.parametrize("condition", ["SCHEMA_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND"])
def test_what_a_catalog_does_not_know_is_not_there(condition):
    spark = session(told(f"[{condition}] cannot be found. SQLSTATE: 42704"))
    assert not table_exists(spark, ROOT, "runs")
    assert history(spark, ROOT, "runs", limit=1) == []


@pytest.mark.parametrize(
    ("name", "place", "version"),
    [
        ("out.v2/centroids", "./out.v2", None),
        ("main.dedup/centroids", "./main.dedup", None),
        ("my.dir.v2/centroids@3", "./my.dir.v2", 3),
        ("centroids", ".", None),
        ("/lake/a.b/centroids", "/lake/a.b", None),
    ],
)
def test_a_directory_with_a_dot_in_its_name_is_no_schema(name, place, version):
    named = NamedTable.parse(name)
    assert named == NamedTable(OutputRoot.parse(place), "centroids", version)
    assert not named.root.is_catalog
    assert NamedTable.parse("main.dedup.centroids").root == OutputRoot("main.dedup")


def test_a_full_disk_is_not_an_output_that_cannot_be_written():
    full = session(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(Failed) as caught, leased(full, ROOT, "run"):
        raise AssertionError("must not get here")
    assert caught.value.retryable
    denied = session(OSError(errno.EACCES, "Permission denied"))
    with (
        pytest.raises(OutputError, match="must be writable") as refused,
        leased(denied, ROOT, "run"),
    ):
        raise AssertionError("must not get here")
    assert "give the account" in str(refused.value)
