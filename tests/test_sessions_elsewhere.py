"""What a command sets and sends in a session that it opens on a cluster or by Spark Connect."""

from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from pyspark.errors import PySparkException

from scripts.package_zip import package_files
from semdedup_spark.session.connect import send_package
from semdedup_spark.session.small_tables import suit_small_tables

LOG = "spark.databricks.delta.snapshotPartitions"
FOLDERS = "spark.sql.sources.parallelPartitionDiscovery.parallelism"

pytestmark = pytest.mark.pyspark


class Settings:
    """As those of a session: ``refused`` cannot be set."""

    def __init__(self, found, refused=()):
        self.found, self.refused = dict(found), refused

    def get(self, name, default):
        return self.found.get(name, default)

    def set(self, name, value):
        if name in self.refused:
            raise PySparkException(f"[CONFIG_NOT_AVAILABLE] {name}")
        self.found[name] = value


@pytest.mark.parametrize(
    ("found", "refused", "after"),
    [
        ({FOLDERS: "10000"}, (), {FOLDERS: "256", LOG: "8"}),
        ({FOLDERS: "500", LOG: "2"}, (), {FOLDERS: "500", LOG: "2"}),
        ({}, (LOG,), {FOLDERS: "256"}),
    ],
)
def test_small_tables_are_read_by_few_tasks_where_nobody_has_set_others(found, refused, after):
    session = SimpleNamespace(conf=Settings(found, refused))
    suit_small_tables(session)
    assert session.conf.found == after


def test_the_package_is_sent_whole():
    sent = {}

    def keep(place, pyfile):
        with ZipFile(place) as opened:
            sent[pyfile] = sorted(opened.namelist())

    send_package(SimpleNamespace(addArtifacts=keep))
    assert sent == {True: [file.as_posix() for file in package_files()]}
