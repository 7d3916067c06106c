"""One lazy SparkSession for the whole run, tuned for small data, and the places of real data."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# As encoders ask for, which here may come after other tests have used MKL.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

settings.register_profile(
    "default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Folders of tests that play whole jobs.
WHOLE_JOBS = {"jobs", "pipeline", "queries", "frames"}
HAS_PYSPARK = find_spec("pyspark") is not None
_NO_PYSPARK = re.compile(r"No module named '(pyspark|py4j|delta)\b")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Skip modules that import pyspark where it is not installed: `make test-fast` needs none."""
    report = yield
    if not HAS_PYSPARK and report.failed and _NO_PYSPARK.search(str(report.longrepr)):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, "Skipped: pyspark is not installed")
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark tests that use the session. Run whole jobs first where processes share the files, or
    one process ends long after the other.
    """
    for item in items:
        if "spark" in item.fixturenames:
            item.add_marker("spark")
        if item.get_closest_marker("pyspark") and not HAS_PYSPARK:
            item.add_marker(pytest.mark.skip(reason="pyspark is not installed"))
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        items.sort(key=lambda item: "jobs" not in item.path.parts)


@pytest.fixture(autouse=True)
def partitions(request):
    """Whole jobs over a few rows take a quarter longer with a second partition. Only those of long
    tests have it; the tests of transforms and of tables have it as well.
    """
    if "spark" in request.fixturenames:
        is_long = request.node.get_closest_marker("long")
        folder = request.path.relative_to(Path(__file__).parent).parts[0]
        n = 1 if folder in WHOLE_JOBS and not is_long else 2
        session = request.getfixturevalue("spark")
        session.conf.set("spark.sql.shuffle.partitions", str(n))


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from semdedup_spark.session.class_archive import archive_options
    from semdedup_spark.session.java import require_java
    from semdedup_spark.session.spark_session import open_session

    scratch = tmp_path_factory.mktemp("spark")
    session = open_session(
        {
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            "spark.local.dir": str(scratch / "local"),
            "spark.driver.memory": "3g",
            "spark.databricks.delta.snapshotPartitions": "1",
            # On a few hundred rows the compilers cost more than they save. One compiler has 48 MB
            # for its code by default, and swept them all the time: a third of the run. A young
            # generation of the default size is collected three times as often. In a virtual
            # machine, huge pages save a sixth.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
            # Without Hadoop's native library each commit on a local disk starts 22 processes
            # (chmod, readlink). These two need three. They keep no other process from making the
            # same commit, so a user's session has them not.
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC "
            "-Xms1536m -Xmn768m -XX:ReservedCodeCacheSize=256m -XX:+UseTransparentHugePages "
            f"{archive_options(require_java())} "
            "-Dlog4j2.configurationFile="
            + (Path(__file__).parents[1] / "semdedup_spark" / "log4j2.properties").as_uri(),
        }
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real data; tests skip, and say so, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("real data is absent: ../shared/data does not exist beside the checkout")
    return SHARED_DATA
